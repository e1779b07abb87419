"""A virtual patient as it lies before the scanner: skin, bones and landmarks in patient millimetres."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synth.bones import Bone, bones_along
from synth.domain.anatomy import Anatomy
from synth.mesh import Posed
from synth.reference import Build, body_landmarks, hand_landmarks, joint_bones, ordered
from synth.template import Template

Points = NDArray[np.float64]
Move = Callable[[Points], Points]  # (N, 3) mm -> (N, 3) mm: what happens to skin and joints alike


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A virtual patient before the scan, in patient mm (LPS).

    vertices (V, 3), landmarks (K, 3) float64; joints: of the rig, name -> (3,), where they differ those of the labels
    bones: solids along the skeleton, the labelled joints among them
    attributes: sex, age in years, of bodies stature_m and bmi; shifts: how much of each structured shift it has
    cut: at which side the volume ends, and what share is lost
    """

    case: str
    subject: str
    vertices: Points
    landmarks: Points
    joints: dict[str, Points]
    bones: tuple[Bone, ...]
    attributes: dict[str, str | float]
    shifts: dict[str, str | float]
    cut: tuple[str, float] | None

    def turned(self, rotation: Points) -> "Patient":
        """The patient in the axes of a scanner that is turned by `rotation` (3, 3) about the patient's origin."""

        def move(points: Points) -> Points:
            return np.asarray(points @ rotation)

        return replace(
            self,
            vertices=move(self.vertices),
            landmarks=move(self.landmarks),
            joints={name: move(at) for name, at in self.joints.items()},
            bones=tuple(bone.moved(move) for bone in self.bones),
        )


@dataclass(frozen=True, kw_only=True)
class Laid:
    """What lies there, in patient mm: skin (V, 3), joints by the rig's names, bones, landmarks (K, 3)."""

    skin: Points
    joints: dict[str, Points]
    bones: tuple[Bone, ...]
    landmarks: Points


def lay_body(template: Template, anatomy: Anatomy, posed: Posed, moves: Sequence[Move], build: Build) -> Laid:
    """A posed body in patient mm, moved on (flattened, deformed, placed), with its bones and landmarks."""
    skin, joints = _moved(template, posed, "left", moves)
    labelled = joint_bones(template, build, posed.rest.astype(np.float64) * 1000, skin)
    found = body_landmarks(template, skin, labelled)
    for side, word in (("L", "left"), ("R", "right")):
        joints[f"upperarm01.{side}"], joints[f"lowerleg01.{side}"] = found[f"{word}_shoulder"], found[f"{word}_knee"]
    bones = (*labelled, *bones_along(joints))
    return Laid(skin=skin, joints=joints, bones=bones, landmarks=ordered(found, anatomy.names))


def lay_hand(template: Template, anatomy: Anatomy, posed: Posed, moves: Sequence[Move], side: str) -> Laid:
    """As lay_body, a hand; a right one is the mirror image of a left one."""
    skin, joints = _moved(template, posed, side, moves)
    found = hand_landmarks(template, skin, joints)
    return Laid(skin=skin, joints=joints, bones=bones_along(joints), landmarks=ordered(found, anatomy.names))


def to_patient(points: NDArray[np.float32], posed: Posed, side: str) -> Points:
    """Model coordinates (N, 3) as LPS mm, by way of what the viewer sees (x right, y down, z away)."""
    x, y, z = (points.astype(np.float64) @ posed.view.T).T
    return np.column_stack([-x if side == "right" else x, z, -y])


def _moved(template: Template, posed: Posed, side: str, moves: Sequence[Move]) -> tuple[Points, dict[str, Points]]:
    """(skin (V, 3), joints by name) of a posed mesh in patient mm, moved: joints of bones that move its skin."""
    skin, joints = (to_patient(points, posed, side) for points in (posed.vertices, posed.positions[template.moving]))
    for move in moves:
        skin, joints = move(skin), move(joints)
    return skin, dict(zip([template.bones[j] for j in template.moving], joints, strict=True))
