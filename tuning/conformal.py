"""Honest radii from out-of-fold residuals: cross-conformal, one score per subject, in multiples of each case's sigma.

A score is an error over what the network expected of it, so that a case it is unsure of gets a wider circle. On virtual
hands and bodies that made radii 5 to 18 % smaller at equal coverage than plain errors did, for all landmarks together
5 to 30 % (docs/decisions.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics import Floats

LEVEL = 0.9
SMALLEST_SIGMA = 1e-3  # px; a prediction cannot be surer


@dataclass(frozen=True, kw_only=True)
class Radii:
    """Multiples of a case's sigma that hold `level` of new subjects; None where too few were seen.

    radius: (K) for each landmark by itself; num_subjects: (K) subjects with that landmark annotated
    simultaneous: for all landmarks together; num_simultaneous: subjects with every landmark annotated
    reason: why there is a None, empty where there is none
    """

    radius: tuple[float | None, ...]
    num_subjects: tuple[int, ...]
    simultaneous: float | None
    num_simultaneous: int
    reason: str
    level: float = LEVEL


def subject_scores(residuals: Floats, subjects: Sequence[str]) -> NDArray[np.float64]:
    """(S, K) one score per subject, in the order of sorted names: the largest residual over its cases.

    The largest, not the mean: subjects are exchangeable and their images are not, so the radius then holds for every
    image of a new subject. NaN where the landmark is annotated in none of its cases.
    """
    values = np.asarray(residuals, np.float64)
    names, place = np.unique(np.asarray(subjects), return_inverse=True)
    scores = np.full((len(names), values.shape[1]), -np.inf)
    np.maximum.at(scores, place, np.where(np.isfinite(values), values, -np.inf))
    return np.where(np.isfinite(scores), scores, np.nan)


def conformal_radius(scores: Floats, level: float = LEVEL) -> float | None:
    """The ceil((n + 1) * level)-th smallest of n finite scores; None where n is too small for one to exist.

    Source: Vovk et al. 2005; at level 0.9 it takes at least 9 scores.
    """
    finite = np.sort(np.asarray(scores, np.float64)[np.isfinite(scores)])
    rank = math.ceil(round((finite.size + 1) * level, 9))  # rounded: 0.9 * 10 must be 9
    return float(finite[rank - 1]) if rank <= finite.size else None


def conformal_radii(residuals: Floats, sigma: Floats, subjects: Sequence[str], level: float = LEVEL) -> Radii:
    """Radii from residuals (N, K) of cases that the predicting network had not seen, and what it expected (N, K).

    Both in one unit; NaN where a landmark is not annotated. All landmarks together: the largest score of a subject.
    Source: normalised scores, Papadopoulos et al. 2008; cross-conformal, Vovk 2015. A subject is left out whole.
    """
    scores = subject_scores(np.asarray(residuals, np.float64) / np.maximum(sigma, SMALLEST_SIGMA), subjects)
    radius = tuple(conformal_radius(column, level) for column in scores.T)
    largest = scores.max(1)  # NaN where a landmark is missing: without it the largest could be too small
    simultaneous = conformal_radius(largest, level)
    counts = tuple(int(n) for n in np.isfinite(scores).sum(0))
    complete = int(np.isfinite(largest).sum())
    least = math.ceil(round(level / (1 - level), 9))
    reason = ""
    if None in radius:
        reason = f"a {level:.0%} radius needs at least {least} annotated subjects; the fewest here are {min(counts)}"
    elif simultaneous is None:
        reason = (
            f"a {level:.0%} radius of all landmarks needs {least} subjects that have every one; here are {complete}"
        )
    return Radii(
        radius=radius,
        num_subjects=counts,
        simultaneous=simultaneous,
        num_simultaneous=complete,
        reason=reason,
        level=level,
    )
