"""Shape of a body: draws of the body model's parameters."""

from dataclasses import dataclass

import numpy as np

from synth.mesh import Parameters

Spread = tuple[float, float]  # (mean, standard deviation)


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """Ranges of body shape. Phenotypes are in the body model's units: 0..1 (age: 0 baby, 1/3 child, 2/3 young, 1 old).

    age: uniform range; gender: 0 male .. 1 female, uniform in its first or last `gender_spread`;
    weight, muscle, height, proportions: (mean, deviation) of a normal cut at 0 and 1;
    changes: deviation of every local change, cut at ± 1.
    """

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


def sample_body_shape(shape: BodyShape, changes: tuple[str, ...], rng: np.random.Generator) -> Parameters:
    """Phenotypes and local changes in [-1, 1] by name."""
    female = rng.random() < 0.5
    offset = rng.random() * shape.gender_spread
    drawn = {"gender": 1 - offset if female else offset, "age": rng.uniform(*shape.age)}
    for name in ("muscle", "weight", "height", "proportions"):
        drawn[name] = float(np.clip(rng.normal(*getattr(shape, name)), 0, 1))
    for change in changes:
        drawn[change] = float(np.clip(rng.normal(0, shape.changes), -1, 1))
    return drawn
