"""What needs no network: the nearest training patches, and the mean shape."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import Floats
from tuning.cases import Cases
from tuning.folds import Fold

CHUNK = 1024  # training rows unpacked at a time
BATCH = 256  # test rows whose distances to every training row are held at a time


def nearest_mean(
    train_packed: NDArray[np.uint8],
    train_points: Floats,
    test_packed: NDArray[np.uint8],
    neighbours: int = 3,
    on_rows: Callable[[int], object] | None = None,
) -> NDArray[np.float32]:
    """(M, K, 2) px, float32: the mean annotation of the nearest training patches, for M packed test patches.

    train_packed (N, B) and test_packed (M, B) uint8 are bit-packed silhouettes, train_points (N, K, 2) px. Distance is
    the number of pixels that differ; equal ones are taken in row order. A landmark takes the nearest patches that are
    annotated with it (not NaN), all of them where there are fewer than `neighbours`; NaN where there is none.
    on_rows is told how many test rows are done.
    Source: Riegler et al. 2015, section 4: three nearest patches.
    Raises: ValueError for fewer than 1 neighbour or no training patch.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}; allowed: at least 1")
    if len(train_packed) == 0:
        raise ValueError("nearest patches need at least one training patch; there is none")
    points = np.asarray(train_points, np.float64)
    annotated = np.isfinite(points).all(2)
    found = np.full((len(test_packed), *points.shape[1:]), np.nan)
    for start in range(0, len(test_packed), BATCH):
        rows = slice(start, min(start + BATCH, len(test_packed)))
        distances = hamming(test_packed[rows], train_packed)
        if annotated.all():
            found[rows] = points[_nearest(distances, neighbours)].mean(1)
        else:
            for k in range(points.shape[1]):
                usable = np.flatnonzero(annotated[:, k])
                if usable.size:
                    chosen = usable[_nearest(distances[:, usable], neighbours)]
                    found[rows, k] = points[chosen, k].mean(1)
        if on_rows is not None:
            on_rows(rows.stop - rows.start)
    return found.astype(np.float32)


def hamming(test_packed: NDArray[np.uint8], train_packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(M, N) number of bits in which packed rows (M, B) and (N, B) differ.

    |a xor b| = |a| + |b| - 2 a·b as a float32 matrix product: exact, since every partial sum is a whole number below
    2^24, and faster than a popcount table from about 20 test rows on.
    """
    assert test_packed.shape[1] * 8 < 2**24
    test = np.unpackbits(test_packed, axis=1).astype(np.float32)
    test_bits = test.sum(1)[:, None]
    distances = np.empty((len(test_packed), len(train_packed)), np.int64)
    for start in range(0, len(train_packed), CHUNK):
        train = np.unpackbits(train_packed[start : start + CHUNK], axis=1).astype(np.float32)
        distances[:, start : start + CHUNK] = test_bits + train.sum(1) - 2 * (test @ train.T)
    return distances


def _nearest(distances: NDArray[np.int64], neighbours: int) -> NDArray[np.int64]:
    """(M, min(neighbours, N)) columns of the smallest distances, nearest first; ties go to the lower column."""
    num_columns = distances.shape[1]
    keys = distances * num_columns + np.arange(num_columns)  # unique, so that partitioning is deterministic
    taken = min(neighbours, num_columns)
    smallest = np.partition(keys, taken - 1, axis=1)[:, :taken]
    return np.asarray(np.sort(smallest, axis=1) % num_columns, np.int64)


def mean_shape(train_points: Floats) -> NDArray[np.float32]:
    """(K, d) float32 mean of annotated training points (N, K, d); NaN for a landmark nobody annotated."""
    points = np.asarray(train_points, np.float64)
    annotated = np.isfinite(points)
    count = annotated.sum(0)
    total = np.where(annotated, points, 0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def mean_depth_errors_mm(cases: Cases, folds: Sequence[Fold]) -> NDArray[np.float64]:
    """(N, K) mm by which the mean normalised depth of a fold's training cases misses each test case's landmarks.

    NaN where a landmark has no depth. Source: Riegler et al. 2015, section 4, baseline of the third coordinate.
    """
    depths = cases.depths()
    errors = np.full(depths.shape, np.nan)
    if np.isfinite(depths).any():
        deviations = cases.depth_scales()[1]
        for fold in folds:
            guess = mean_shape(depths[fold.train])
            errors[fold.test] = np.abs(depths[fold.test] - guess) * deviations[fold.test, None]
    return errors
