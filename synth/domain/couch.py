"""Finds the couch in a CT of a lying body, from what is tissue in each slice: thin walls that stay alike along z.

A patient's thin parts (fingers, ears) are shorter than a couch is alike, and parts that are as long are thicker than
its walls. So a couch is cut out where it is, and nothing is cut off for being thin. A couch that is tilted against z
is followed: slices are shifted along y before they are compared.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.cells import IN_SLICE, Mask, grid_over, grown
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
        count, height, _ = above.shape
        for block, start in enumerate(range(0, count, self.block)):
            kept = ~self.walls[max(0, block - BLOCKS + 1) : block + 1].any(0)
            for k in range(start, min(start + self.block, count)):
                above[k] &= kept[self.places[k] : self.places[k] + height]

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
    windows = [slice(w, w + BLOCKS) for w in range(max(1, len(seen) - BLOCKS + 1))]
    walls = np.zeros((len(windows), *seen.shape[1:]), bool)
    box = _box(seen)
    seen = seen[:, *box]
    shares = [np.sum(seen[w], axis=0, dtype=np.float32) / np.float32(sizes[w].sum()) for w in windows]
    faint = np.zeros(shares[0].shape, bool)
    if len(windows) > 2 * BLOCKS:
        faint = _thin(np.min(shares, axis=0) > STEADY, (sy, sx))
    long_mm = LONG_MM if len(above) * sz >= BLOCK_MM * BLOCKS else LONG_IN_SHORT_MM
    own = _lasting(np.stack([_walls(share, faint, (sy, sx), long_mm) for share in shares]))
    common = own.mean(0) >= COMMON
    for whole, part in zip(walls, own, strict=True):
        whole[box] = part | common
        whole[:] = grown(whole, (1, 1))
    return Couch(walls=walls, block=block, places=places)


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
        full = grid.spread(lungs) if lungs.any() else None
        for k in range(count)[grid.slab(layer)]:
            own = seen[k // block, places[k] : places[k] + height]
            part = above[k] if full is None else above[k] | full
            np.add(own, part.view(np.uint8), out=own)
    return seen, np.diff(np.append(starts, count))


def _lungs(cells: Mask, row_mm: float) -> Mask:
    """(Z', Y', X') large hollows in each slice of cells of tissue, and a cell around them, which joins them to it."""
    labels, _ = ndimage.label(~cells, IN_SLICE)
    lungs = np.zeros_like(cells)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        _, down, across = box
        inside = down.start > 0 and across.start > 0 and down.stop < cells.shape[1] and across.stop < cells.shape[2]
        if inside and (down.stop - down.start) * row_mm > HOLLOW_MM:
            lungs[box] |= labels[box] == number
    return grown(lungs, (0, 1, 1))


def _box(seen: NDArray[np.uint8]) -> tuple[slice, slice]:
    """The rows and columns that hold anything, and a column of air at each side where there is one, of (B, Y, X)."""
    anything = seen.any(0)
    rows, cols = (np.flatnonzero(anything.any(axis)) for axis in (1, 0))
    if rows.size == 0:
        return slice(0, 1), slice(0, 1)
    return slice(rows[0], rows[-1] + 1), slice(max(0, cols[0] - 1), cols[-1] + 2)


def _walls(share: NDArray[np.float32], faint: Mask, spacing: Spacing, long_mm: float) -> Mask:
    """(Y, X) bool: the couch in a window: faint walls, and others by the share of slices in which a place is tissue."""
    alike = share >= ALIKE
    thin = alike & _thin(alike, spacing) | faint
    rows, cols = (int(np.ceil(BRIDGE_MM / s)) for s in spacing)
    labels, count = ndimage.label(grown(thin, (rows, cols)), np.ones((3, 3)))
    labels *= thin
    boxes = ndimage.find_objects(labels)
    walls = np.zeros_like(thin)
    for part in sorted(range(count), key=lambda i: -boxes[i][0].stop):  # from the back
        down, across = boxes[part]
        if np.hypot((down.stop - down.start) * spacing[0], (across.stop - across.start) * spacing[1]) < long_mm:
            continue
        own = labels[down, across] == part + 1
        columns = np.arange(across.start, across.stop)[own.any(0)]
        last = down.stop - 1 - own[::-1].argmax(0)[own.any(0)]  # its hindmost row in each of these columns
        behind = last + EDGE
        ends = behind >= len(share)
        ends |= share[np.minimum(behind, len(share) - 1), columns] < 1 - ALIKE
        hidden = (alike[:, columns] & (np.arange(len(share))[:, None] > last)).any(0)
        if ends.mean() > 0.5 and hidden.mean() < 0.5:
            walls[down, across] |= own
            alike[down, across] &= ~own
    return walls


def _thin(mask: Mask, spacing: Spacing) -> Mask:
    """The mask's thin parts, but not the corners of its thick ones."""
    thick = _opened(mask, THIN_MM / 2, spacing)
    return np.asarray(mask & ~grown(thick, (1, 1)))


def _opened(mask: Mask, radius_mm: float, spacing: Spacing) -> Mask:
    """The mask without what no disc of this radius fits into; it goes on beyond the sides, not before or behind."""
    width = [int(np.ceil(radius_mm / s)) + 1 for s in spacing]
    padded = np.pad(np.pad(mask, [(0, 0), (width[1], width[1])], mode="edge"), [(width[0], width[0]), (0, 0)])
    boxes = _boxes_of_disc(radius_mm, spacing)
    inner = np.ones_like(padded)
    for box in boxes:
        inner &= ~grown(~padded, box)
    opened = np.zeros_like(padded)
    for box in boxes:
        opened |= grown(inner, box)
    return opened[width[0] : -width[0], width[1] : -width[1]]


def _boxes_of_disc(radius_mm: float, spacing: Spacing) -> list[tuple[int, int]]:
    """(rows, cols) to each side of boxes that together make up a disc."""
    rows = range(int(radius_mm / spacing[0]) + 1)
    widest = {int(np.sqrt(radius_mm**2 - (row * spacing[0]) ** 2) / spacing[1]): row for row in rows}
    return [(row, cols) for cols, row in widest.items()]
