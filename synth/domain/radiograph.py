"""From a radiograph, a photograph or a plain silhouette to the outline of what it shows. Numpy and scipy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.field import find_field
from synth.domain.flat_tissue import find_tissue, reduced
from synth.domain.patch import Matrix, lift_affine
from synth.domain.projection import Projection, largest_component, otsu

WORK = 800  # px: larger pictures are reduced for finding an outline; a patch pixel is still 5 of these
RIM = 0.006  # of the picture's size: how far the edge of a frame is blurred
SHARP = 0.002  # of the silhouette: so much may differ beyond two pixels where an outline is sharp
TWO_VALUES = 0.1  # of the range: how far the values of a plain silhouette stray from two
STRAY = 0.005  # of the pixels off its edges: how many do farther
EDGE_PX = 2  # how wide its edges are
RIM_IS_CUT = 0.25  # of the edge: no forearm is wider
SQUARE = np.ones((3, 3))

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Image:
    """A 2D greyscale image.

    pixels: (H, W) float32
    spacing_mm: (x, y) size of a pixel, None where unknown
    to_viewer: (2, 3) px (centres at +0.5) -> the position that 3D Slicer shows for it, in the file's own geometry
    notes: what was assumed or mended in reading it
    bright: whether tissue is brighter than air by the header; None where there is none that tells
    """

    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float] | None
    to_viewer: Matrix
    notes: tuple[str, ...] = ()
    bright: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Outlined:
    """What is found in a picture: mask, field (H, W); level: of intensity in the middle; the rest as Projection."""

    mask: Mask
    field: Mask | None
    level: float
    bright: bool
    clipped: bool = False
    notes: tuple[str, ...] = ()


def outline(image: Image, *, threshold: float | None = None) -> Projection:
    """The silhouette of a 2D image: its largest part that is no air, no frame and no lead.

    Where one threshold cuts the picture sharply, as a plain silhouette or a hand on cloth, it does; else tissue is what
    differs from a smooth surface of air within the field. With `threshold`, the side of it that the border is not.
    Raises: ValueError for a constant image, or where nothing is left.
    """
    found = _cut(image.pixels, otsu(image.pixels) if threshold is None else threshold)
    if threshold is None and not _two_valued(image.pixels, found.mask):
        found = _of_air(image, found)
    silhouette = largest_component(found.mask)
    viewer = lift_affine(image.to_viewer)
    if image.spacing_mm is None:
        to_patient = np.eye(3, 4)
    else:
        unit = np.hypot(*image.to_viewer[:, :2]) / np.array(image.spacing_mm)
        same = bool(np.allclose(unit, 1))
        sx, sy = image.spacing_mm
        to_patient = viewer if same else np.array([[sx, 0, 0, -sx / 2], [0, sy, 0, -sy / 2], [0, 0, 1, 0]])
    return Projection(
        silhouette=silhouette,
        depth_mm=None,
        thickness_mm=None,
        to_patient=to_patient,
        to_viewer=viewer,
        pixel_mm=image.spacing_mm,
        threshold=found.level,
        bright=found.bright,
        observed=found.field,
        beyond=found.mask,
        clipped=found.clipped,
        notes=found.notes + _doubts(image, found, silhouette),
    )


def _doubts(image: Image, found: Outlined, silhouette: Mask) -> tuple[str, ...]:
    """What a person should look at in the outline of a picture."""
    notes = []
    if image.bright not in (None, found.bright):
        notes.append("air is brighter than the hand, against the header: the picture is believed")
    if found.clipped:
        notes.append("air is cut off at one grey value, and thin flesh may be with it: look at the fingertips")
    field = np.ones_like(silhouette) if found.field is None else found.field
    rim = field & ~ndimage.binary_erosion(field, SQUARE, iterations=2)
    if silhouette[rim].mean() > RIM_IS_CUT:
        notes.append("the outline follows the edge of the picture or its frame: look at it")
    return tuple(notes)


def _cut(pixels: Plane, level: float) -> Outlined:
    """The side of a threshold that the picture's border is not."""
    above = pixels > level
    border = np.concatenate([above[0], above[-1], above[:, 0], above[:, -1]])
    bright = bool(border.mean() < 0.5)
    return Outlined(mask=above if bright else ~above, field=None, level=level, bright=bright)


def _of_air(image: Image, plain: Outlined) -> Outlined:
    """What differs from the air around it, unless the plain threshold finds the same outline."""
    factor = -(-max(image.pixels.shape) // WORK)
    pixels = reduced(image.pixels, factor)
    field = find_field(pixels)
    framed = not field.all()
    inner = field
    if framed:  # the frame's edge is blurred
        inner = np.asarray(
            ndimage.binary_erosion(np.pad(field, 1, mode="edge"), iterations=max(2, round(RIM * max(pixels.shape))))
        )[1:-1, 1:-1]
    seen = find_tissue(pixels, inner, image.bright)
    mask = seen.mask
    if not framed and _same(largest_component(mask), reduced(plain.mask, factor) >= 0.5):
        return plain
    if framed:  # a forearm goes on up to the frame
        beside = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
        mask = mask[tuple(beside)] & field
    notes = seen.notes
    if framed:
        notes += (f"a field of {field.mean():.0%} of the picture lies in a frame: what is outside is not known",)
    return Outlined(
        mask=_enlarged(mask, factor, image.pixels.shape),
        field=_enlarged(field, factor, image.pixels.shape) if framed else None,
        level=seen.level,
        bright=seen.bright,
        clipped=seen.clipped,
        notes=notes,
    )


def _two_valued(pixels: Plane, mask: Mask) -> bool:
    """Whether a picture is a plain silhouette: each side of the threshold has one value, but for its edges."""
    near = TWO_VALUES * float(np.ptp(pixels))
    for side in (mask, ~mask):
        inner = ndimage.binary_erosion(side, SQUARE, iterations=EDGE_PX, border_value=1)
        if inner.any() and (np.abs(pixels[inner] - np.median(pixels[inner])) > near).mean() > STRAY:
            return False
    return True


def _same(mask: Mask, plain: Mask) -> bool:
    """Whether two outlines are the same to two pixels, as wide as an edge is blurred."""
    wide = ndimage.binary_dilation(plain, SQUARE, iterations=2)
    narrow = ndimage.binary_erosion(plain, SQUARE, iterations=2)
    return bool((mask & ~wide).sum() + (narrow & ~mask).sum() <= SHARP * plain.sum())


def _enlarged(mask: Mask, factor: int, shape: tuple[int, ...]) -> Mask:
    """A reduced mask at full size (H, W), its edges interpolated."""
    if factor == 1:
        return mask
    soft = ndimage.zoom(mask.astype(np.float32), factor, order=1, mode="nearest", grid_mode=True)
    return np.asarray(soft[: shape[0], : shape[1]] >= 0.5)
