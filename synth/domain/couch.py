"""Finds the couch in a CT of a lying body, from what is tissue in each slice: thin walls that stay alike along z.

A patient's thin parts (fingers, ears) are shorter than a couch is alike, and parts that are as long are thicker than
its walls. So a couch is cut out where it is, and nothing is cut off for being thin.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BLOCK_MM, BLOCKS = 20.0, 7  # slices are counted in blocks; a window is so many of them, longer than a finger along z
ALIKE = 0.9  # share of a window's slices in which a wall is seen;
STEADY = 0.2  # more than this in all windows of a long scan: a wall so faint that noise breaks it up
THIN_MM = 20.0  # walls are thinner, limbs that lie along z are thicker
BRIDGE_MM = 6.0  # a wall may be broken by twice this where voxels hold too little of it
LONG_MM = 25.0  # a wall's cross-section is longer than this
EDGE = 3  # voxels within which a wall's back ends in nearly every slice; skin does not keep its place as well
COMMON = 0.25  # what is couch in this share of all windows is so everywhere: under the trunk, too

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Couch:
    """Where the couch is. walls: (W, Y, X) bool, one for each window of BLOCKS blocks; block: slices per block."""

    walls: Mask
    block: int

    def among(self, k: int) -> Mask:
        """(Y, X) bool: the couch in slice k, with a rim of one voxel."""
        here = k // self.block
        own = self.walls[max(0, here - BLOCKS + 1) : here + 1]
        return np.asarray(own.any(0))

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return bool(self.walls.any())


def find_couch(slices: Iterable[Mask], spacing_mm: tuple[float, float, float]) -> Couch:
    """The couch among slices (Y, X) of tissue in order along z, y towards the couch; spacing (x, y, z) in mm."""
    sx, sy, sz = spacing_mm
    block = max(1, round(BLOCK_MM / sz))
    seen: list[NDArray[np.uint16]] = []  # per block: in how many of its slices each place is tissue
    sizes: list[int] = []
    for k, part in enumerate(slices):
        if k % block == 0:
            seen.append(np.zeros(part.shape, np.uint16))
            sizes.append(0)
        seen[-1] += part
        sizes[-1] += 1
    windows = [slice(w, w + BLOCKS) for w in range(max(1, len(seen) - BLOCKS + 1))]
    shares = np.stack([np.sum(seen[w], axis=0, dtype=np.float32) / np.float32(sum(sizes[w])) for w in windows])
    faint = np.zeros_like(shares[0], bool)
    if len(windows) > 2 * BLOCKS:
        faint = _thin((shares > STEADY).all(0), (sy, sx))
    walls = np.stack([_walls(share, faint, (sy, sx)) for share in shares])
    common = walls.mean(0) >= COMMON
    for own in walls:
        own[:] = _grown(own | common, (1, 1))
    return Couch(walls=np.asarray(walls, bool), block=block)


def _walls(share: NDArray[np.float32], faint: Mask, spacing: tuple[float, float]) -> Mask:
    """(Y, X) bool: the couch in a window: faint walls, and others by the share of slices in which a place is tissue."""
    alike = share >= ALIKE
    thin = _thin(alike, spacing) | faint
    rows, cols = (int(np.ceil(BRIDGE_MM / s)) for s in spacing)
    labels, count = ndimage.label(_grown(thin, (rows, cols)), np.ones((3, 3)))
    labels *= thin
    boxes = ndimage.find_objects(labels)
    walls = np.zeros_like(thin)
    for part in sorted(range(count), key=lambda i: -boxes[i][0].stop):  # from the back
        down, across = boxes[part]
        own = labels[down, across] == part + 1
        long = np.hypot((down.stop - down.start) * spacing[0], (across.stop - across.start) * spacing[1])
        columns = np.arange(across.start, across.stop)[own.any(0)]
        last = down.stop - 1 - own[::-1].argmax(0)[own.any(0)]  # its hindmost row in each of these columns
        behind = last + EDGE
        ends = behind >= len(share)
        ends |= share[np.minimum(behind, len(share) - 1), columns] < 1 - ALIKE
        hidden = (alike[:, columns] & (np.arange(len(share))[:, None] > last)).any(0)
        if long >= LONG_MM and ends.mean() > 0.5 and hidden.mean() < 0.5:
            walls[down, across] |= own
            alike[down, across] &= ~own
    return walls


def _thin(mask: Mask, spacing: tuple[float, float]) -> Mask:
    """The mask's thin parts, but not the corners of its thick ones."""
    thick = _opened(mask, THIN_MM / 2, spacing)
    return np.asarray(mask & ~_grown(thick, (1, 1)))


def _grown(mask: Mask, by: tuple[int, int]) -> Mask:
    """The mask dilated by a rectangle of so many rows and columns to each side."""
    grown = mask.view(np.uint8)
    for axis, steps in enumerate(by):
        grown = ndimage.maximum_filter1d(grown, 2 * steps + 1, axis)
    return np.asarray(grown.view(bool))


def _opened(mask: Mask, radius_mm: float, spacing: tuple[float, float]) -> Mask:
    """The mask without what is thinner than twice the radius; it goes on beyond the sides, not before or behind."""
    width = [int(np.ceil(radius_mm / s)) + 1 for s in spacing]
    padded = np.pad(np.pad(mask, [(0, 0), (width[1], width[1])], mode="edge"), [(width[0], width[0]), (0, 0)])
    inner = ndimage.distance_transform_edt(padded, sampling=spacing) > radius_mm
    grown = ndimage.distance_transform_edt(~inner, sampling=spacing) <= radius_mm
    return np.asarray((grown & padded)[width[0] : -width[0], width[1] : -width[1]])
