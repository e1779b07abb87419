"""Bone frames while a figure is being posed, and the rotations that aim bones.

Bones are aimed: each takes the direction it shall have in the frame of hand or body, so that an angle means the same
for every shape.
"""

import math
from dataclasses import dataclass, field
from functools import cache
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
        """Turn the rig: a bone takes its given absolute rotation, or that of its nearest ancestor which has one."""
        parents, ancestry = _rig(self.template)
        frames = np.empty((len(parents) + 1, 3, 3))
        frames[-1] = np.eye(3)
        frames[list(rotations)] = np.stack(list(rotations.values()))
        self.rotations = frames[_sources(self.template, frozenset(rotations))]
        steps = np.einsum("jab,jb->ja", self.rotations[parents], self.heads - self.heads[parents])
        steps[0] = self.heads[0]
        self.positions = ancestry @ steps


@cache
def _sources(template: Template, given: frozenset[int]) -> NDArray[np.intp]:
    """(J,) the bone whose rotation each bone takes: itself where given, else the nearest such ancestor; -1: none."""
    source = [-1] * len(template.parents)
    for j, parent in enumerate(template.parents):
        source[j] = j if j in given else (source[parent] if parent >= 0 else -1)
    return np.array(source)


@cache
def _rig(template: Template) -> tuple[NDArray[np.intp], Vector]:
    """(J,) parents, the root's its own; (J, J) ancestry: 1 where a bone is the other, or an ancestor of it."""
    parents = np.array([max(parent, 0) for parent in template.parents])
    assert template.parents[0] < 0, "the root comes first"
    ancestry = np.eye(len(parents))
    for j, parent in enumerate(template.parents[1:], start=1):
        ancestry[j] += ancestry[parent]
    return parents, ancestry


def about(axis: list[float] | Vector, angle_rad: float) -> Vector:
    """(3, 3) rotation about an axis through the origin, right-handed."""
    x, y, z = unit(np.asarray(axis, np.float64)).tolist()
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    v = 1 - c
    return np.array(
        [
            [c + v * x * x, v * x * y - s * z, v * x * z + s * y],
            [v * x * y + s * z, c + v * y * y, v * y * z - s * x],
            [v * x * z - s * y, v * y * z + s * x, c + v * z * z],
        ]
    )


def cross(first: Vector, second: Vector) -> Vector:
    """(3,) cross product of two vectors; numpy's own takes ten times as long for one pair."""
    a, b, c = first.tolist()
    d, e, f = second.tolist()
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])


def turns(axis: Vector, angles_rad: Vector) -> Vector:
    """(N, 3, 3) rotations about one axis by (N,) angles."""
    x, y, z = unit(axis).tolist()
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, versine = np.sin(angles_rad)[:, None, None], 1 - np.cos(angles_rad)[:, None, None]
    return np.asarray(np.eye(3) + sine * skew + versine * (skew @ skew))


def swing(source: Vector, target: Vector) -> Vector:
    """(3, 3) smallest rotation that takes the direction `source` to the direction `target`."""
    start, end = unit(source), unit(target)
    axis = cross(start, end)
    sine = math.sqrt(axis @ axis)
    if sine < 1e-9:
        assert start @ end > 0, "a bone may not be turned right round"
        return np.eye(3)
    return about(axis / sine, float(np.arctan2(sine, start @ end)))


def unit(vector: Vector) -> Vector:
    """The vector at length 1."""
    return np.asarray(vector / math.sqrt(vector @ vector))


def check_ranges(name: str, ranges: Any) -> None:
    """Raise ValueError where a (low, high) field of the dataclass `ranges` is the wrong way round."""
    for field_name, value in vars(ranges).items():
        if isinstance(value, tuple) and not value[0] <= value[1]:
            raise ValueError(f"{name}.{field_name} is {value}; allowed: (low, high) with low <= high")


def check_shares(name: str, **shares: float) -> None:
    """Raise ValueError where shares of one whole are not each 0 or more and together 1 at most."""
    if min(shares.values()) < 0 or sum(shares.values()) > 1:
        given = ", ".join(f"{share} {value}" for share, value in shares.items())
        raise ValueError(f"{name}: the shares are {given}; allowed: 0 or more each, 1 at most together")
