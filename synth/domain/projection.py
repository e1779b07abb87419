"""From a volume to what the common domain keeps of it: silhouette, depth and thickness. Numpy and scipy.

The view is anterior for both anatomies: x = +L, y = -S, depth = +P. In a hand volume the back of the hand is therefore
anterior, and the fingers point to S.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.columns import columns_of
from synth.domain.padding import observed_columns
from synth.domain.patch import Matrix, sample_mask, sample_nearest
from synth.domain.tissue import find_tissue

ZERO_PLANE_MM = 10.0  # the depth's zero plane lies this far before the nearest surface, so that 0 stays "nothing"
CT_AIR_HU = -500.0  # a volume that holds values below this is CT in HU
CT_THRESHOLD_HU = -400.0
COUCH_CLEARANCE_MM = 6.0  # what lies this far before the couch is no couch, however thin
SPECK = 2e-4  # holes below this share of the silhouette (half a patch pixel) are noise; larger ones are anatomy

CouchRemoval = Literal["none", "accumulate", "fit"]


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A 3D image whose axes are those of the patient: x = +L, y = +P, z = +S.

    voxels: (z, y, x) any real dtype
    index_to_patient: (3, 4) voxel index (x, y, z; centres at whole numbers) -> patient mm (LPS); diagonal and positive
    notes: what was assumed or mended in reading it
    modality: "CT" or "MR" as a DICOM header says; "" where none does
    """

    voxels: NDArray[np.generic]
    index_to_patient: Matrix
    notes: tuple[str, ...] = ()
    modality: str = ""

    def __post_init__(self) -> None:
        linear = self.index_to_patient[:, :3]
        if self.voxels.ndim != 3 or self.voxels.size == 0:
            raise ValueError(f"volume has shape {self.voxels.shape}; allowed: three axes, none empty")
        if not np.array_equal(linear, np.diag(np.diag(linear))) or not (np.diag(linear) > 0).all():
            raise ValueError("volume axes must be those of the patient (LPS); read it with volume.read")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(x, y, z) size of a voxel."""
        x, y, z = (float(v) for v in np.diag(self.index_to_patient[:, :3]))
        return x, y, z


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A volume seen from the front, or a 2D image, in square source pixels.

    silhouette: (H, W) bool
    depth_mm, thickness_mm: (H, W) float32, 0 = background; None for a 2D image
    to_patient: (3, 4) (x px, y px, depth mm) -> patient mm; for a 2D image see patch.PatchMap
    to_viewer: (3, 4) the same points -> the position that 3D Slicer shows; differs for 2D images alone
    pixel_mm: (x, y) size of a source pixel, None where unknown
    threshold: the intensity that divides air from tissue; bright: whether tissue lies above it
    observed: (H, W) bool, what was seen, tissue or not; None for all of it
    beyond: (H, W) bool, all parts of a 2D image that are tissue, the silhouette one of them; None for a volume
    clipped: whether the air of a 2D image has but one value, its range's end: thin flesh may lie beyond it, too
    notes: what a person should look at
    """

    silhouette: NDArray[np.bool_]
    depth_mm: NDArray[np.float32] | None
    thickness_mm: NDArray[np.float32] | None
    to_patient: Matrix
    to_viewer: Matrix
    pixel_mm: tuple[float, float] | None
    threshold: float
    bright: bool = True
    observed: NDArray[np.bool_] | None = None
    beyond: NDArray[np.bool_] | None = None
    clipped: bool = False
    notes: tuple[str, ...] = ()


def otsu(values: NDArray[np.generic], bins: int = 512) -> float:
    """The threshold that maximises the variance between the two classes it makes of `values` (any shape).

    Raises: ValueError where all values are equal. Source: Otsu 1979.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise ValueError(f"every value is {low:g}: nothing to tell tissue from air")
    counts = np.zeros(bins, np.int64)
    for part in values if values.ndim == 3 else values[None]:  # slice by slice: no copy of a large volume
        counts += np.histogram(part, bins, (low, high))[0]
    centres = low + (np.arange(bins) + 0.5) * (high - low) / bins
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    between = np.nan_to_num(between)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))  # a gap between the classes gives a plateau
    return float(low + (best.mean() + 1) * (high - low) / bins)


def air_threshold(volume: Volume) -> float:
    """The intensity that divides air from tissue: -400 HU where the volume holds HU, else Otsu's."""
    return CT_THRESHOLD_HU if is_ct(volume) and goes_below(volume, CT_AIR_HU) else otsu(volume.voxels)


def is_ct(volume: Volume) -> bool:
    """Whether it is a CT, as its header says; where it says nothing, whether its values are HU."""
    return volume.modality == "CT" if volume.modality else goes_below(volume, CT_AIR_HU)


def goes_below(volume: Volume, value: float) -> bool:
    """Whether any of its values lies below `value`."""
    return any(float(part.min()) < value for part in volume.voxels)  # the first slice of a CT tells


def project(
    volume: Volume, *, threshold: float | None = None, couch: CouchRemoval = "none", couch_mm: float = 12.0
) -> Projection:
    """The anterior projection of a volume: its largest connected body, in square pixels of the finer in-plane spacing.

    couch: "fit" cuts out what stays alike along z behind the body (couch.py); "accumulate" drops columns with less than
      `couch_mm` of tissue, as the plates of a CT couch are thin.
    Raises: ValueError where nothing lies above the threshold.
    Source: Riegler et al. 2015, section 3. Differs: thin columns that lie well before the couch stay; they are fingers.
    """
    level = air_threshold(volume) if threshold is None else threshold
    depth_step = volume.spacing_mm[1]
    tissue = find_tissue(volume.voxels, level, volume.spacing_mm, couch == "fit")
    surface, thickness = columns_of(tissue, volume.voxels, level)
    surface, thickness = surface[::-1] * depth_step, thickness[::-1] * np.float32(depth_step)
    mask = _before_couch(surface, thickness, couch_mm) if couch == "accumulate" else thickness > 0
    body = largest_component(mask)
    nearest = float(surface[body & (thickness > 0)].min()) - ZERO_PLANE_MM
    known = body & (thickness > 0)
    depth = fill_nearest(np.where(known, surface - nearest, 0), known, body)
    seen = observed_columns(volume.voxels, tissue.grid, tissue.body) if is_ct(volume) else None
    view = _squared(volume, body, depth, fill_nearest(thickness, known, body), nearest, level)
    return view if seen is None else replace(view, observed=view.silhouette | _square(seen[::-1], volume))


def _squared(
    volume: Volume,
    body: NDArray[np.bool_],
    depth: NDArray[np.float32],
    thickness: NDArray[np.float32],
    nearest: float,
    level: float,
) -> Projection:
    """The projection of a body (z, x), in rows from the top of the volume, in square pixels; nearest: y (mm) of the
    depth's zero plane from the first voxel."""
    sx, _, sz = volume.spacing_mm
    pixel, to_source, size = _square_grid(volume)
    square = sample_mask(body, to_source, size)
    depth, thickness = (sample_nearest(image, to_source, size) for image in (depth, thickness))
    known = square & (depth > 0)
    ox, oy, oz = volume.index_to_patient[:, 3]
    top = oz + (len(body) - 0.5) * sz
    to_patient = np.array([[pixel, 0, 0, ox - 0.5 * sx], [0, 0, 1, oy + nearest], [0, -pixel, 0, top]])
    return Projection(
        silhouette=square,
        depth_mm=fill_nearest(depth, known, square),
        thickness_mm=fill_nearest(thickness, known, square),
        to_patient=to_patient,
        to_viewer=to_patient,
        pixel_mm=(pixel, pixel),
        threshold=level,
    )


def _square_grid(volume: Volume) -> tuple[float, Matrix, tuple[int, int]]:
    """(edge of a square pixel in mm, (2, 3) square px -> (x, z) voxels, (height, width) in square px)."""
    sx, _, sz = volume.spacing_mm
    pixel = min(sx, sz)
    count, _, width = volume.voxels.shape
    size = int(np.ceil(sz * count / pixel - 1e-6)), int(np.ceil(sx * width / pixel - 1e-6))
    return pixel, np.array([[pixel / sx, 0, 0], [0, pixel / sz, 0]]), size


def _square(mask: NDArray[np.bool_], volume: Volume) -> NDArray[np.bool_]:
    """A mask (z, x), in rows from the top of the volume, in square pixels."""
    _, to_source, size = _square_grid(volume)
    return np.asarray(sample_nearest(mask.astype(np.float32), to_source, size) > 0)


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 8-connected part of a mask (H, W), its specks filled; larger holes are anatomy and stay.

    Raises: ValueError where no pixel is set.
    """
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count == 0:
        raise ValueError("no tissue lies beyond the threshold; give another --threshold")
    body = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    holes, count = ndimage.label(~body)
    sizes = np.bincount(holes.ravel(), minlength=count + 1)
    edge = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    speck = sizes <= max(1.0, SPECK * body.sum())
    speck[edge] = False
    speck[0] = False
    return np.asarray(body | speck[holes])


def _before_couch(surface: NDArray[np.float64], thickness: NDArray[np.float32], couch_mm: float) -> NDArray[np.bool_]:
    """(z, x) mask of columns that are thick, or whose first surface lies before the couch. Arguments in mm.

    A couch is alike along z: at each x its surface is the median over the thin columns; where there are none, it is
    interpolated.
    """
    thin = (thickness > 0) & (thickness < couch_mm)
    places = np.flatnonzero(thin.sum(0) > 0.05 * len(thin))
    thick = thickness >= couch_mm
    if places.size == 0:
        return thick
    levels = [np.median(surface[thin[:, x], x]) for x in places]
    couch = np.interp(np.arange(thin.shape[1]), places, levels)
    return np.asarray(thick | (thickness > 0) & (surface < couch - COUCH_CLEARANCE_MM))


def sample_plane(
    plane_mm: NDArray[np.float32] | None, to_source: Matrix, silhouette: NDArray[np.bool_]
) -> NDArray[np.float32] | None:
    """(H, W) float32 of a plane of the source, on exactly a patch's silhouette (H, W); None where there is none."""
    if plane_mm is None:
        return None
    height, width = silhouette.shape
    sampled = sample_nearest(plane_mm, to_source, (height, width))
    return fill_nearest(sampled, silhouette & (sampled > 0), silhouette)


def fill_nearest(
    image: NDArray[np.floating[Any]], known: NDArray[np.bool_], wanted: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(H, W) float32: `image` where known, the nearest known value elsewhere on `wanted`, 0 off it."""
    filled = np.asarray(image, np.float32)
    if (wanted & ~known).any():
        nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
        filled = filled[tuple(nearest)]
    return np.where(wanted, filled, 0).astype(np.float32)
