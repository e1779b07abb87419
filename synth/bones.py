"""Bones of a virtual patient as capsules along its joints: enough for marrow, cortex and their shadows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# (name, from joint, to joint, radius at either end as a share of the length); S stands for the side, L or R.
# The shares are set by hand to look like the shafts of adults on a radiograph.
_LIMBS = (
    ("clavicle S", "clavicle.S", "shoulder01.S", 0.065, 0.075),
    ("humerus S", "upperarm01.S", "lowerarm01.S", 0.055, 0.04),
    ("forearm S", "lowerarm01.S", "wrist.S", 0.05, 0.05),
    ("pelvis S", "spine05", "upperleg01.S", 0.14, 0.2),
    ("femur S", "upperleg01.S", "lowerleg01.S", 0.04, 0.045),
    ("tibia S", "lowerleg01.S", "foot.S", 0.055, 0.04),
    *((f"metatarsal {k} S", "foot.S", f"toe{k}-1.S", 0.08, 0.06) for k in range(1, 6)),
    *((f"metacarpal {k} S", f"metacarpal{k - 1}.S", f"finger{k}-1.S", 0.08, 0.08) for k in range(2, 6)),
    *((f"phalanx {k}-1 S", f"finger{k}-1.S", f"finger{k}-2.S", 0.13, 0.11) for k in range(1, 6)),
    *((f"phalanx {k}-2 S", f"finger{k}-2.S", f"finger{k}-3.S", 0.13, 0.11) for k in range(1, 6)),
)  # fmt: skip
_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01", "neck01", "neck02", "neck03", "head")
_VERTEBRA = 0.82  # radius of a vertebra as a share of its height


@dataclass(frozen=True, kw_only=True)
class Bone:
    """A capsule in patient mm (LPS) whose radius changes evenly from start (3,) to end (3,); a sphere if they meet."""

    name: str
    start: Vector
    end: Vector
    radius_start_mm: float
    radius_end_mm: float

    def __post_init__(self) -> None:
        if min(self.radius_start_mm, self.radius_end_mm) <= 0:
            radii = f"{self.radius_start_mm}, {self.radius_end_mm}"
            raise ValueError(f"bone {self.name!r} has radii of {radii} mm; allowed: above 0")
        if not (np.isfinite(self.start).all() and np.isfinite(self.end).all()):
            raise ValueError(f"bone {self.name!r} runs from {self.start} to {self.end}; allowed: finite positions")

    def moved(self, move: Callable[[Vector], Vector]) -> "Bone":
        """The bone with its ends where `move`, (N, 3) -> (N, 3), takes them."""
        start, end = move(np.stack([self.start, self.end]))
        return replace(self, start=start, end=end)


def ball(name: str, centre: Vector, radius_mm: float) -> Bone:
    """A sphere."""
    return Bone(name=name, start=centre, end=centre, radius_start_mm=radius_mm, radius_end_mm=radius_mm)


def bones_along(joints: Mapping[str, Vector]) -> tuple[Bone, ...]:
    """The bones between those joints (name of the rig -> (3,) patient mm) that are there: of a body, or of a hand."""
    bones = []
    for side in "LR":
        for name, start, end, first, last in _LIMBS:
            a, b = (joints.get(joint.replace("S", side)) for joint in (start, end))
            if a is not None and b is not None:
                bones.append(_capsule(name.replace("S", side), a, b, first, last))
        for k in range(1, 6):
            if f"finger{k}-3.{side}" in joints:
                base, tip = joints[f"finger{k}-2.{side}"], joints[f"finger{k}-3.{side}"]
                bones.append(_capsule(f"phalanx {k}-3 {side}", tip, tip + 0.7 * (tip - base), 0.15, 0.1))
    return (*bones, *_vertebrae(joints))


def _capsule(name: str, start: Vector, end: Vector, first: float, last: float) -> Bone:
    length = float(np.linalg.norm(end - start))
    return Bone(name=name, start=start, end=end, radius_start_mm=first * length, radius_end_mm=last * length)


def _vertebrae(joints: Mapping[str, Vector]) -> list[Bone]:
    """Spheres evenly along the spine, about 30 mm apart, 17 at the neck."""
    bones: list[Bone] = []
    for start, end in pairwise(_SPINE):
        if start in joints and end in joints:
            a, b = joints[start], joints[end]
            height = 17.0 if start.startswith("neck") else 30.0
            count = max(1, round(float(np.linalg.norm(b - a)) / height))
            for k in range(count):
                centre, radius = a + (k + 0.5) / count * (b - a), _VERTEBRA * height / 2
                name = f"vertebra {len(bones) + 1}"
                bones.append(Bone(name=name, start=centre, end=centre, radius_start_mm=radius, radius_end_mm=radius))
    return bones
