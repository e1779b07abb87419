"""A volume's tissue in cells of a few millimetres: which cells are one piece, and which are air around the body.

What is narrower than a cell counts as closed, and what is nearer than one as touching.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CELL_MM = 4.0  # edge of a cell, in a body;
ACROSS = 128  # at least so many cells across a volume: in the MR of a hand a cell is a voxel
LEAK = 0.5  # air that a slice encloses is outside where more than this share of its section opens to the slices beside

CHUNK = 255  # rows told apart at once: in bytes, whose maximum is 50 times faster than that of wider numbers

Mask = NDArray[np.bool_]
Bits = NDArray[np.uint8]
Masks = TypeVar("Masks", Mask, Bits)
IN_SLICE = np.stack([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])  # neighbours in a slice


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cells of `steps` (z, y, x) voxels over a volume of `shape` (Z, Y, X); the last along an axis may be smaller."""

    steps: tuple[int, int, int]
    shape: tuple[int, int, int]

    def slab(self, number: int) -> slice:
        """The slices of the cells' layer `number`."""
        return slice(number * self.steps[0], (number + 1) * self.steps[0])

    def pooled(self, mask: Mask) -> Mask:
        """(Z', Y', X') bool: the cells that hold any of a mask (Z, Y, X)."""
        _, down, across = self.steps
        count, height, width = (-(-n // step) for n, step in zip(self.shape, self.steps, strict=True))
        cells = np.zeros((count, height, width), bool)
        padded = np.zeros((height * down, width * across), bool)
        for number, own in enumerate(cells):
            first, *others = mask[self.slab(number)]
            whole = padded[: self.shape[1], : self.shape[2]]
            whole[:] = first
            for other in others:
                whole |= other
            own[:] = _any_of(padded.reshape(height, down, -1).any(1), across)
        return cells

    def voxels(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        """The rows and columns of voxels in a box of cells (Y', X')."""
        return tuple(
            slice(part.start * step, min(part.stop * step, size))
            for part, step, size in zip(box, self.steps[1:], self.shape[1:], strict=True)
        )

    def spread(self, cells: Mask, box: tuple[slice, ...] | None = None) -> Mask:
        """(Y, X) bool: one layer of cells (Y', X') in voxels, or a box of them."""
        box = (slice(0, cells.shape[0]), slice(0, cells.shape[1])) if box is None else box
        _, down, across = self.steps
        rows, columns = self.voxels(box)
        part = cells[box]
        wide = np.empty((len(part), part.shape[1] * across), bool)
        for offset in range(across):  # strided, as repeat() along a short last axis is slow
            wide[:, offset::across] = part
        return wide.repeat(down, 0)[: rows.stop - rows.start, : columns.stop - columns.start]


def _any_of(rows: Mask, across: int) -> Mask:
    """(Y', X') bool: whether any of so many neighbours in a row of (Y', X' * across) is set."""
    if across in (1, 2, 4, 8):
        return np.asarray(rows.view(f"u{across}") != 0)  # as one number
    found = rows[:, ::across].copy()
    for offset in range(1, across):  # strided, as any() over a short last axis is 50 times slower
        found |= rows[:, offset::across]
    return found


def grid_over(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Grid:
    """The grid of cells for a volume of (Z, Y, X) voxels of (x, y, z) mm."""
    edge = min(CELL_MM, shape[2] * spacing_mm[0] / ACROSS)
    x, y, z = (max(1, round(edge / s)) for s in spacing_mm)
    return Grid(steps=(z, y, x), shape=shape)


def largest_piece(cells: Mask) -> Mask:
    """The largest piece of a mask (Z', Y', X'), joined through faces."""
    box = box_of(cells)
    labels, count = ndimage.label(cells[box])
    if count < 2:
        return cells
    piece = np.zeros_like(cells)
    piece[box] = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    return piece


def outside_air(occupied: Mask) -> Mask:
    """(Z', Y', X') bool: the cells of air around a body; lungs, gas and dark bone are not among them.

    Each slice is seen by itself, so that airways and the ends of the scan do not open the lungs, and openings of two
    cells are closed. What a slice encloses is air between limbs all the same where most of its section opens to the air
    outside in the slices before or behind.
    """
    outside = np.ones_like(occupied)
    box = box_of(occupied)
    around = np.pad(occupied[box], ((0, 0), (2, 2), (2, 2)))  # room for what is closed
    empty = grown(~grown(around, (0, 1, 1)), (0, 1, 1))
    labels, count = ndimage.label(empty, IN_SLICE)
    free = np.zeros(count + 1, bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        free[edge.ravel()] = True
    free[0] = False
    open_air = free[labels]
    enclosed, count = ndimage.label(empty & ~open_air)
    leaks = np.zeros(count + 1, np.intp)
    for own, beside in ((enclosed[1:], open_air[:-1]), (enclosed[:-1], open_air[1:])):
        leaks += np.bincount(own[beside & (own > 0)], minlength=count + 1)
    sizes = np.bincount(enclosed[enclosed > 0], minlength=count + 1)
    lengths = np.array([1, *(part[0].stop - part[0].start for part in ndimage.find_objects(enclosed))])
    leaking = leaks > LEAK * sizes / lengths
    leaking[0] = False
    outside[box] = (open_air | leaking[enclosed])[:, 2:-2, 2:-2]
    return outside


def box_of(cells: Mask) -> tuple[slice, ...]:
    """The box of what is set; all where nothing is."""
    slices = []
    for axis in range(cells.ndim):
        found = np.flatnonzero(cells.any(tuple(a for a in range(cells.ndim) if a != axis)))
        slices.append(slice(found[0], found[-1] + 1) if found.size else slice(None))
    return tuple(slices)


def grown(mask: Masks, by: tuple[int, ...]) -> Masks:
    """The mask, or masks packed as bits, dilated by a box of so many places to each side along each axis."""
    for axis, steps in enumerate(by):  # in threefolds, faster than a filter
        reach = 0
        while reach < steps:
            move = min(2 * reach + 1, steps - reach)
            before, mask = np.moveaxis(mask, axis, 0), mask.copy()
            reached = np.moveaxis(mask, axis, 0)
            reached[move:] |= before[:-move]
            reached[:-move] |= before[move:]
            reach += move
    return mask


def last_rows(mask: Mask) -> NDArray[np.intp]:
    """(X,) the last row of a mask (Y, X) that is set in each column; -1 for none."""
    last = np.full(mask.shape[1], -1)
    number = np.arange(1, CHUNK + 1, dtype=np.uint8)[:, None]
    for start in range(0, len(mask), CHUNK):
        part = mask[start : start + CHUNK]
        reach = np.max(part.view(np.uint8) * number[: len(part)], 0)
        np.copyto(last, start + reach.astype(np.intp) - 1, where=reach > 0)
    return last


def packed(masks: Mask) -> Bits:
    """(ceil(N / 8), Y, X) uint8: masks (N, Y, X) as bits, so that eight are worked on at once."""
    bits = np.zeros((-(-len(masks) // 8), *masks.shape[1:]), np.uint8)
    for bit in range(8):
        part = masks[bit::8].view(np.uint8)
        bits[: len(part)] |= np.left_shift(part, bit, dtype=np.uint8)
    return bits


def unpacked(bits: Bits, count: int) -> Mask:
    """(count, Y, X) bool: the masks that were packed."""
    masks = np.zeros((count, *bits.shape[1:]), np.uint8)
    for bit in range(8):
        part = masks[bit::8]
        np.bitwise_and(bits[: len(part)] >> bit, 1, out=part)
    return masks.view(bool)
