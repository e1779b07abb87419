"""How much a result owes to the seed, apart from how much it owes to the subjects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuning.cases import Cases
from tuning.compare import subject_means
from tuning.table import Method, Unit, describe, mean_errors, seed_errors


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """The mean error of one method over S seeds of folds and training.

    mean: of the seeds' means; sd, low, high: their standard deviation (S - 1), smallest and largest
    subject_sd: standard deviation over subjects of a subject's mean error, itself averaged over seeds
    """

    method: str
    num_seeds: int
    mean: float
    sd: float
    low: float
    high: float
    subject_sd: float


def seed_spreads(cases: Cases, methods: Sequence[Method], unit: Unit) -> list[SeedSpread]:
    """One entry for each method that was trained with several seeds and has an error in `unit`."""
    spreads = []
    for method in methods:
        means = np.array([describe(errors)["mean"] for errors in seed_errors(cases, method, unit)])
        if method.repeats and np.isfinite(means).all():
            by_subject = subject_means(mean_errors(cases, method, unit), cases.subjects)
            spreads.append(
                SeedSpread(
                    method=method.label,
                    num_seeds=means.size,
                    mean=float(means.mean()),
                    sd=float(means.std(ddof=1)),
                    low=float(means.min()),
                    high=float(means.max()),
                    subject_sd=describe(by_subject)["sd"],
                )
            )
    return spreads
