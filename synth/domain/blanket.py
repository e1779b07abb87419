"""Takes a blanket out of the tissue of a CT: a thin sheet, longer across than any thin part of a patient.

Only fine voxels show it; in coarse ones it fills too little of each to be tissue.
"""

from typing import Final

import numpy as np
from scipy import ndimage

from synth.domain.cells import Mask, grown

SHEET_MM: Final = 3.0  # a blanket is not thicker; an ear is
LONG_MM: Final = 25.0  # a blanket reaches farther across a slice, even where it is torn by noise; an ear's rim does not
COVERS_MM: Final = 100.0  # so much of one lies across a slice in all; what noise leaves of a couch is shorter
EVERY_MM: Final = 20.0  # slices looked at lie so far apart, as few scans have a blanket at all
COARSE_MM: Final = 2.0  # voxels of more than this hold too little of a blanket


def cut_blanket_out(above: Mask, spacing_mm: tuple[float, float, float]) -> None:
    """Take blankets out of tissue (Z, Y, X) with voxels (x, y, z) mm, in place, if a sample of slices shows one."""
    sx, sy, sz = spacing_mm
    every = max(1, round(EVERY_MM / sz))
    if max(sx, sy) > COARSE_MM:
        return
    if not any(np.count_nonzero(_sheets(part, (sy, sx))) * sx > COVERS_MM for part in above[::every]):
        return
    for part in above:
        part &= ~_sheets(part, (sy, sx))


def _sheets(part: Mask, spacing: tuple[float, float]) -> Mask:
    """(Y, X) bool: the thin sheets of a slice of tissue with voxels (y, x) mm."""
    sheets = np.zeros_like(part)
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    if rows.size == 0:
        return sheets
    tissue = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # most of a slice is air
    sheets[tissue] = _sheets_among(part[tissue], spacing)
    return sheets


def _sheets_among(part: Mask, spacing: tuple[float, float]) -> Mask:
    """The same for the part of a slice that holds its tissue."""
    box = int(SHEET_MM / spacing[0]) + 1, int(SHEET_MM / spacing[1]) + 1
    thin = part & ~_opened(part, box)
    sheets = np.zeros_like(part)
    if np.count_nonzero(thin) * spacing[1] < LONG_MM:
        return sheets
    labels, _ = ndimage.label(grown(thin, (1, 1)))
    for number, (down, across) in enumerate(ndimage.find_objects(labels), 1):
        if (across.stop - across.start) * spacing[1] > LONG_MM:
            sheets[down, across] |= thin[down, across] & (labels[down, across] == number)
    return sheets


def _opened(mask: Mask, box: tuple[int, int]) -> Mask:
    """The mask (Y, X) without what no box of so many voxels fits into."""
    first = mask
    for axis, count in enumerate(box):
        first = _all_of(first, count, axis)
    for axis, count in enumerate(box):
        first = ~_all_of(~first, count, axis, back=True)
    return first


def _all_of(mask: Mask, count: int, axis: int, back: bool = False) -> Mask:
    """Where this place and the next `count - 1` along an axis are set; `back`: and those before."""
    rows = np.moveaxis(mask, axis, 0)
    result = rows.copy()
    for step in range(1, count):
        if back:
            result[step:] &= rows[:-step]
        else:
            result[:-step] &= rows[step:]
            result[-step:] = False
    return np.moveaxis(result, 0, axis)
