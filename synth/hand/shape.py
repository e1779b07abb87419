"""Shape of a hand: draws of the body model's parameters and of each finger's own proportions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.hand.rig import KNOBS
from synth.mesh import Parameters
from synth.skeleton import Range

Spread = tuple[float, float]  # (mean, standard deviation)

# Years at which the body model has these ages (anny 0.6.2, shape_distribution: fitted to WHO heights by age).
_YEARS = (0.0, 1.0, 4.0, 11.0, 16.0, 18.0, 64.0, 110.0)
_MODEL_AGE = (0.0, 0.05, 0.215, 0.415, 0.67, 0.77, 0.83, 1.0)
_OF_AGE, _ARTHRITIC_AGE = 18.0, 45.0


@dataclass(frozen=True, kw_only=True)
class HandShape:
    """Ranges of hand shape. Phenotypes are in the body model's units: 0..1.

    age_years: ages drawn, 0 to 110; minors: share under 18 (each part uniform in years)
    gender: 0 male .. 1 female, uniform in its first or last `gender_spread`
    weight, muscle, height, proportions: (mean, deviation) of a normal cut at 0 and 1
    changes: deviation of every local change, cut at ± 1
    fingers, row, finger_length, phalanx: deviations of the logarithms of length factors: of all fingers against the
      palm, of each row of phalanges, of each finger, of each phalanx (twice that for the little finger's middle one)
    finger_width: the same for thickness, once for all fingers (thin, swollen) and again for each; palm_width: of the
      palm with the forearm
    knuckle: deviation of a knuckle's place along the hand, as a share of the hand's length
    joint_width: deviation of a finger joint's thickness; arthritic: share of people over 45 with nodes on some joints
    Source of the defaults: height as the body model is calibrated (mean 0.33-0.39, deviation 0.07), but wider. Lengths:
    901 hands of the Digital Hand Atlas, deviations of the logarithms (fingers/palm 0.048, finger/middle finger
    0.016-0.038, phalanx 0.033-0.057, the little finger's middle one 0.094, breadth of the knuckles 0.056), up to 1.5
    times, for people of other ages and origins. Nodes: Kellgren & Moore 1952 (Br Med J 1:181): last joints first, then
    middle ones, several at once.
    """

    age_years: Range = (2.0, 90.0)
    minors: float = 0.4
    gender_spread: float = 0.5
    muscle: Spread = (0.5, 0.25)
    weight: Spread = (0.5, 0.25)
    height: Spread = (0.38, 0.12)
    proportions: Spread = (0.5, 0.25)
    changes: float = 0.4
    fingers: float = 0.05
    row: float = 0.035
    finger_length: float = 0.02
    phalanx: float = 0.025
    finger_width: float = 0.08
    palm_width: float = 0.07
    knuckle: float = 0.008
    joint_width: float = 0.05
    arthritic: float = 0.15

    def __post_init__(self) -> None:
        if not 0 <= self.age_years[0] <= self.age_years[1] <= _YEARS[-1]:
            raise ValueError(f"shape.age_years is {self.age_years}; allowed: a range within 0 to 110")
        if not 0 < self.gender_spread <= 0.5:
            raise ValueError(f"shape.gender_spread is {self.gender_spread}; allowed: 0 < spread <= 0.5")
        if not 0 <= self.minors <= 1 or not 0 <= self.arthritic <= 1:
            raise ValueError(f"shape.minors, arthritic are {self.minors}, {self.arthritic}; allowed: 0 to 1")
        lengths = (self.fingers, self.row, self.finger_length, self.phalanx, self.knuckle)
        spreads = (self.changes, self.finger_width, self.palm_width, self.joint_width, *lengths)
        if min(spreads) < 0 or max(spreads) > 1:
            raise ValueError(f"shape deviations are {spreads}; allowed: 0 to 1")


def sample_hand_shape(shape: HandShape, changes: tuple[str, ...], rng: np.random.Generator) -> Parameters:
    """Phenotypes, local changes in [-1, 1], and factors of length and thickness of each phalanx, joint and the palm."""
    female = rng.random() < 0.5
    offset = rng.random() * shape.gender_spread
    years = _draw_years(shape, rng)
    drawn = {"gender": 1 - offset if female else offset, "age": float(np.interp(years, _YEARS, _MODEL_AGE))}
    for name in ("muscle", "weight", "height", "proportions"):
        drawn[name] = float(np.clip(rng.normal(*getattr(shape, name)), 0, 1))
    for change, value in zip(changes, np.clip(rng.normal(0, shape.changes, len(changes)), -1, 1), strict=True):
        drawn[change] = float(value)
    lengths = (
        rng.normal(0, shape.fingers)
        + rng.normal(0, shape.row, (1, 3))
        + rng.normal(0, shape.finger_length, (5, 1))
        + rng.normal(0, shape.phalanx, (5, 3)) * _own_spread()
    )
    widths = rng.normal(0, shape.finger_width) + rng.normal(0, shape.finger_width, 5)
    swelling = _draw_swelling(shape, years, rng)
    for digit in range(5):
        for joint in range(3):
            drawn[f"length_{digit + 1}_{joint + 1}"] = float(np.exp(lengths[digit, joint]))
        drawn[f"width_{digit + 1}"] = float(np.exp(widths[digit]))
    for (digit, joint), share in zip(KNOBS, swelling, strict=True):
        drawn[f"swelling_{digit}_{joint}"] = float(share)
    drawn["palm"] = float(np.exp(rng.normal(0, shape.palm_width)))
    for digit, shift in zip((2, 4, 5), rng.normal(0, shape.knuckle, 3), strict=True):
        drawn[f"knuckle_{digit}"] = float(shift)
    return drawn


def _draw_years(shape: HandShape, rng: np.random.Generator) -> float:
    low, high = shape.age_years
    minor = rng.random() < shape.minors
    share = rng.random()
    if low < _OF_AGE < high:
        low, high = (low, _OF_AGE) if minor else (_OF_AGE, high)
    return low + share * (high - low)


def _own_spread() -> NDArray[np.float64]:
    spread = np.ones((5, 3))
    spread[4, 1] = 2.0
    return spread


def _draw_swelling(shape: HandShape, years: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(9,) by how much of its thickness each of KNOBS is thicker; nodes come on top, more often on last joints."""
    count = len(KNOBS)
    swelling = np.clip(rng.normal(0, shape.joint_width, count), -0.15, 0.15)
    ill = rng.random() < shape.arthritic and years > _ARTHRITIC_AGE
    often = np.array([0.6 if joint == 2 else 0.3 for _, joint in KNOBS])
    nodes = rng.uniform(0.05, 0.3, count) * (rng.random(count) < often)
    return np.asarray(swelling + (nodes if ill else 0.0))
