"""Honest radii from out-of-fold residuals: split-conformal, one score per subject."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics import Floats

LEVEL = 0.9


@dataclass(frozen=True, kw_only=True)
class Radii:
    """Per landmark, the radius that holds `level` of new subjects; None where too few were seen.

    radius: (K) in the unit of the residuals, or None
    num_subjects: (K) subjects with that landmark annotated
    reason: why there are None, empty where there are none
    """

    radius: tuple[float | None, ...]
    num_subjects: tuple[int, ...]
    reason: str
    level: float = LEVEL


def subject_scores(residuals: Floats, subjects: Sequence[str]) -> NDArray[np.float64]:
    """(S, K) one score per subject, in the order of sorted names: the largest residual over its cases.

    The largest, not the mean: subjects are exchangeable and their images are not, so the radius then holds for every
    image of a new subject. NaN where the landmark is annotated in none of its cases.
    """
    values = np.asarray(residuals, np.float64)
    named = np.asarray(subjects, dtype=object)
    filled = np.where(np.isfinite(values), values, -np.inf)
    scores = np.stack([filled[named == name].max(0) for name in sorted(set(subjects))])
    return np.where(np.isfinite(scores), scores, np.nan)


def conformal_radius(scores: Floats, level: float = LEVEL) -> float | None:
    """The ceil((n + 1) * level)-th smallest of n finite scores; None where n is too small for one to exist.

    Source: Vovk et al. 2005; at level 0.9 it takes at least 9 scores.
    """
    finite = np.sort(np.asarray(scores, np.float64)[np.isfinite(scores)])
    rank = math.ceil(round((finite.size + 1) * level, 9))  # rounded: 0.9 * 10 must be 9
    return float(finite[rank - 1]) if rank <= finite.size else None


def conformal_radii(residuals: Floats, subjects: Sequence[str], level: float = LEVEL) -> Radii:
    """Radii per landmark from residuals (N, K) of cases that the predicting network had not seen."""
    scores = subject_scores(residuals, subjects)
    radius = tuple(conformal_radius(column, level) for column in scores.T)
    counts = tuple(int(n) for n in np.isfinite(scores).sum(0))
    least = math.ceil(round(level / (1 - level), 9))
    reason = ""
    if None in radius:
        reason = f"a {level:.0%} radius needs at least {least} annotated subjects; the fewest here are {min(counts)}"
    return Radii(radius=radius, num_subjects=counts, reason=reason, level=level)
