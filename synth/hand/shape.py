"""Shape of a hand: draws of the body model's parameters and of each finger's own proportions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.hand.pose import hand_frame
from synth.mesh import Array, Parameters
from synth.template import Template

Spread = tuple[float, float]  # (mean, standard deviation)


@dataclass(frozen=True, kw_only=True)
class HandShape:
    """Ranges of hand shape. Phenotypes are in the body model's units: 0..1 (age: 0 baby, 1/3 child, 2/3 young, 1 old).

    age: uniform range; gender: 0 male .. 1 female, uniform in its first or last `gender_spread`;
    weight, muscle, height, proportions: (mean, deviation) of a normal cut at 0 and 1;
    changes: deviation of every local change, cut at ± 1; finger_length, finger_width, palm_width: deviation of the
    logarithm of factors drawn per finger and for the palm.
    """

    age: tuple[float, float] = (0.667, 1.0)
    gender_spread: float = 0.15
    muscle: Spread = (0.5, 0.2)
    weight: Spread = (0.5, 0.2)
    height: Spread = (0.45, 0.1)
    proportions: Spread = (0.5, 0.25)
    changes: float = 0.3
    finger_length: float = 0.0
    finger_width: float = 0.0
    palm_width: float = 0.0

    def __post_init__(self) -> None:
        if not -1 / 3 <= self.age[0] <= self.age[1] <= 1:
            raise ValueError(f"shape.age is {self.age}; allowed: a range within [-1/3, 1]")
        if not 0 < self.gender_spread <= 0.5:
            raise ValueError(f"shape.gender_spread is {self.gender_spread}; allowed: 0 < spread <= 0.5")
        spreads = (self.changes, self.finger_length, self.finger_width, self.palm_width)
        if min(spreads) < 0 or max(spreads) > 1:
            raise ValueError(f"shape deviations are {spreads}; allowed: 0 to 1")


def sample_hand_shape(shape: HandShape, changes: tuple[str, ...], rng: np.random.Generator) -> Parameters:
    """Phenotypes, local changes in [-1, 1], and factors by which each finger is longer and thicker, the palm wider."""
    female = rng.random() < 0.5
    offset = rng.random() * shape.gender_spread
    drawn = {"gender": 1 - offset if female else offset, "age": rng.uniform(*shape.age)}
    for name in ("muscle", "weight", "height", "proportions"):
        drawn[name] = float(np.clip(rng.normal(*getattr(shape, name)), 0, 1))
    for change in changes:
        drawn[change] = float(np.clip(rng.normal(0, shape.changes), -1, 1))
    for digit in range(1, 6):
        drawn[f"length_{digit}"] = float(np.exp(rng.normal(0, shape.finger_length)))
        drawn[f"width_{digit}"] = float(np.exp(rng.normal(0, shape.finger_width)))
    drawn["palm"] = float(np.exp(rng.normal(0, shape.palm_width)))
    return drawn


def proportion_hand(template: Template, vertices: Array, heads: Array, parameters: Parameters) -> tuple[Array, Array]:
    """(vertices, heads) of a rest hand with each finger scaled along and across its own axis, and the palm across."""
    side, _, _ = hand_frame(template, heads.astype(np.float64))
    moved, joints = vertices.astype(np.float64), heads.astype(np.float64)
    for digit in range(1, 6):
        bones = [template.bone(f"finger{digit}-{joint}.L") for joint in (1, 2, 3)]
        chain = bones[1:] if digit == 1 else bones  # the thumb's first bone is its metacarpal, part of the palm
        base = joints[chain[0]].copy()
        axis = joints[chain[-1]] - base
        axis /= np.linalg.norm(axis)
        share = template.weights[:, chain].sum(1)
        length, width = parameters[f"length_{digit}"], parameters[f"width_{digit}"]
        moved += share[:, None] * _stretch(moved - base, axis, length, width)
        chain = [*chain, template.bone(f"finger{digit}-3.L end")]
        joints[chain] += _stretch(joints[chain] - base, axis, length, 1.0)
    palm = (parameters["palm"] - 1) * side
    centre = joints[template.bone("finger3-1.L")]
    moved += ((moved - centre) @ side)[:, None] * palm
    joints += ((joints - centre) @ side)[:, None] * palm
    return moved.astype(np.float32), joints.astype(np.float32)


def _stretch(
    offsets: NDArray[np.float64], axis: NDArray[np.float64], length: float, width: float
) -> NDArray[np.float64]:
    along = np.maximum(offsets @ axis, 0)[:, None] * axis
    across = offsets - (offsets @ axis)[:, None] * axis
    return np.asarray((length - 1) * along + (width - 1) * across)
