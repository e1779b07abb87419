"""The plan of an epoch: which sample is in which step. A function of seed, epoch and count alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 512  # neighbouring rows are read together: a row group
WINDOW = 16  # blocks that are mixed with each other


def windows(seed: int, epoch: int, count: int) -> Iterator[NDArray[np.int64]]:
    """(n,) int64 rows of each window of an epoch over `count` rows, in the order in which they are visited.

    Blocks of neighbouring rows are drawn in any order, and the rows of WINDOW blocks are mixed: whoever streams reads
    blocks as they lie and holds one window. Up to WINDOW * BLOCK rows this is a plain permutation.
    """
    rng = np.random.default_rng([seed, epoch])
    blocks = rng.permutation(-(-count // BLOCK))
    for start in range(0, len(blocks), WINDOW):
        rows = np.concatenate([np.arange(b * BLOCK, min((b + 1) * BLOCK, count)) for b in blocks[start:][:WINDOW]])
        yield rng.permutation(rows)


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """(count,) int64: every row once, in the order in which an epoch visits them; step s takes batch s of it."""
    return np.concatenate(list(windows(seed, epoch, count)))


def num_steps(count: int, batch: int) -> int:
    """Steps of an epoch over `count` rows; the last batch may be smaller."""
    return -(-count // batch)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: whole epochs, steps of the epoch that has begun, and the sum of those steps' losses."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
