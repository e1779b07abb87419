"""Bones of a virtual patient as simple solids: what a scan shows inside the skin, and what joint labels are read from.

Most run along the rig and only look like bones. Those that carry a label (humeral heads, femoral condyles) are placed
by reference.py from the skin and from means of adults; nothing here knows the generator's landmarks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Bone:
    """A rod with round ends, or a ball where start and end are the same.

    start, end (3,): centres of its ends, patient mm; radius_start_mm, radius_end_mm: there, and linear between them
    """

    name: str
    start: Points
    end: Points
    radius_start_mm: float
    radius_end_mm: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start).all() and np.isfinite(self.end).all()):
            raise ValueError(f"bone {self.name} runs from {self.start} to {self.end}; allowed: finite positions")
        if min(self.radius_start_mm, self.radius_end_mm) <= 0:
            radii = f"{self.radius_start_mm}, {self.radius_end_mm}"
            raise ValueError(f"bone {self.name} has radii of {radii} mm; allowed: more than 0")

    def moved(self, move: Callable[[Points], Points]) -> "Bone":
        """The bone with its ends where `move`, (N, 3) -> (N, 3), takes them."""
        start, end = move(np.stack([self.start, self.end]))
        return replace(self, start=start, end=end)


def ball(name: str, centre: Points, radius_mm: float) -> Bone:
    """A sphere."""
    return Bone(name=name, start=centre, end=centre, radius_start_mm=radius_mm, radius_end_mm=radius_mm)


# Name; the joints from which and to which it runs; radii in mm at both in an adult of 1.70 m. {} is the side.
# The knee's and shoulder's ends are those of the bones that carry a label.
_BODY = (
    ("skull", "neck03", "head", 45.0, 78.0),
    ("neck", "spine01", "neck03", 16.0, 13.0),
    ("thoracic_spine", "spine03", "spine01", 20.0, 16.0),
    ("lumbar_spine", "spine05", "spine03", 24.0, 20.0),
    ("sacrum", "root", "spine05", 25.0, 25.0),
)
_BODY_SIDES = (
    ("ilium", "spine05", "upperleg01", 18.0, 26.0),
    ("clavicle", "clavicle", "shoulder01", 6.0, 6.0),
    ("humerus", "shoulder", "lowerarm01", 12.0, 13.0),
    ("ulna", "lowerarm01", "wrist", 9.0, 6.0),
    ("radius", "lowerarm01", "wrist", 7.0, 10.0),
    ("femur", "upperleg01", "knee", 20.0, 17.0),
    ("tibia", "knee", "foot", 20.0, 11.0),
    ("foot", "foot", "toe1-1", 17.0, 11.0),
    ("great_toe", "toe1-1", "toe1-2 end", 7.0, 5.0),
)
_HAND_RADII = ((5.0, 5.5), (4.8, 3.8), (3.8, 3.2), (3.2, 2.2))  # metacarpal, then the phalanges
_TO_SKIN = 0.82  # a distal phalanx ends this share of the way to the skin (Buryanov and Kotiuk 2010: 0.79 to 0.82)
_CARPUS = 0.35  # share of the way from the wrist to a knuckle (Youm et al. 1978)
_HEIGHT_MM = 1700.0


def body_bones(joints: Mapping[str, Points], stature_mm: float) -> tuple[Bone, ...]:
    """The bones of a body. joints: (3,) mm by rig name, and `shoulder.L`, `knee.L` and so on: the labelled centres."""
    scale = stature_mm / _HEIGHT_MM
    rods = list(_BODY)
    for side, word in (("L", "left"), ("R", "right")):
        for name, first, last, a, b in _BODY_SIDES:
            rods.append((f"{word}_{name}", _sided(first, side, joints), _sided(last, side, joints), a, b))
    bones = [
        Bone(name=name, start=joints[first], end=joints[last], radius_start_mm=a * scale, radius_end_mm=b * scale)
        for name, first, last, a, b in rods
    ]
    hands = (bone for side, word in (("L", "left_"), ("R", "right_")) for bone in hand_bones(joints, side, word))
    return (*bones, *hands)


def hand_bones(joints: Mapping[str, Points], side: str, prefix: str = "", scale: float = 1.0) -> tuple[Bone, ...]:
    """Metacarpals and phalanges of one hand ("L", "R"), from the joints (3,) mm by rig name."""
    bones = []
    wrist = joints[f"wrist.{side}"]
    for digit, name in enumerate(("thumb", "index", "middle", "ring", "little"), start=1):
        chain = [joints[f"finger{digit}-{j}.{side}"] for j in (1, 2, 3)] + [joints[f"finger{digit}-3.{side} end"]]
        chain[3] = chain[2] + _TO_SKIN * (chain[3] - chain[2])
        radii: Sequence[tuple[float, float]] = (_HAND_RADII[0], _HAND_RADII[1], _HAND_RADII[3])
        names: tuple[str, ...] = ("metacarpal", "proximal", "distal")
        if digit > 1:
            chain = [wrist + _CARPUS * (chain[0] - wrist), *chain]
            radii, names = _HAND_RADII, ("metacarpal", "proximal", "middle", "distal")
        for j, (bone, (a, b)) in enumerate(zip(names, radii, strict=True)):
            bones.append(
                Bone(
                    name=f"{prefix}{name}_{bone}", start=chain[j], end=chain[j + 1],
                    radius_start_mm=a * scale, radius_end_mm=b * scale,
                )
            )  # fmt: skip
    return tuple(bones)


def _sided(joint: str, side: str, joints: Mapping[str, Points]) -> str:
    """The joint's name on one side, where it has sides."""
    base, _, end = joint.partition(" ")
    sided = f"{base}.{side}{' ' + end if end else ''}"
    return sided if sided in joints else joint
