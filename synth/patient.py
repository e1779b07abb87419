"""A virtual patient as it lies before the scanner: skin, bones and landmarks in patient millimetres."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synth.bones import Bone, body_bones, hand_bones
from synth.domain.anatomy import Anatomy
from synth.mesh import Posed
from synth.reference import Build, body_landmarks, hand_landmarks, joint_bones, ordered
from synth.template import Template

Points = NDArray[np.float64]
Move = Callable[[Points], Points]  # (N, 3) mm -> (N, 3) mm: what happens to skin and joints alike


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A virtual patient before the scan, in patient mm (LPS).

    vertices (V, 3), landmarks (K, 3) float64; bones: solids along the skeleton, the labelled joints among them
    attributes: sex, age in years, of bodies stature_m and bmi; shifts: how much of each structured shift it has
    turn: (3, 3) the scanner's x, y and z axes as columns; cut: at which side the volume ends, and what share is lost
    """

    case: str
    subject: str
    vertices: Points
    landmarks: Points
    bones: tuple[Bone, ...]
    attributes: dict[str, str | float]
    shifts: dict[str, str | float]
    turn: Points
    cut: tuple[str, float] | None

    def in_scanner(self) -> "Patient":
        """The patient in the scanner's own axes, in which a volume is made."""

        def move(points: Points) -> Points:
            return np.asarray(points @ self.turn)

        return replace(
            self,
            vertices=move(self.vertices),
            landmarks=move(self.landmarks),
            bones=tuple(bone.moved(move) for bone in self.bones),
            turn=np.eye(3),
        )


@dataclass(frozen=True, kw_only=True)
class Laid:
    """What lies there: skin (V, 3), bones, landmarks (K, 3), all in patient mm."""

    skin: Points
    bones: tuple[Bone, ...]
    landmarks: Points


def lay_body(
    template: Template, anatomy: Anatomy, posed: Posed, moves: Sequence[Move], build: Build, stature_m: float
) -> Laid:
    """A posed body in patient mm, moved on (flattened, deformed, placed), with its bones and landmarks."""
    skin, joints = (_moved(to_patient(points, posed, "left"), moves) for points in (posed.vertices, posed.positions))
    labelled = joint_bones(template, build, posed.rest.astype(np.float64) * 1000, skin)
    centres = {bone.name: bone.start for bone in labelled}
    at = dict(zip(template.bones, joints, strict=True))
    for side, word in (("L", "left"), ("R", "right")):
        at[f"shoulder.{side}"] = centres[f"{word}_humeral_head"]
        at[f"knee.{side}"] = (centres[f"{word}_lateral_condyle"] + centres[f"{word}_medial_condyle"]) / 2
    bones = (*labelled, *body_bones(at, stature_m * 1000))
    return Laid(skin=skin, bones=bones, landmarks=ordered(body_landmarks(template, skin, bones), anatomy.names))


def lay_hand(template: Template, anatomy: Anatomy, posed: Posed, moves: Sequence[Move], side: str) -> Laid:
    """As lay_body, a hand; a right one is the mirror image of a left one."""
    skin, joints = (_moved(to_patient(points, posed, side), moves) for points in (posed.vertices, posed.positions))
    at = dict(zip(template.bones, joints, strict=True))
    width = np.linalg.norm(at["finger2-1.L"] - at["finger5-1.L"])
    bones = hand_bones(at, "L", scale=float(width) / _KNUCKLES_MM)
    return Laid(skin=skin, bones=bones, landmarks=ordered(hand_landmarks(template, skin, bones), anatomy.names))


_KNUCKLES_MM = 62.0  # from the index to the little knuckle's centre in an adult hand


def to_patient(points: NDArray[np.float32], posed: Posed, side: str) -> Points:
    """Model coordinates (N, 3) as LPS mm, by way of what the viewer sees (x right, y down, z away)."""
    x, y, z = (points.astype(np.float64) @ posed.view.T).T
    return np.column_stack([-x if side == "right" else x, z, -y])


def _moved(points: Points, moves: Sequence[Move]) -> Points:
    for move in moves:
        points = move(points)
    return points
