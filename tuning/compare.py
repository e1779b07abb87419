"""One method against another, by subject: the effect and its interval first, then a test; Holm for several tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.metrics import Floats
from tuning.cases import Errors

LEAST_SUBJECTS = 6  # with fewer, even an unbroken row of wins has p > 0.05 two-sided
LEVEL = 0.95  # of intervals
RESAMPLES = 9999

Interval = tuple[float, float]
Statistic = Callable[[Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Method a against method b, by subject; a is better where the difference is negative and the ratio below 1.

    a, b: means over subjects of a subject's mean error; difference: a - b; ratio: a / b
    interval, ratio_interval: of those two at LEVEL; p: two-sided; all None below LEAST_SUBJECTS: described, not tested
    better: subjects for whom a is better
    """

    a: float
    b: float
    difference: float
    ratio: float
    interval: Interval | None
    ratio_interval: Interval | None
    better: int
    num_subjects: int
    p: float | None


def compare(a: Errors, b: Errors, subjects: Sequence[str]) -> Comparison:
    """The comparison of errors (N, K) of two methods on the same cases; only landmarks with both errors count.

    Raises: ValueError where no landmark has both.
    """
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        raise ValueError("the two methods have no landmark in common; a comparison needs at least one")
    ours, theirs = (subject_means(np.where(both, errors, np.nan), subjects) for errors in (a, b))
    tested = ours.size >= LEAST_SUBJECTS
    gap = ours - theirs
    return Comparison(
        a=float(ours.mean()),
        b=float(theirs.mean()),
        difference=float(gap.mean()),
        ratio=float(ours.mean() / theirs.mean()) if theirs.any() else float("nan"),
        interval=studentised(mean_difference, ours, theirs) if tested else None,
        ratio_interval=_ratio_interval(ours, theirs) if tested else None,
        better=int((gap < 0).sum()),
        num_subjects=ours.size,
        p=sign_flip_p(gap) if tested else None,
    )


def subject_means(errors: Errors, subjects: Sequence[str]) -> Errors:
    """(S,) mean error of each subject, by name, over all its cases and landmarks of errors (N, K).

    NaN is left out, and so is a subject that has nothing else.
    """
    names = np.asarray(subjects, dtype=object)
    rows = [errors[names == name] for name in sorted(set(subjects))]
    return np.array([np.nanmean(values) for values in rows if np.isfinite(values).any()], np.float64)


def mean_difference(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """(mean of a - b, its standard error) over the last axis, S subjects."""
    gap = a - b
    return gap.mean(-1), gap.std(-1, ddof=1) / np.sqrt(gap.shape[-1])


def log_ratio(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """(log of mean a / mean b, its standard error by the delta method) over the last axis, S subjects."""
    top, bottom = a.mean(-1, keepdims=True), b.mean(-1, keepdims=True)
    influence = a / top - b / bottom
    return np.log(top / bottom)[..., 0], influence.std(-1, ddof=1) / np.sqrt(a.shape[-1])


def studentised(statistic: Statistic, a: Floats, b: Floats) -> Interval:
    """Interval at LEVEL of a statistic of paired a, b (S,): bootstrap-t, subjects resampled together, seeded.

    Studentised, not BCa: at 6 to 20 subjects BCa held the mean of a skewed difference in 83 to 93 % of samples, this
    one in 91 to 95 % (tests/benchmarks/intervals.py). Source: Efron and
    Tibshirani 1993, An Introduction to the Bootstrap, section 12.5.
    """
    estimate, error = statistic(a, b)
    rows = np.random.default_rng([0, a.size]).integers(0, a.size, (RESAMPLES, a.size))
    resampled, errors = statistic(a[rows], b[rows])
    usable = errors > 1e-6 * error  # a resample of one subject alone has no spread of its own
    if not (error > 0 and usable.any()):
        return float(estimate), float(estimate)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile((resampled[usable] - estimate) / errors[usable], [tail, 1 - tail])
    return float(estimate - high * error), float(estimate - low * error)


def _ratio_interval(a: Errors, b: Errors) -> Interval | None:
    if not ((a > 0).all() and (b > 0).all()):  # a logarithm needs errors; only a toy has none
        return None
    low, high = np.exp(studentised(log_ratio, a, b))
    return float(low), float(high)


def sign_flip_p(differences: Floats) -> float:
    """Two-sided p of a zero mean of differences (S,) under random signs: every pattern up to 13, else 9,999 seeded."""
    values = np.asarray(differences, np.float64)
    test = stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        rng=np.random.default_rng([1, values.size]),
    )
    return float(test.pvalue)


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """(M,) p-values of one family, adjusted so that any false finding in it is as rare as each p says.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)), 1)
    return adjusted
