"""The people of a virtual study: sex, age, stature and mass, and the shape parameters that they give."""

from dataclasses import dataclass, replace

import numpy as np

from synth.body.anthropometry import STATURE, cut, mean_measures
from synth.body.fit import fit_people
from synth.body.shape import AdultShape, wish_adult
from synth.hand.shape import HandShape, sample_hand_shape
from synth.mesh import Parameters, stored
from synth.template import Template

OBESE_BMI = (40.0, 58.0)
_BLOCK = 10  # people, of whom a share is female: every ten people hold as many as asked


@dataclass(frozen=True, kw_only=True)
class Person:
    """One virtual person. age in years; stature in metres and bmi in kg/m², NaN for the owner of a hand."""

    sex: str
    age: float
    stature: float
    bmi: float
    parameters: Parameters

    @property
    def attributes(self) -> dict[str, str | float]:
        """What a study would know of them."""
        found: dict[str, str | float] = {"sex": self.sex, "age": round(self.age)}
        if np.isfinite(self.stature):
            found |= {"stature_m": round(self.stature, 3), "bmi": round(self.bmi, 1)}
        return found


def sex_of(number: int, female: float, rng: np.random.Generator) -> str:
    """ "female" or "male" of person `number`; rng: one that all people of its ten share."""
    place = rng.permutation(_BLOCK)[number % _BLOCK]
    return "female" if place < round(female * _BLOCK) else "male"


def check_female(female: float) -> None:
    """Raise ValueError for a share of women that ten people cannot have."""
    if not 0 <= female <= 1 or abs(female * _BLOCK - round(female * _BLOCK)) > 1e-9:
        raise ValueError(f"phantom.female is {female}; allowed: 0 to 1 in tenths")


def sample_adult(
    shape: AdultShape, template: Template, sex: str, widen: float, obese: np.random.Generator | None,
    rng: np.random.Generator,
) -> Person:  # fmt: skip
    """An adult of this sex, drawn from the shape's ages and usual BMI, below 40 unless `obese` draws it.

    widen: times the spread of proportions that was measured in people of that stature, mass and age
    """
    age = float(rng.uniform(*shape.age))
    mean, deviation = STATURE[sex]
    stature = mean + deviation * cut(rng.normal(), -2.8, 2.8) - 0.0012 * max(age - 45, 0)
    bmi = _bmi(shape, rng) if obese is None else float(obese.uniform(*OBESE_BMI))
    wish = wish_adult(sex, age, stature, bmi, rng)
    assert wish.measures is not None
    usual = mean_measures(sex, stature, bmi, age)
    wish = replace(wish, measures=usual + widen * (wish.measures - usual))
    return Person(sex=sex, age=age, stature=stature, bmi=bmi, parameters=stored(fit_people(template, [wish])[0]))


def _bmi(shape: AdultShape, rng: np.random.Generator) -> float:
    """As AdultShape says, but always below OBESE_BMI."""
    low, high = shape.bmi[0], OBESE_BMI[0]
    if rng.random() < shape.any_bmi:
        return float(rng.uniform(low, high))
    median, spread = shape.usual_bmi
    while not low <= (bmi := float(median * np.exp(rng.normal(0, spread)))) < high:
        pass
    return bmi


def sample_hand(shape: HandShape, template: Template, sex: str, rng: np.random.Generator) -> Person:
    """The owner of a hand, of this sex, drawn from the shape."""
    minor, share = rng.random() < shape.minors, rng.random()
    low, high = shape.age_years
    if low < 18 < high:
        low, high = (low, 18.0) if minor else (18.0, high)
    years = float(low + share * (high - low))
    drawn = sample_hand_shape(replace(shape, age_years=(years, years)), template.changes, rng)
    if (drawn["gender"] > 0.5) != (sex == "female"):
        drawn["gender"] = 1 - drawn["gender"]
    return Person(sex=sex, age=years, stature=np.nan, bmi=np.nan, parameters=stored(drawn))
