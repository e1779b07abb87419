"""What the convention of labels alone explains: a network as pre-trained, corrected by a few numbers learnt on a study.

All are learnt from the predictions of training subjects, whom a network that saw renderings alone has never seen
either. Fine-tuning begins with one of them, see schedule.Schedule.convention.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import Floats
from tuning.baselines import mean_shape
from tuning.cases import Cases
from tuning.folds import Fold

Corrected = NDArray[np.float64]
LEAST_SPREAD = 1e-3  # least over greatest singular value of the points: below, they lie on a line


def offset(predicted: Floats, annotated: Floats, points: Floats) -> Corrected:
    """`points` (M, K, 2) px plus the mean of annotated - predicted (N, K, 2) px, landmark by landmark.

    NaN = not annotated; a landmark that nobody annotated stays where it is.
    """
    shift = mean_shape(np.asarray(annotated, np.float64) - predicted)
    return np.asarray(points + np.nan_to_num(shift.astype(np.float64)))


def convention(predicted: Floats, annotated: Floats) -> Corrected:
    """(K, 2) px: the mean of annotated - predicted (N, K, 2) px of each landmark, as far as it is told from chance.

    The mean of n residuals is off by itself: it is shrunk by what its squared length owes to that, their variance
    over n, and is 0 where that is all (positive-part James-Stein). NaN = not annotated; one residual tells nothing.
    """
    residuals = np.asarray(annotated, np.float64) - predicted
    known = np.isfinite(residuals).all(2)
    count = known.sum(0)
    values = np.where(known[..., None], residuals, 0)
    mean = values.sum(0) / np.maximum(count, 1)[:, None]
    spread = (np.where(known[..., None], residuals - mean, 0) ** 2).sum((0, 2)) / np.maximum(count - 1, 1)
    square = (mean**2).sum(1)
    chance = np.divide(spread, count * square, out=np.ones_like(square), where=square * (count > 1) > 0)
    return np.asarray(mean * np.clip(1 - chance, 0, 1)[:, None])


def affine(predicted: Floats, annotated: Floats, points: Floats) -> Corrected:
    """`points` (M, K, 2) px by the affine map that takes predicted (N, K, 2) px to annotated ones, all landmarks alike.

    Least squares over every annotated landmark. Where those are fewer than three, or on a line, it is `offset`.
    """
    predicted, annotated = np.asarray(predicted, np.float64), np.asarray(annotated, np.float64)
    known = np.isfinite(annotated).all(2)
    source, target = predicted[known], annotated[known]
    if len(source) < 3:
        return offset(predicted, annotated, points)
    spread = np.linalg.svd(source - source.mean(0), compute_uv=False)
    if spread[1] < LEAST_SPREAD * spread[0] or spread[0] == 0:
        return offset(predicted, annotated, points)
    matrix = np.linalg.lstsq(np.column_stack([source, np.ones(len(source))]), target, rcond=None)[0]
    return np.asarray(np.asarray(points, np.float64) @ matrix[:2] + matrix[2])


def out_of_fold(
    cases: Cases, folds: Sequence[Fold], predicted: Floats, correct: Callable[[Floats, Floats, Floats], Corrected]
) -> Corrected:
    """(N, K, 2) px: every case's predictions, corrected by what its fold's training cases say."""
    corrected = np.full(cases.points.shape, np.nan)
    for fold in folds:
        corrected[fold.test] = correct(predicted[fold.train], cases.points[fold.train], predicted[fold.test])
    return corrected
