"""Shape of a body: draws of adults as measured, and plain draws of the body model's own parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict

from synth.body.anthropometry import STATURE, cut, sample_measures
from synth.body.fit import Wish, fit_people
from synth.mesh import Parameters
from synth.template import Template

Spread = tuple[float, float]  # (mean, standard deviation)


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """Plain ranges of body shape. Phenotypes are in the body model's units: 0..1 (age: 0 baby, 1/3 child, 2/3 young).

    age: uniform range; gender: 0 male .. 1 female, uniform in its first or last `gender_spread`;
    weight, muscle, height, proportions: (mean, deviation) of a normal cut at 0 and 1;
    changes: deviation of every local change, cut at ± 1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # tells the kinds of shapes apart

    age: tuple[float, float] = (0.667, 1.0)
    gender_spread: float = 0.15
    muscle: Spread = (0.5, 0.2)
    weight: Spread = (0.5, 0.2)
    height: Spread = (0.45, 0.1)
    proportions: Spread = (0.5, 0.25)
    changes: float = 0.3

    def __post_init__(self) -> None:
        if not -1 / 3 <= self.age[0] <= self.age[1] <= 1:
            raise ValueError(f"shape.age is {self.age}; allowed: a range within [-1/3, 1]")
        if not 0 < self.gender_spread <= 0.5:
            raise ValueError(f"shape.gender_spread is {self.gender_spread}; allowed: 0 < spread <= 0.5")
        if not 0 <= self.changes <= 1:
            raise ValueError(f"shape.changes is {self.changes}; allowed: 0 to 1")

    def sample(self, template: Template, rngs: Sequence[np.random.Generator]) -> list[Parameters]:
        """Phenotypes and local changes in [-1, 1] by name, of one person per generator."""
        return [self._draw(template, rng) for rng in rngs]

    def _draw(self, template: Template, rng: np.random.Generator) -> Parameters:
        female = rng.random() < 0.5
        offset = rng.random() * self.gender_spread
        drawn = {"gender": 1 - offset if female else offset, "age": rng.uniform(*self.age)}
        for name in ("muscle", "weight", "height", "proportions"):
            drawn[name] = cut(rng.normal(*getattr(self, name)), 0.0, 1.0)
        for change in template.changes:
            drawn[change] = cut(rng.normal(0, self.changes), -1.0, 1.0)
        return drawn


@dataclass(frozen=True, kw_only=True)
class AdultShape:
    """Adults with the statures, masses and proportions of real people.

    age: years, uniform; bmi: range in kg/m²; of its people a share `any_bmi` is uniform over it, so that the very thin
    and the very heavy are met often, the others are log-normal (median, deviation of the logarithm) `usual_bmi`, as
    measured in US adults of 2017-2020 (NHANES: median 29, 5th to 95th percentile 21 to 44).
    Stature: normal, see synth.body.anthropometry, less 1.2 mm for each year over 45 (Sorkin et al. 1999).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # tells the kinds of shapes apart

    age: tuple[float, float] = (16.0, 90.0)
    bmi: tuple[float, float] = (14.0, 55.0)
    usual_bmi: Spread = (28.0, 0.22)
    any_bmi: float = 0.25

    def __post_init__(self) -> None:
        if not 16 <= self.age[0] <= self.age[1] <= 90:
            raise ValueError(f"shape.age is {self.age}; allowed: a range within [16, 90] years")
        if not 14 <= self.bmi[0] <= self.bmi[1] <= 55:
            raise ValueError(f"shape.bmi is {self.bmi}; allowed: a range within [14, 55] kg/m²")
        if not (self.usual_bmi[0] > 0 and self.usual_bmi[1] >= 0 and 0 <= self.any_bmi <= 1):
            values = f"{self.usual_bmi} and {self.any_bmi}"
            raise ValueError(f"shape.usual_bmi, any_bmi are {values}; allowed: positive, and a share of 0 to 1")

    def sample(self, template: Template, rngs: Sequence[np.random.Generator]) -> list[Parameters]:
        """Phenotypes, local changes and factors by name, of one person per generator."""
        return fit_people(template, [self._wish(rng) for rng in rngs])

    def _wish(self, rng: np.random.Generator) -> Wish:
        sex = ("male", "female")[int(rng.random() < 0.5)]
        age = rng.uniform(*self.age)
        mean, deviation = STATURE[sex]
        stature = mean + deviation * cut(rng.normal(), -2.8, 2.8) - 0.0012 * max(age - 45, 0)
        usual = cut(self.usual_bmi[0] * np.exp(rng.normal(0, self.usual_bmi[1])), *self.bmi)
        wide = rng.uniform(*self.bmi)
        return wish_adult(sex, age, stature, wide if rng.random() < self.any_bmi else usual, rng)


# Years of age, and BMI of the model's phenotype weight at 0, 1/2 and 1: where the factors have least to do.
_AGES = ((16.0, 90.0), (0.667, 1.0))
_WEIGHTS = {"male": (16.0, 24.0, 33.0), "female": (15.0, 20.5, 28.0)}
_SHORTEST = {"male": 1.35, "female": 1.23}  # stature in metres at phenotype height 0, 1.09 m more at 1


def wish_adult(sex: str, age: float, stature: float, bmi: float, rng: np.random.Generator) -> Wish:
    """A "male" or "female" adult, drawn; age in years, stature in metres, bmi in kg/m²."""
    wanted = sample_measures(sex, stature, bmi, age, rng)
    offset = 0.12 * rng.random()
    drawn = {
        "gender": 1 - offset if sex == "female" else offset,
        "age": float(np.interp(age, *_AGES)),
        "muscle": rng.normal(0.45, 0.15),
        "weight": float(np.interp(bmi, _WEIGHTS[sex], (0.0, 0.5, 1.0))) + rng.normal(0, 0.06),
        "height": (stature - _SHORTEST[sex]) / 1.09 + rng.normal(0, 0.05),
        "proportions": rng.normal(0.5, 0.15),
    }
    drawn = {name: cut(value, 0.0, 1.0) for name, value in drawn.items()}
    for change in ("head-scale-horiz", "head-scale-vert", "measure-thigh-circ"):
        drawn[change] = cut(rng.normal(0, 0.25), -1.0, 1.0)
    drawn["stomach-pregnant"] = cut(rng.normal(0.02 * (bmi - 27), 0.15), -0.3, 0.6)  # a belly, not a child
    return Wish(shape=drawn, tall=stature, mass=bmi * stature**2, measures=wanted)
