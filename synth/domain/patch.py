"""Crop and scale: one invertible map between patch pixels, source pixels and patient millimetres.

Points are (x, y) with pixel centres at +0.5; arrays are (row, col); sizes (height, width).
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True, kw_only=True)
class Crop:
    """How a source image becomes a patch: the silhouette's box plus `margin` of its size on each side, centred.

    fit: "isotropic" keeps one scale for both axes; "stretch" fills the patch in both.
    pixel_mm: a fixed patch pixel in mm instead of fitting the box; None fits.
    """

    margin: float = 0.04
    fit: Literal["isotropic", "stretch"] = "isotropic"
    pixel_mm: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 0.5:
            raise ValueError(f"crop.margin is {self.margin}; allowed: 0 <= margin < 0.5")
        if self.pixel_mm is not None and self.pixel_mm <= 0:
            raise ValueError(f"crop.pixel_mm is {self.pixel_mm}; allowed: > 0, or null to fit the silhouette")

    def window(
        self, box: NDArray[np.floating[Any]], size: tuple[int, int], source_pixel_mm: float | None = None
    ) -> Matrix:
        """(2, 3) affine patch px -> source px for a silhouette box (4,: x0, y0, x1, y1 in source px).

        source_pixel_mm: size of a source pixel in mm, needed with pixel_mm.
        Raises: ValueError for an empty box, or a fixed scale without known spacing.
        """
        x0, y0, x1, y1 = (float(v) for v in box)
        if not (x1 > x0 and y1 > y0):
            raise ValueError(f"silhouette box is empty: {x0:g}, {y0:g}, {x1:g}, {y1:g}")
        height, width = size
        grow = 1 + 2 * self.margin
        scale = np.array([(x1 - x0) * grow / width, (y1 - y0) * grow / height])
        if self.pixel_mm is not None:
            if source_pixel_mm is None:
                raise ValueError("a fixed pixel_mm needs a source whose spacing is known")
            scale[:] = self.pixel_mm / source_pixel_mm
        elif self.fit == "isotropic":
            scale[:] = scale.max()
        centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        offset = centre - scale * np.array([width / 2, height / 2])
        return np.column_stack([np.diag(scale), offset])


@dataclass(frozen=True, kw_only=True)
class PatchMap:
    """Where a patch lies. Both maps act on columns of points.

    to_source: (2, 3) patch (x, y) px -> source (x, y) px; a mirrored source has a negative x scale.
    to_patient: (3, 4) patch (x px, y px, depth mm) -> patient mm (LPS). A 2D image's z is 0; where its spacing is
        unknown, its patient coordinates are source px. May be a reflection (det < 0) for a right hand.
    """

    to_source: Matrix
    to_patient: Matrix

    def source_points(self, points: NDArray[np.floating[Any]]) -> Matrix:
        """(K, 2) source px of patch points (K, >= 2)."""
        return apply_affine(self.to_source, np.asarray(points, np.float64)[:, :2])

    def patient_points(self, points: NDArray[np.floating[Any]]) -> Matrix:
        """(K, 3) patient mm of patch points (K, 3: x px, y px, depth mm)."""
        return apply_affine(self.to_patient, np.asarray(points, np.float64))

    def patch_points(self, patient: NDArray[np.floating[Any]]) -> Matrix:
        """(K, 3) patch points (x px, y px, depth mm) of patient points (K, 3) in mm: inverse of patient_points."""
        return apply_affine(invert_affine(self.to_patient), np.asarray(patient, np.float64))


def apply_affine(affine: NDArray[Real], points: NDArray[Real]) -> NDArray[Real]:
    """Points (N, d) under an affine (d, d + 1)."""
    return np.asarray(points @ affine[:, :-1].T + affine[:, -1])


def lift_affine(affine: Matrix) -> Matrix:
    """(3, 4) affine that applies a (2, 3) one to x and y and keeps the third coordinate."""
    lifted = np.eye(3, 4)
    lifted[:2, :2], lifted[:2, 3] = affine[:, :2], affine[:, 2]
    return lifted


def invert_affine(affine: Matrix) -> Matrix:
    """The inverse (d, d + 1) of an affine (d, d + 1)."""
    linear = np.linalg.inv(affine[:, :-1])
    return np.column_stack([linear, -linear @ affine[:, -1]])


def compose_affine(outer: Matrix, inner: Matrix) -> Matrix:
    """The affine (d, d + 1) that applies `inner`, then `outer`."""
    return np.column_stack([outer[:, :-1] @ inner[:, :-1], outer[:, :-1] @ inner[:, -1] + outer[:, -1]])


def silhouette_box(silhouette: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(4,) x0, y0, x1, y1 of the set pixels' outer edges in px. Raises ValueError where none is set."""
    rows, cols = np.flatnonzero(silhouette.any(1)), np.flatnonzero(silhouette.any(0))
    if rows.size == 0:
        raise ValueError("silhouette is empty: no pixel lies above the threshold")
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float64)


def sample_mask(mask: NDArray[np.bool_], to_source: Matrix, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Boolean patch (H, W): a pixel is set where the source mask, interpolated at its centre, is at least half.

    Point sampling at pixel centres is what the renderer does, so both sides share one edge rule.
    """
    x, y = (places - 0.5 for places in _centres(to_source, size))
    col, row = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - col, y - row
    source = mask.astype(np.float32)
    value = np.zeros(size)
    for dy in (0, 1):
        for dx in (0, 1):
            across, down = (fx if dx else 1 - fx), (fy if dy else 1 - fy)
            if across.any() and down.any():  # without it: a source with pixels of the patch's size
                value += across * down * _pick(source, row + dy, col + dx)
    return np.asarray(value >= 0.5 - 1e-9)


def observed_pixels(to_source: Matrix, source_size: tuple[int, int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Boolean patch (H, W): which pixels have their centre inside the source image of source_size (height, width)."""
    x, y = _centres(to_source, size)
    height, width = source_size
    return np.asarray((x >= 0) & (x <= width) & (y >= 0) & (y <= height))


def sample_nearest(image: NDArray[np.floating[Any]], to_source: Matrix, size: tuple[int, int]) -> NDArray[np.float32]:
    """Patch (H, W) float32 of the source values nearest to each pixel centre; 0 outside the source."""
    x, y = _centres(to_source, size)
    return _pick(image.astype(np.float32), np.floor(y).astype(int), np.floor(x).astype(int))


def _centres(to_source: Matrix, size: tuple[int, int]) -> tuple[Matrix, Matrix]:
    """(x, y) in source px of a patch's pixel centres, (H, W) each; (1, W) and (H, 1) where the map is straight."""
    height, width = size
    if to_source[0, 1] == to_source[1, 0] == 0:
        x = (np.arange(width) + 0.5) * to_source[0, 0] + to_source[0, 2]
        y = (np.arange(height) + 0.5) * to_source[1, 1] + to_source[1, 2]
        return x[None], y[:, None]
    rows, cols = np.indices(size)
    points = np.column_stack([cols.ravel() + 0.5, rows.ravel() + 0.5])
    source = apply_affine(to_source, points)
    return source[:, 0].reshape(size), source[:, 1].reshape(size)


def _pick(image: NDArray[np.float32], row: NDArray[np.int_], col: NDArray[np.int_]) -> NDArray[np.float32]:
    """Values at rows and columns, which are broadcast against each other; 0 outside the image."""
    height, width = image.shape
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    row, col = np.clip(row, 0, height - 1), np.clip(col, 0, width - 1)
    straight = row.shape[1] == col.shape[0] == 1
    values = image[row[:, 0]][:, col[0]] if straight else image[row, col]
    return np.where(inside, values, 0).astype(np.float32)
