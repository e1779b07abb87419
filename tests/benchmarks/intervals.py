#!/usr/bin/env python3
"""How often 95 % intervals of a mean difference hold it: BCa, studentised bootstrap and Student's t, by subjects.

  python tests/benchmarks/intervals.py --out /tmp/intervals.json

300 draws for each of three distributions of a subject's difference: normal, skewed, and the gap of two skewed errors.
On 2 cores: a minute.
"""

import argparse
import json
from collections.abc import Callable

import numpy as np
from scipy import stats

from training.provenance import git_commit, versions
from tuning.compare import LEVEL, mean_difference, studentised

DRAWS = 300
# name: (differences of n subjects, their true mean)
KINDS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "normal": (lambda generator, n: generator.normal(0.5, 1, n), 0.5),
    "skewed": (lambda generator, n: generator.lognormal(0, 0.8, n), float(np.exp(0.32))),
    "gap": (lambda generator, n: generator.gamma(4, 0.25, n) - generator.gamma(2, 1, n), -1.0),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", required=True)
    found = [coverage(kind, n) for n in (6, 10, 20, 44) for kind in KINDS]
    for row in found:
        print(row, flush=True)
    with open(options.parse_args().out, "w", encoding="utf-8") as stream:
        json.dump(
            {"commit": git_commit(), "versions": versions(), "draws": DRAWS, "level": LEVEL, "coverage": found},
            stream,
            indent=1,
        )


def coverage(kind: str, num_subjects: int) -> dict[str, object]:
    """The share of draws whose interval holds the true mean, by method."""
    draw, true = KINDS[kind]
    held = {"BCa": 0, "studentised": 0, "t": 0}
    for index in range(DRAWS):
        generator = np.random.default_rng([1, num_subjects, index])
        gap = draw(generator, num_subjects)
        bca = stats.bootstrap((gap,), np.mean, n_resamples=1999, rng=generator).confidence_interval
        intervals = {
            "BCa": (bca.low, bca.high),
            "studentised": studentised(mean_difference, gap, np.zeros_like(gap)),
            "t": tuple(stats.ttest_1samp(gap, 0).confidence_interval(LEVEL)),
        }
        for name, (low, high) in intervals.items():
            held[name] += bool(low <= true <= high)
    return {"kind": kind, "subjects": num_subjects, **{name: round(count / DRAWS, 3) for name, count in held.items()}}


if __name__ == "__main__":
    main()
