"""Finds the couch in a CT of a lying body, from what is tissue in each slice: thin walls that stay alike along z.

A patient's thin parts (fingers, ears) are shorter than a couch is alike, and parts that are as long are thicker than
its walls. So a couch is cut out where it is, and nothing is cut off for being thin. A couch that is tilted against z
is followed: slices are shifted along y before they are compared.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.cells import IN_SLICE, Bits, Mask, box_of, grid_over, grown, last_rows, packed, unpacked
from synth.domain.tilt import places_of

BLOCK_MM, BLOCKS = 20.0, 7  # slices are counted in blocks; a window is so many of them, longer than a finger along z
ALIKE = 0.9  # share of a window's slices in which a wall is seen;
STEADY = 0.2  # more than this in all windows of a long scan: a wall so faint that noise breaks it up
THIN_MM = 20.0  # walls are thinner, limbs that lie along z are thicker
HOLLOW_MM = 80.0  # a couch is less high; what is hollow over more is a chest, and counts as full
BRIDGE_MM = 6.0  # a wall may be broken by twice this where voxels hold too little of it
LONG_MM = 25.0  # a wall's cross-section is longer than this;
LONG_IN_SHORT_MM = 120.0  # than this in a scan shorter than a window: there, a hand's fingers are as alike as a couch
EDGE = 3  # voxels within which a wall's back ends in nearly every slice; skin does not keep its place as well
COMMON = 0.25  # what is couch in this share of all windows is so everywhere: under the trunk, too

Spacing = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Couch:
    """Where the couch is. walls: (W, Y + tilt, X) bool, one for each window of BLOCKS blocks; block: slices per block.

    places: (Z,) the row of the walls at which each slice begins; all 0 where the couch is not tilted
    """

    walls: Mask
    block: int
    places: NDArray[np.intp]

    def cut_out(self, above: Mask) -> None:
        """Take the couch, with a rim of one voxel, out of tissue (Z, Y, X), in place."""
        count = len(above)
        rows = np.flatnonzero(self.walls.any((0, 2)))
        for block, start in enumerate(range(0, count, self.block) if rows.size else ()):
            kept = ~self.walls[max(0, block - BLOCKS + 1) : block + 1, rows[0] : rows[-1] + 1].any(0)
            for k in range(start, min(start + self.block, count)):
                first = rows[0] - self.places[k]  # of the walls in this slice, whose rows may end before
                own = above[k, max(0, first) : max(0, first + len(kept))]
                own &= kept[max(0, -first) :][: len(own)]

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return bool(self.walls.any())


def find_couch(above: Mask, spacing_mm: tuple[float, float, float]) -> Couch:
    """The couch among tissue (Z, Y, X) in order along z, y towards the couch; spacing (x, y, z) in mm."""
    sx, sy, sz = spacing_mm
    block = min(255, max(1, round(BLOCK_MM / sz)))
    places = places_of(above, spacing_mm, BLOCK_MM * BLOCKS)
    seen, sizes = _counted(above, spacing_mm, places, block)
    box = _box(seen)
    counts, totals = _windows(seen[:, *box], sizes)
    alike = counts >= _least(totals, ALIKE)
    thin = alike & _thin(alike, (sy, sx))
    if len(counts) > 2 * BLOCKS:
        thin |= _thin((counts >= _least(totals, STEADY, more=True)).all(0, keepdims=True), (sy, sx))
    long_mm = LONG_MM if len(above) * sz >= BLOCK_MM * BLOCKS else LONG_IN_SHORT_MM
    ended = counts < _least(totals, 1 - ALIKE)
    own = _lasting(_walls(alike, thin, ended, (sy, sx), long_mm))
    own |= own.mean(0) >= COMMON
    rows, columns = (slice(max(0, part.start - 1), part.stop + 1) for part in box)
    walls = np.zeros((len(own), *seen.shape[1:]), bool)
    walls[:, *box] = own
    walls[:, rows, columns] = grown(walls[:, rows, columns], (0, 1, 1))
    return Couch(walls=walls, block=block, places=places)


def _windows(seen: NDArray[np.uint8], sizes: NDArray[np.intp]) -> tuple[NDArray[np.uint16], NDArray[np.intp]]:
    """((W, Y, X) in how many slices of each window of BLOCKS blocks a place is in the body, (W,) slices in each)."""
    num_windows = max(1, len(seen) - BLOCKS + 1)
    counts = np.empty((num_windows, *seen.shape[1:]), np.uint16)
    np.sum(seen[:BLOCKS], axis=0, dtype=np.uint16, out=counts[0])
    for w in range(1, num_windows):
        np.add(counts[w - 1], seen[w + BLOCKS - 1], out=counts[w])
        counts[w] -= seen[w - 1]
    return counts, np.array([sizes[w : w + BLOCKS].sum() for w in range(num_windows)])


def _least(totals: NDArray[np.intp], share: float, more: bool = False) -> NDArray[np.uint16]:
    """(W, 1, 1) the smallest count that is at least a share, or more than it, of each window's slices."""
    least = []
    for total in totals:
        shares = np.arange(total + 1, dtype=np.float32) / np.float32(total)
        least.append(int(np.argmax(shares > share if more else shares >= share)))
    return np.array(least, np.uint16)[:, None, None]


def _lasting(walls: Mask) -> Mask:
    """The walls (W, Y, X) that are seen in two windows in a row; a hand in line with its forearm may fill one."""
    if len(walls) == 1:
        return walls
    near = grown(walls, (0, 1, 1))
    beside = np.zeros_like(walls)
    beside[1:] = near[:-1]
    beside[:-1] |= near[1:]
    return walls & beside


def _counted(
    above: Mask, spacing_mm: tuple[float, float, float], places: NDArray[np.intp], block: int
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """((B, Y + tilt, X) in how many slices of each block a place is in the body, (B,) slices in a block).

    A chest is full, so that its walls are not thin.
    """
    count, height, width = above.shape
    starts = np.arange(0, count, block)
    seen = np.zeros((len(starts), height + int(places.max()), width), np.uint8)
    grid = grid_over((count, height, width), spacing_mm)
    for layer, lungs in enumerate(_lungs(grid.pooled(above), grid.steps[1] * spacing_mm[1])):
        box = box_of(lungs) if lungs.any() else (slice(0, 0), slice(0, 0))
        inside, full = grid.voxels(box), grid.spread(lungs, box)
        for k in range(count)[grid.slab(layer)]:
            own = seen[k // block, places[k] : places[k] + height]
            own += above[k].view(np.uint8)
            if full.size:
                own[inside] += np.greater(full, above[k][inside]).view(np.uint8)
    return seen, np.diff(np.append(starts, count))


def _lungs(cells: Mask, row_mm: float) -> Mask:
    """(Z', Y', X') large hollows in each slice of cells of tissue, and a cell around them, which joins them to it."""
    lungs = np.zeros_like(cells)
    around = box_of(cells)  # beyond it there is air, so that what touches its sides is no hollow
    labels, _ = ndimage.label(~cells[around], IN_SLICE)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        _, down, across = box
        inside = down.start > 0 and across.start > 0 and down.stop < labels.shape[1] and across.stop < labels.shape[2]
        if inside and (down.stop - down.start) * row_mm > HOLLOW_MM:
            lungs[around][box] |= labels[box] == number
    return grown(lungs, (0, 1, 1))


def _box(seen: NDArray[np.uint8]) -> tuple[slice, slice]:
    """The rows and columns that hold anything, and a column of air at each side where there is one, of (B, Y, X)."""
    anything = seen.any(0)
    if not anything.any():
        return slice(0, 1), slice(0, 1)
    rows, cols = box_of(anything)
    return rows, slice(max(0, cols.start - 1), cols.stop + 1)


def _walls(alike: Mask, thin: Mask, ended: Mask, spacing: Spacing, long_mm: float) -> Mask:
    """(W, Y, X) bool: the couch in each window, among thin places.

    alike: places that are tissue in nearly all of a window's slices; ended: in nearly none
    """
    rows, cols = (int(np.ceil(BRIDGE_MM / s)) for s in spacing)
    bridged = unpacked(grown(packed(thin), (0, rows, cols)), len(thin))
    return np.stack([_walls_of(*window, spacing, long_mm) for window in zip(alike, thin, ended, bridged, strict=True)])


def _walls_of(alike: Mask, thin: Mask, ended: Mask, bridged: Mask, spacing: Spacing, long_mm: float) -> Mask:
    """(Y, X) bool: the couch in one window; bridged: thin places and what lies between them."""
    walls, alike = np.zeros_like(thin), alike.copy()
    if not thin.any():
        return walls
    inside = box_of(bridged)
    top, left = inside[0].start, inside[1].start
    labels, count = ndimage.label(bridged[inside], np.ones((3, 3)))
    labels *= thin[inside]
    boxes = ndimage.find_objects(labels)
    for part in sorted(range(count), key=lambda i: -boxes[i][0].stop):  # from the back
        down, across = boxes[part]
        if np.hypot((down.stop - down.start) * spacing[0], (across.stop - across.start) * spacing[1]) < long_mm:
            continue
        own = labels[down, across] == part + 1
        some = own.any(0)
        down = slice(down.start + top, down.stop + top)
        across = slice(across.start + left, across.stop + left)
        last = down.start + last_rows(own)[some]  # its hindmost row in each of these columns
        behind = last + EDGE
        ends = behind >= len(thin)
        ends |= ended[np.minimum(behind, len(thin) - 1), np.arange(across.start, across.stop)[some]]
        hidden = down.start + last_rows(alike[down.start :, across])[some] > last
        if ends.mean() > 0.5 and hidden.mean() < 0.5:
            walls[down, across] |= own
            alike[down, across] &= ~own
    return walls


def _thin(masks: Mask, spacing: Spacing) -> Mask:
    """The thin parts of masks (N, Y, X), but not the corners of their thick ones."""
    thick = grown(_opened(packed(masks), THIN_MM / 2, spacing), (0, 1, 1))
    return masks & ~unpacked(thick, len(masks))


def _opened(bits: Bits, radius_mm: float, spacing: Spacing) -> Bits:
    """Packed masks without what no disc of this radius fits into; they go on beyond the sides, not before or behind."""
    down, across = (int(np.ceil(radius_mm / s)) + 1 for s in spacing)
    padded = np.pad(np.pad(bits, [(0, 0), (0, 0), (across, across)], mode="edge"), [(0, 0), (down, down), (0, 0)])
    boxes = _boxes_of_disc(radius_mm, spacing)
    outer, opened = np.zeros_like(padded), np.zeros_like(padded)
    for rows, cols in boxes:
        outer |= grown(~padded, (0, rows, cols))
    for rows, cols in boxes:
        opened |= grown(~outer, (0, rows, cols))
    return opened[:, down:-down, across:-across]


def _boxes_of_disc(radius_mm: float, spacing: Spacing) -> list[tuple[int, int]]:
    """(rows, cols) to each side of boxes that together make up a disc."""
    rows = range(int(radius_mm / spacing[0]) + 1)
    widest = {int(np.sqrt(radius_mm**2 - (row * spacing[0]) ** 2) / spacing[1]): row for row in rows}
    return [(row, cols) for cols, row in widest.items()]
