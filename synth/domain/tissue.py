"""What of a volume is the patient: above a threshold, not the couch, in one piece, and closed where air is enclosed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.domain.blanket import cut_blanket_out
from synth.domain.cells import Grid, Mask, grid_over, grown, largest_piece, outside_air
from synth.domain.couch import find_couch


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """A patient in voxels and in cells.

    above: (Z, Y, X) bool, what is tissue; body: (Z', Y', X') bool, the cells that hold the patient's
    inner: (Z', Y', X') bool, the cells that are full: no air around the body is in them or beside them
    """

    above: Mask
    grid: Grid
    body: Mask
    inner: Mask


def find_tissue(
    voxels: NDArray[np.generic], level: float, spacing_mm: tuple[float, float, float], couch: bool
) -> Tissue:
    """The tissue of a volume (Z, Y, X) with voxels (x, y, z) mm; couch: cut one out, and keep the largest piece."""
    above = above_level(voxels, level)
    if couch:
        find_couch(above, spacing_mm).cut_out(above)
        cut_blanket_out(above, spacing_mm)
    count, height, width = above.shape
    grid = grid_over((count, height, width), spacing_mm)
    body = grid.pooled(above)
    if couch:
        body = largest_piece(body)
    return Tissue(above=above, grid=grid, body=body, inner=~grown(outside_air(body), (1, 1, 1)))


def above_level(voxels: NDArray[np.generic], level: float) -> Mask:
    """(Z, Y, X) bool; whole numbers are compared as such, as a float would turn every slice into floats first."""
    whole = np.issubdtype(voxels.dtype, np.integer)
    return np.asarray(np.greater(voxels, int(np.floor(level)) if whole else level))
