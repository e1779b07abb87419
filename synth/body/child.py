"""Shape of a child: statures and masses by growth charts, proportions by the body model's calibrated childhood."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict

from synth.body.anthropometry import cut
from synth.body.fit import Wish, fit_people
from synth.mesh import Parameters
from synth.template import Template

# Medians of stature in metres and BMI in kg/m² at these ages in years, rounded from the CDC growth charts of 2000
# (Kuczmarski et al. 2002); the stature's coefficient of variation there is 0.04 to 0.05, the BMI's grows with age.
_YEARS = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0)
_STATURES = {
    "male": (0.865, 1.025, 1.155, 1.280, 1.385, 1.490, 1.640, 1.735),
    "female": (0.850, 1.010, 1.150, 1.275, 1.380, 1.515, 1.605, 1.625),
}
_BMIS = {
    "male": (16.6, 15.6, 15.4, 15.8, 16.6, 17.8, 19.2, 20.6),
    "female": (16.4, 15.3, 15.2, 15.8, 16.8, 18.1, 19.4, 20.5),
}
_STATURE_SPREAD = 0.045
_BMI_SPREADS = ((2.0, 6.0, 10.0, 16.0), (0.08, 0.11, 0.16, 0.17))  # deviation of the logarithm; heavier side doubled

# The model's age of a child of so many years, as calibrated with the model (anny 0.6.2, shape_calibration).
_MODEL_AGES = ((1.0, 4.0, 11.0, 16.0), (0.05, 0.215, 0.415, 0.67))


@dataclass(frozen=True, kw_only=True)
class ChildShape:
    """Children. age: years, uniform. Stature and BMI by growth chart, the heavy half spread twice as wide."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # tells the kinds of shapes apart

    age: tuple[float, float] = (2.0, 16.0)

    def __post_init__(self) -> None:
        if not 2 <= self.age[0] <= self.age[1] <= 16:
            raise ValueError(f"shape.age is {self.age}; allowed: a range within [2, 16] years")

    def sample(self, template: Template, rngs: Sequence[np.random.Generator]) -> list[Parameters]:
        """Phenotypes and factors by name, of one person per generator."""
        return fit_people(template, [self._wish(rng) for rng in rngs])

    def _wish(self, rng: np.random.Generator) -> Wish:
        sex = ("male", "female")[int(rng.random() < 0.5)]
        age = rng.uniform(*self.age)
        stature = np.interp(age, _YEARS, _STATURES[sex]) * (1 + _STATURE_SPREAD * cut(rng.normal(), -2.5, 2.5))
        heavier = cut(rng.normal(), -2.0, 2.5) * float(np.interp(age, *_BMI_SPREADS))
        bmi = np.interp(age, _YEARS, _BMIS[sex]) * np.exp(heavier * (2 if heavier > 0 else 1))
        offset = 0.25 * rng.random()
        drawn = {
            "gender": 1 - offset if sex == "female" else offset,
            "age": float(np.interp(age, *_MODEL_AGES)),
            "muscle": cut(rng.normal(0.45, 0.12), 0.0, 1.0),
            "weight": cut(0.5 + 1.2 * heavier, 0.0, 1.0),
            "height": cut(rng.normal(0.4, 0.1), 0.0, 1.0),
            "proportions": cut(rng.normal(0.5, 0.2), 0.0, 1.0),
        }
        return Wish(shape=drawn, tall=float(stature), mass=float(bmi * stature**2))
