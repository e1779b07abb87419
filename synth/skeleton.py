"""Bone frames while a figure is being posed, and the rotations that aim bones.

Bones are aimed: each takes the direction it shall have in the frame of hand or body, so that an angle means the same
for every shape.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.template import Template

Vector = NDArray[np.float64]
Range = tuple[float, float]


@dataclass(kw_only=True)
class Skeleton:
    """Bone frames while they are being posed: rotations (J, 3, 3) from rest, positions (J, 3) of the heads."""

    template: Template
    heads: Vector
    rotations: Vector = field(init=False)
    positions: Vector = field(init=False)

    def __post_init__(self) -> None:
        self.heads = np.asarray(self.heads, np.float64)
        self.rotations = np.tile(np.eye(3), (len(self.heads), 1, 1))
        self.positions = self.heads.copy()

    def settle(self, rotations: dict[int, Vector]) -> None:
        """Walk the rig from its root: a bone takes its given absolute rotation, or its parent's."""
        for j, parent in enumerate(self.template.parents):
            inherited = self.rotations[parent] if parent >= 0 else np.eye(3)
            self.rotations[j] = rotations.get(j, inherited)
            if parent >= 0:
                self.positions[j] = self.positions[parent] + inherited @ (self.heads[j] - self.heads[parent])


def about(axis: list[float] | Vector, angle_rad: float) -> Vector:
    """(3, 3) rotation about an axis through the origin, right-handed."""
    x, y, z = unit(np.asarray(axis, np.float64))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross)


def swing(source: Vector, target: Vector) -> Vector:
    """(3, 3) smallest rotation that takes the direction `source` to the direction `target`."""
    start, end = unit(source), unit(target)
    axis = np.cross(start, end)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        assert start @ end > 0, "a bone may not be turned right round"
        return np.eye(3)
    return about(axis / sine, float(np.arctan2(sine, start @ end)))


def unit(vector: Vector) -> Vector:
    """The vector at length 1."""
    return np.asarray(vector / np.linalg.norm(vector))


def check_ranges(name: str, ranges: Any) -> None:
    """Raise ValueError where a (low, high) field of the dataclass `ranges` is the wrong way round."""
    for field_name, value in vars(ranges).items():
        if isinstance(value, tuple) and not value[0] <= value[1]:
            raise ValueError(f"{name}.{field_name} is {value}; allowed: (low, high) with low <= high")
