"""What a viewer sees of tissue along each column: where it begins, and how thick it is from skin to skin."""

import numpy as np
from numpy.typing import NDArray

from synth.domain.cells import CHUNK, Mask, box_of, last_rows
from synth.domain.tissue import Tissue


def columns_of(
    tissue: Tissue, voxels: NDArray[np.generic], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """(surface, thickness) (Z, X) in voxels along y: the first crossing of the level, interpolated; what is full.

    Thickness is 0 where there is no tissue. Enclosed air is full; air between limbs is not.
    """
    count, depth, width = tissue.above.shape
    first = np.full((count, width), depth)
    full = np.zeros((count, width), np.float32)
    for number, (body, inner) in enumerate(zip(tissue.body, tissue.inner, strict=True)):
        if not body.any():
            continue
        box = box_of(body)
        rows, columns = tissue.grid.voxels(box)
        own, filled = (tissue.grid.spread(cells, box) for cells in (body, inner))
        for k in range(count)[tissue.grid.slab(number)]:
            part = tissue.above[k, rows, columns] & own
            last = last_rows(part[::-1])
            np.copyto(first[k, columns], rows.stop - 1 - last, where=last >= 0)
            full[k, columns] = _counted(part | filled)
    full[first == depth] = 0
    return _crossing(voxels, level, first), full


def _counted(mask: Mask) -> NDArray[np.uint16]:
    """(X,) how many rows of a mask (Y, X) are set in each column."""
    total = np.zeros(mask.shape[1], np.uint16)
    for start in range(0, len(mask), CHUNK):
        total += np.add.reduce(mask[start : start + CHUNK].view(np.uint8), 0, dtype=np.uint8)
    return total


def _crossing(voxels: NDArray[np.generic], level: float, first: NDArray[np.intp]) -> NDArray[np.float64]:
    """(Z, X) where the level is crossed before the voxels `first`; their front face where something was cut out."""
    k, x = np.nonzero((first > 0) & (first < voxels.shape[1]))
    inner_row = first[k, x]
    inner = voxels[k, inner_row, x].astype(np.float64)
    outer = voxels[k, inner_row - 1, x].astype(np.float64)
    free = outer <= level
    step = np.divide(level - outer, inner - outer, out=np.full(len(k), 0.5), where=free)
    surface = first - 0.5
    surface[k, x] = inner_row - 1 + step
    return surface
