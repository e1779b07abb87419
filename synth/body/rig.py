"""What people's limbs measure at rest: bones, frames, lengths and the skin of hands and feet, worked out once.

Limbs are rows: limb 2 i is the left one of body i, limb 2 i + 1 its right one.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synth.body.surface import SIDES, SIGNS, radii_of, surfaces_of
from synth.mesh import Array
from synth.skeleton import Rows, Vector, about, across_from, cross, dot, frame, length, settle, unit
from synth.template import Template

FINGER_JOINTS = np.array([1.0, 1.1, 0.6])  # flexion of a closing finger's joints, as shares of the `curl`
THUMB_JOINTS = np.array([0.0, 0.35, 0.8])
CLOSING = np.array([0.85, 0.9, 0.95, 1.0])  # index to little finger, as shares of it
HEEL_BREADTH = 0.62  # half a heel's breadth over its thickness behind the ankle

GIRDLE = ("clavicle", "shoulder01")
ARM = ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
FINGERS = tuple(f"finger{finger}-{joint}" for finger in (2, 3, 4, 5, 1) for joint in (1, 2, 3))
LEG = ("upperleg01", "upperleg02", "lowerleg01", "foot")
_CURLS = np.concatenate([np.outer(CLOSING, np.cumsum(FINGER_JOINTS)).ravel(), THUMB_JOINTS])  # of FINGERS
_FORWARDS = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmRig:
    """M arms at rest, metres.

    body (M,): whose; sign (M,): 1 left, -1 right; girdle (M, 3, 3): from spine01 to the heads of clavicle, shoulder01
    and upperarm01, each from the one before; upper, fore (M,): lengths; upper_parts, fore_parts (M, 2, 3): from each
    of their two bones to the next; upper0 (M, 3): direction; elbow0 (M,): angle there; frame0 (M, 3, 3): upper0,
    where the elbow bends, its hinge; hand0, palm0 (M, 3): where fingers and palm point; elbow, wrist (M,): radii;
    fingers (M, 15, 3, 3): rotations of FINGERS in the frame of the wrist; skin (M, S, 3): of the closed hand, from
    the wrist.
    """

    body: Rows
    sign: Vector
    girdle: Vector
    upper: Vector
    fore: Vector
    upper_parts: Vector
    fore_parts: Vector
    upper0: Vector
    elbow0: Vector
    frame0: Vector
    hand0: Vector
    palm0: Vector
    elbow: Vector
    wrist: Vector
    fingers: Vector
    skin: Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class LegRig:
    """M legs at rest, metres.

    body (M,): whose; sign (M,): 1 left, -1 right; hip (M, 3): where the joint lies, in the frame of the couch; thigh,
    shin (M,): lengths; thigh_parts (M, 2, 3): from each of the thigh's bones to the next; frame0 (M, 3, 3): thigh,
    kneecap and their cross; shin0 (M, 3): direction; knee (M,): radius; heel (M,): half its breadth; skin (M, S, 3):
    of the foot, from the ankle.
    """

    body: Rows
    sign: Vector
    hip: Vector
    thigh: Vector
    shin: Vector
    thigh_parts: Vector
    frame0: Vector
    shin0: Vector
    knee: Vector
    heel: Vector
    skin: Vector


@cache
def bones_of(template: Template, names: tuple[str, ...]) -> NDArray[np.intp]:
    """(2, B) the bones of these names on the left and on the right side."""
    return np.array([[template.bone(f"{name}.{side}") for name in names] for side in SIDES])


def arm_rigs(template: Template, rest: Array, heads: Vector, curl_rad: Vector) -> ArmRig:
    """The arms of N people, rest (N, V, 3) and heads (N, J, 3), with hands closed by `curl_rad` (2 N,)."""
    chain = _limbs(heads[:, bones_of(template, (*GIRDLE, *ARM))])
    spine = np.repeat(heads[:, template.bone("spine01")], 2, axis=0)
    bones = chain[:, len(GIRDLE) :]
    upper, fore = bones[:, 2] - bones[:, 0], bones[:, 4] - bones[:, 2]
    upper0, fore0 = unit(upper), unit(fore)
    hand0, palm0 = _hand_axes(template, heads)
    fingers = about(cross(hand0, palm0)[:, None], curl_rad[:, None] * _CURLS)
    radii = radii_of(template, rest, heads, ("lowerarm01.L", "lowerarm01.R", "wrist.L", "wrist.R"))
    return ArmRig(
        body=np.repeat(np.arange(len(heads)), 2),
        sign=np.tile(SIGNS, len(heads)),
        girdle=np.diff(np.concatenate([spine[:, None], chain[:, :3]], axis=1), axis=1),
        upper=length(upper),
        fore=length(fore),
        upper_parts=np.diff(bones[:, :3], axis=1),
        fore_parts=np.diff(bones[:, 2:], axis=1),
        upper0=upper0,
        elbow0=np.arccos(dot(upper0, fore0)),
        frame0=frame(upper0, across_from(fore0, upper0)),
        hand0=hand0,
        palm0=across_from(palm0, fore0),
        elbow=radii[:, :2].ravel(),
        wrist=radii[:, 2:].ravel(),
        fingers=fingers,
        skin=_closed_hands(template, rest, heads, fingers) - bones[:, -1:],
    )


def leg_rigs(template: Template, rest: Array, heads: Vector, hip: Vector) -> LegRig:
    """The legs of N people, rest (N, V, 3) and heads (N, J, 3), whose hip joints lie at `hip` (2 N, 3)."""
    bones = _limbs(heads[:, bones_of(template, LEG)])
    thigh, shin = bones[:, 2] - bones[:, 0], bones[:, 3] - bones[:, 2]
    thigh0 = unit(thigh)
    feet, _ = surfaces_of(template, (("foot", "L"), ("foot", "R")))
    skin = _limbs(rest[:, feet.index].reshape(len(rest), 2, -1, 3)) - bones[:, 3:]
    return LegRig(
        body=np.repeat(np.arange(len(heads)), 2),
        sign=np.tile(SIGNS, len(heads)),
        hip=hip,
        thigh=length(thigh),
        shin=length(shin),
        thigh_parts=np.diff(bones[:, :3], axis=1),
        frame0=frame(thigh0, across_from(np.broadcast_to(_FORWARDS, thigh0.shape), thigh0)),
        shin0=unit(shin),
        knee=radii_of(template, rest, heads, ("lowerleg01.L", "lowerleg01.R")).ravel(),
        heel=HEEL_BREADTH * skin[:, :, 1].max(1),
        skin=skin,
    )


def _limbs(sided: Array | Vector) -> Vector:
    """(2 N, ...) limbs as rows of something (N, 2, ...)."""
    rows = sided.reshape(-1, *sided.shape[2:])
    return rows.astype(np.float64, order="C")  # a matrix product's last bits depend on how its factors lie in memory


def _hand_axes(template: Template, heads: Vector) -> tuple[Vector, Vector]:
    """(towards the fingers, out of the palm) of hands at rest, unit vectors (2 N, 3)."""
    joints = _limbs(heads[:, bones_of(template, ("wrist", "finger2-1", "finger3-1", "finger5-1"))])
    wrist, index, middle, little = joints.swapaxes(0, 1)
    hand = unit(middle - wrist)
    return hand, np.tile(SIGNS, len(heads))[:, None] * unit(cross(hand, index - little))


def _closed_hands(template: Template, rest: Array, heads: Vector, fingers: Vector) -> Vector:
    """(2 N, S, 3) skin of hands, fingers turned by `fingers` (2 N, 15, 3, 3) and all else at rest."""
    hands, _ = surfaces_of(template, (("hand", "L"), ("hand", "R")))
    skeleton = settle(template, heads, _finger_bones(template), fingers.reshape(len(heads), -1, 3, 3))
    return _limbs(hands.pose(rest[:, hands.index], skeleton).reshape(len(heads), 2, -1, 3))


@cache
def _finger_bones(template: Template) -> tuple[int, ...]:
    return tuple(bones_of(template, FINGERS).ravel().tolist())
