"""Structured shifts: what sets some virtual patients apart from all renderings, one switch each.

A switch is the share of people or of cases that have it, 0 to 1; how much of it they have is drawn. Each is drawn by a
generator of its own, so that turning one on changes nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

# Who or what a switch is drawn for, and for what it is meant.
_OF_PERSON = ("obesity", "scoliosis", "unequal_limbs", "swollen_joints", "ulnar_deviation", "short_finger")
_BODY_ONLY = ("flattening", "obesity", "knee_rest", "belly_hands", "scoliosis")
_HAND_ONLY = ("swollen_joints", "ulnar_deviation", "short_finger")
SIDES = ("superior", "inferior", "left", "right")  # where a volume may end early


@dataclass(frozen=True, kw_only=True)
class Shifts:
    """Shares of people, or of cases, with each shift. Deformation, couch and acquisition: see PhantomRecipe.

    Bodies. flattening: trunk and limbs flatter on the couch and wider, 5 to 15 % of their depth; obesity: BMI 40 to 58
      (without it people stay below); knee_rest: a high rest under both knees; belly_hands: both hands on the belly;
      scoliosis: the spine bent sideways in a C or an S, Cobb angle 20 to 50 degrees
    Both. unequal_limbs: one arm or leg, of a hand one finger, 3 to 10 % shorter; field_of_view: the volume ends
      early at one side, losing 5 to 20 % of it
    Hands. swollen_joints: finger joints 20 to 45 % thicker; ulnar_deviation: fingers turned 15 to 30 degrees to the
      ulnar side; short_finger: a little finger 20 to 45 % too short
    """

    flattening: float = 0.0
    obesity: float = 0.0
    knee_rest: float = 0.0
    belly_hands: float = 0.0
    scoliosis: float = 0.0
    unequal_limbs: float = 0.0
    swollen_joints: float = 0.0
    ulnar_deviation: float = 0.0
    short_finger: float = 0.0
    field_of_view: float = 0.0

    def __post_init__(self) -> None:
        for name, share in vars(self).items():
            if not 0 <= share <= 1:
                raise ValueError(f"shifts.{name} is {share}; allowed: a share of 0 to 1")

    def check(self, base: str) -> None:
        """Raise ValueError where a switch is on that "hand" or "body" does not have."""
        foreign = [name for name in (_BODY_ONLY if base == "hand" else _HAND_ONLY) if getattr(self, name) > 0]
        if foreign:
            raise ValueError(f"shifts of a {base} cannot be {', '.join(foreign)}; allowed there: 0")

    @property
    def on(self) -> dict[str, float]:
        """The switches that are on, and their shares."""
        return {name: share for name, share in vars(self).items() if share > 0}

    def draw(self, seed: int, person: int, case: int, tag: int) -> dict[str, np.random.Generator]:
        """The switches that a case has, each with the generator of how much; `tag` keeps them from other streams."""
        drawn = {}
        for k, field in enumerate(fields(self)):
            who = person if field.name in _OF_PERSON else case
            rng = np.random.default_rng([seed, who, tag, k])
            if rng.random() < getattr(self, field.name):
                drawn[field.name] = rng
        return drawn


def draw_cut(drawn: Mapping[str, np.random.Generator]) -> tuple[str, float] | None:
    """Where a volume ends early and what share is lost, see Patient.cut; drawn: of Shifts.draw."""
    rng = drawn.get("field_of_view")
    return None if rng is None else (SIDES[rng.integers(len(SIDES))], float(rng.uniform(0.05, 0.20)))
