"""From a radiograph, a photograph or a plain silhouette to the outline of what it shows. Numpy and scipy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.domain.patch import Matrix
from synth.domain.projection import Projection, largest_component, otsu


@dataclass(frozen=True, kw_only=True)
class Image:
    """A 2D greyscale image.

    pixels: (H, W) float32
    spacing_mm: (x, y) size of a pixel, None where unknown
    to_viewer: (2, 3) px (centres at +0.5) -> the position that 3D Slicer shows for it, in the file's own geometry
    notes: what was assumed or mended in reading it
    """

    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float] | None
    to_viewer: Matrix
    notes: tuple[str, ...] = ()


def outline(image: Image, *, threshold: float | None = None) -> Projection:
    """The silhouette of a 2D image: its largest connected part on the side of the threshold that its border is not.

    Raises: ValueError for a constant image, or where nothing is left.
    """
    level = otsu(image.pixels) if threshold is None else threshold
    above = image.pixels > level
    border = np.concatenate([above[0], above[-1], above[:, 0], above[:, -1]])
    bright = bool(border.mean() < 0.5)
    silhouette = largest_component(above if bright else ~above)
    viewer = _lift(image.to_viewer)
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
        threshold=level,
        bright=bright,
    )


def _lift(affine: Matrix) -> Matrix:
    """(3, 4) affine that applies a (2, 3) one to x and y and keeps the third coordinate."""
    lifted = np.eye(3, 4)
    lifted[:2, :2], lifted[:2, 3] = affine[:, :2], affine[:, 2]
    return lifted
