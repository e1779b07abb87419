"""The cases of a study that stand out by their measures: the ones to look at first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from synth.domain.measures import Measures

STANDS_OUT = 3.5  # robust z-score; Iglewicz and Hoaglin 1993, How to detect and handle outliers
FEWEST = 5  # cases among which a median and a spread mean something
TIGHT = 0.05  # the spread is taken to be at least this share of the median: cases that are all alike make no outlier
MOST = 5

Value = Callable[[Measures], float | None]
# measure: (how it is taken, the least spread, whether small values stand out too)
LOOKED_AT: dict[str, tuple[Value, float, bool]] = {
    "area": (lambda m: m.area, 0.0, True),
    "share of the image": (lambda m: m.share, 0.02, True),
    "threshold": (lambda m: m.threshold, 0.0, True),
    "depth range": (lambda m: m.depth_range_mm, 2.0, True),
    "mean thickness": (lambda m: m.mean_thickness_mm, 1.0, True),
    "area of the second part": (lambda m: m.second_area / m.area, 0.01, False),
    "parts": (lambda m: float(m.parts), 1.0, False),
    "holes": (lambda m: float(m.holes), 1.0, False),
    "border contact": (lambda m: m.top + m.bottom + m.left + m.right, 0.05, False),
    "landmark off the outline": (lambda m: m.farthest, 1.0, False),
    "landmarks missing": (lambda m: float(m.missing), 0.5, False),
    "landmarks outside": (lambda m: float(m.outside), 0.5, False),
}


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A case and the measure by which it stands out most; score: its robust z-score within the study."""

    case: str
    measure: str
    value: float
    median: float
    score: float

    def __str__(self) -> str:
        if self.median > 0 and self.value > 0:
            return f"{self.case} ({self.measure} {self.value / self.median:.2g} times the median)"
        return f"{self.case} ({self.measure} {self.value:.3g}, median {self.median:.3g})"


def suspects(rows: Sequence[Measures]) -> list[Suspect]:
    """The cases that stand out, the worst first: (value - median) / (1.4826 x median absolute deviation) over 3.5.

    Lengths are compared among cases of one unit, mm where there is any.
    """
    unit = "mm" if any(row.unit == "mm" for row in rows) else "px"
    worst: dict[str, Suspect] = {}
    for name, (value, least, both) in LOOKED_AT.items():
        lengths = name in ("area", "landmark off the outline")
        taken = [(row.case, value(row)) for row in rows if row.unit == unit or not lengths]
        known = [(case, number) for case, number in taken if number is not None]
        if len(known) < FEWEST:
            continue
        numbers = np.array([number for _, number in known])
        median = float(np.median(numbers))
        spread = max(1.4826 * float(np.median(np.abs(numbers - median))), TIGHT * abs(median), least, 1e-9)
        for case, number in known:
            score = (number - median) / spread
            score = abs(score) if both else score
            if score > STANDS_OUT and (case not in worst or score > worst[case].score):
                worst[case] = Suspect(case=case, measure=name, value=number, median=median, score=score)
    return sorted(worst.values(), key=lambda suspect: -suspect.score)


def sentence(rows: Sequence[Measures]) -> str:
    """Which cases to look at, for the last line of a verb; as scores within the study alone can tell."""
    if len(rows) < FEWEST:
        return f"look at all: fewer than {FEWEST} cases, too few to say which stands out"
    found = suspects(rows)
    if not found:
        return "no case stands out within the study"
    more = f" and {len(found) - MOST} more in study.csv" if len(found) > MOST else ""
    return f"look at: {', '.join(map(str, found[:MOST]))}{more}"
