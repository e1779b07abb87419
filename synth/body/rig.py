"""What one person's limbs measure at rest: bones, frames, lengths and the skin of hands and feet, worked out once."""

from dataclasses import dataclass

import numpy as np

from synth.body.surface import SIGNS, radius_of, surface_of
from synth.mesh import Array
from synth.skeleton import Skeleton, Vector, cross, turns, unit
from synth.template import Template

FINGER_JOINTS = np.array([1.0, 1.1, 0.6])  # flexion of a closing finger's joints, as shares of the `curl`
THUMB_JOINTS = np.array([0.0, 0.35, 0.8])
CLOSING = np.array([0.85, 0.9, 0.95, 1.0])  # index to little finger, as shares of it
HEEL_BREADTH = 0.62  # half a heel's breadth over its thickness behind the ankle


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmRig:
    """One arm at rest, metres. bones: upperarm01, upperarm02, lowerarm01, lowerarm02, wrist.

    sign: 1 left, -1 right; upper, fore: lengths; upper_parts, fore_parts (2, 3): from each of
    their two bones to the next; upper0, fore0: directions, at an angle elbow0; frame0 (3, 3): upper0,
    where the elbow bends, its hinge; hand0, palm0: where fingers and palm point; elbow, wrist: radii;
    fingers: rotations in the frame of the wrist, by bone; skin (N, 3): of the closed hand, from the wrist.
    """

    bones: list[int]
    sign: float
    upper: float
    fore: float
    upper_parts: Vector
    fore_parts: Vector
    upper0: Vector
    fore0: Vector
    elbow0: float
    frame0: Vector
    hand0: Vector
    palm0: Vector
    elbow: float
    wrist: float
    fingers: dict[int, Vector]
    skin: Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class LegRig:
    """One leg at rest, metres. bones: upperleg01, upperleg02, lowerleg01, foot.

    sign: 1 left, -1 right; hip (3,): where the joint lies, in the frame of the couch; thigh, shin: lengths;
    thigh_parts (2, 3): from each of the thigh's bones to the next; frame0 (3, 3): thigh, kneecap and their cross;
    shin0: direction; knee: radius; heel: half its breadth; skin (N, 3): of the foot, from the ankle.
    """

    bones: list[int]
    sign: float
    hip: Vector
    thigh: float
    shin: float
    thigh_parts: Vector
    frame0: Vector
    shin0: Vector
    knee: float
    heel: float
    skin: Vector


def frame(along: Vector, across: Vector) -> Vector:
    """(3, 3) right-handed frame as columns: two directions at right angles, and the third."""
    return np.column_stack([along, across, cross(along, across)])


def arm_rig(template: Template, rest: Array, heads: Vector, side: str, curl_rad: float) -> ArmRig:
    """The arm of a person, rest (V, 3) and heads (J, 3), with the hand closed by `curl_rad`."""
    names = ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
    bones = [template.bone(f"{name}.{side}") for name in names]
    shoulder, elbow, wrist = heads[bones[0]], heads[bones[2]], heads[bones[4]]
    upper0, fore0 = unit(elbow - shoulder), unit(wrist - elbow)
    hand0, palm0 = _hand_axes(template, heads, side)
    fingers = _fingers(template, side, cross(hand0, palm0), curl_rad)
    skeleton = Skeleton(template=template, heads=heads)
    skeleton.settle(fingers)
    points, _ = surface_of(template, "hand", side).pose(template, rest, skeleton)
    return ArmRig(
        bones=bones,
        sign=SIGNS[side],
        upper=float(np.linalg.norm(elbow - shoulder)),
        fore=float(np.linalg.norm(wrist - elbow)),
        upper_parts=np.diff(heads[bones[:3]], axis=0),
        fore_parts=np.diff(heads[bones[2:]], axis=0),
        upper0=upper0,
        fore0=fore0,
        elbow0=float(np.arccos(upper0 @ fore0)),
        frame0=frame(upper0, unit(fore0 - (fore0 @ upper0) * upper0)),
        hand0=hand0,
        palm0=unit(palm0 - (palm0 @ fore0) * fore0),
        elbow=radius_of(template, rest, heads, f"lowerarm01.{side}"),
        wrist=radius_of(template, rest, heads, f"wrist.{side}"),
        fingers=fingers,
        skin=points - wrist,
    )


def leg_rig(template: Template, rest: Array, heads: Vector, side: str, hip: Vector) -> LegRig:
    """The leg of a person, rest (V, 3) and heads (J, 3), whose hip joint lies at `hip`."""
    bones = [template.bone(f"{name}.{side}") for name in ("upperleg01", "upperleg02", "lowerleg01", "foot")]
    knee, ankle = heads[bones[2]], heads[bones[3]]
    thigh0, shin0 = unit(knee - heads[bones[0]]), unit(ankle - knee)
    skin = rest[surface_of(template, "foot", side).index] - ankle
    return LegRig(
        bones=bones,
        sign=SIGNS[side],
        hip=hip,
        thigh=float(np.linalg.norm(knee - heads[bones[0]])),
        shin=float(np.linalg.norm(ankle - knee)),
        thigh_parts=np.diff(heads[bones[:3]], axis=0),
        frame0=frame(thigh0, unit(np.array([0.0, -1.0, 0.0]) + thigh0[1] * thigh0)),
        shin0=shin0,
        knee=radius_of(template, rest, heads, f"lowerleg01.{side}"),
        heel=HEEL_BREADTH * float(skin[:, 1].max()),
        skin=skin,
    )


def _hand_axes(template: Template, heads: Vector, side: str) -> tuple[Vector, Vector]:
    """(towards the fingers, out of the palm) of a hand at rest, unit vectors."""
    wrist, index, middle, little = (
        heads[template.bone(f"{name}.{side}")] for name in ("wrist", "finger2-1", "finger3-1", "finger5-1")
    )
    hand = unit(middle - wrist)
    return hand, unit(SIGNS[side] * cross(hand, index - little))


def _fingers(template: Template, side: str, axis: Vector, curl_rad: float) -> dict[int, Vector]:
    """Rotations, from the wrist's frame, of the fingers of a hand closed by `curl_rad`, the little finger most."""
    angles = np.concatenate([np.outer(CLOSING, np.cumsum(FINGER_JOINTS)).ravel(), THUMB_JOINTS]) * curl_rad
    names = [f"finger{finger}-{joint}.{side}" for finger in (2, 3, 4, 5, 1) for joint in (1, 2, 3)]
    return {template.bone(name): rotation for name, rotation in zip(names, turns(axis, angles), strict=True)}
