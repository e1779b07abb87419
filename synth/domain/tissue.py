"""What of a volume is the patient: above a threshold, not the couch, in one piece. Slice by slice, without a copy."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.couch import Couch, Mask, find_couch

COARSE_MM = 4.0  # edge of the blocks in which pieces are told apart


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """Slices (Y, X) bool of a volume (Z, Y, X), y towards the back.

    couch: what is cut out; body (Z', Y', X') bool: which blocks of `steps` (z, y, x) voxels are kept; None: all.
    """

    voxels: NDArray[np.generic]
    level: float
    couch: Couch | None = None
    body: Mask | None = None
    steps: tuple[int, int, int] = (1, 1, 1)

    def __len__(self) -> int:
        return len(self.voxels)

    def __getitem__(self, k: int) -> Mask:
        above = np.asarray(self.voxels[k] > self.level)
        if self.couch is not None:
            above &= ~self.couch.among(k)
        if self.body is not None:
            height, width = above.shape
            coarse = self.body[k // self.steps[0]]
            above &= coarse.repeat(self.steps[1], 0)[:height].repeat(self.steps[2], 1)[:, :width]
        return above

    def __iter__(self) -> Iterator[Mask]:
        return (self[k] for k in range(len(self)))


def without_couch(tissue: Tissue, spacing_mm: tuple[float, float, float]) -> Tissue:
    """The largest piece of tissue that is left when the couch is cut out."""
    return largest_piece(replace(tissue, couch=find_couch(tissue, spacing_mm)), spacing_mm)


def largest_piece(tissue: Tissue, spacing_mm: tuple[float, float, float]) -> Tissue:
    """The largest piece of tissue, found in blocks of about COARSE_MM, so that what is nearer than that is one."""
    x, y, z = (max(1, round(COARSE_MM / s)) for s in spacing_mm)
    coarse: list[Mask] = []
    for k, part in enumerate(tissue):
        padded = np.pad(part, [(0, -part.shape[0] % y), (0, -part.shape[1] % x)])
        rows = padded.reshape(-1, y, padded.shape[1]).any(1)
        blocks = rows.reshape(len(rows), -1, x).any(2)
        if k % z:
            coarse[-1] |= blocks
        else:
            coarse.append(blocks)
    labels, count = ndimage.label(np.stack(coarse))
    if count < 2:
        return tissue
    return replace(tissue, body=labels == np.bincount(labels.ravel())[1:].argmax() + 1, steps=(z, y, x))
