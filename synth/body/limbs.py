"""Bone rotations of a lying body's limbs: from the directions of arms and legs to frames, twists spread over bones."""

import numpy as np

from synth.body.arms import ArmAim, ArmReach
from synth.body.legs import LegAim, LegReach
from synth.body.surface import SIGNS, radius_of, surface_of
from synth.body.trunk import Lying
from synth.skeleton import Vector, about, cross, swing, turns, unit
from synth.template import Template

FINGER_JOINTS = np.array([1.0, 1.1, 0.6])  # flexion of a closing finger's joints, as shares of the `curl`
THUMB_JOINTS = np.array([0.0, 0.35, 0.8])
CLOSING = np.array([0.85, 0.9, 0.95, 1.0])  # index to little finger, as shares of it


def frame(along: Vector, across: Vector) -> Vector:
    """(3, 3) right-handed frame as columns: two directions at right angles, and the third."""
    return np.column_stack([along, across, cross(along, across)])


def arm_reach(lying: Lying, shoulder: Vector, side: str, lift: float) -> ArmReach:
    """What this person's arm can do from where its shoulder is; lift (m): how far its wrist is raised."""
    template, rest, heads = lying.template, lying.rest, lying.heads
    upper, elbow, wrist = (template.bone(f"{name}.{side}") for name in ("upperarm01", "lowerarm01", "wrist"))
    return ArmReach(
        shoulder=lying.chest.T @ shoulder,
        sign=SIGNS[side],
        upper=float(np.linalg.norm(heads[elbow] - heads[upper])),
        fore=float(np.linalg.norm(heads[wrist] - heads[elbow])),
        elbow=radius_of(template, rest, heads, f"lowerarm01.{side}"),
        wrist=radius_of(template, rest, heads, f"wrist.{side}") + lift,
    )


def turn_arm(lying: Lying, aim: ArmAim, blade: Vector, side: str, a: dict[str, float]) -> dict[int, Vector]:
    """Absolute rotations of an arm's bones from shoulder to wrist.

    The elbow bends about its own hinge, and the forearm turns in thirds: at elbow, mid-forearm and wrist.
    """
    template, heads, s = lying.template, lying.heads, SIGNS[side]
    bones = {
        name: template.bone(f"{name}.{side}")
        for name in ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
    }
    upper0 = unit(heads[bones["lowerarm01"]] - heads[bones["upperarm01"]])
    fore0 = unit(heads[bones["wrist"]] - heads[bones["lowerarm01"]])
    bend0 = unit(fore0 - (fore0 @ upper0) * upper0)
    upper, bend, fore = aim.upper, aim.bend, aim.fore
    full = frame(upper, bend) @ frame(upper0, bend0).T
    hinge = cross(upper, bend)
    straight = about(hinge, aim.elbow_rad - float(np.arccos(upper0 @ fore0))) @ full
    hand0, palm0 = hand_axes(template, heads, side)
    palm0 = unit(palm0 - (palm0 @ fore0) * fore0)
    if aim.palm is None:
        hooked = np.cos(aim.elbow_rad) * bend - np.sin(aim.elbow_rad) * upper
        palm = np.cos(a["pronation"]) * s * hinge + np.sin(a["pronation"]) * hooked
    else:
        palm = unit(aim.palm - (aim.palm @ fore) * fore)
    at_rest = straight @ palm0
    twist = float(np.arctan2(cross(at_rest, palm) @ fore, at_rest @ palm))
    turned = about(fore, twist) @ straight
    wrist = _turn_hand(turned @ hand0, fore, palm, aim, s, a) @ turned
    half = _half_way(lying.chest.T @ blade, full, upper0)
    local = {
        "upperarm01": half,
        "upperarm02": full,
        "lowerarm01": about(fore, twist / 3) @ straight,
        "lowerarm02": about(fore, twist * 2 / 3) @ straight,
        "wrist": wrist,
    }
    return {bones[name]: lying.chest @ rotation for name, rotation in local.items()}


def _half_way(parent: Vector, full: Vector, axis: Vector) -> Vector:
    """The rotation that takes `axis` where `full` does, with half of the twist that `full` has over `parent`."""
    reached = swing(parent @ axis, full @ axis) @ parent
    twist = reached.T @ full
    angle = float(np.arctan2(_vee(twist) @ axis, np.trace(twist) - 1))
    return reached @ about(axis, angle / 2)


def _vee(rotation: Vector) -> Vector:
    """(3,) axis of a rotation times twice the sine of its angle."""
    return np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])


def _turn_hand(hand: Vector, fore: Vector, palm: Vector, aim: ArmAim, s: float, a: dict[str, float]) -> Vector:
    """Rotation of a hand that points along `hand` to where it shall: along the skin, or as the wrist is flexed."""
    if aim.hand is not None:
        return swing(hand, aim.hand)
    bent = about(cross(fore, palm), a["wrist_flexion"]) @ fore
    return swing(hand, about(palm, s * a["wrist_deviation"]) @ bent)


def hand_axes(template: Template, heads: Vector, side: str) -> tuple[Vector, Vector]:
    """(towards the fingers, out of the palm) of a hand at rest, unit vectors."""
    wrist, index, middle, little = (
        heads[template.bone(f"{name}.{side}")] for name in ("wrist", "finger2-1", "finger3-1", "finger5-1")
    )
    hand = unit(middle - wrist)
    thumbward = index - little
    return hand, unit(SIGNS[side] * cross(hand, thumbward))


def turn_fingers(lying: Lying, wrist: Vector, side: str, curl_rad: float) -> dict[int, Vector]:
    """Absolute rotations of the fingers of a hand that is closed by `curl_rad`, the little finger most."""
    template = lying.template
    hand, palm = hand_axes(template, lying.heads, side)
    axis = cross(hand, palm)
    angles = np.concatenate([np.outer(CLOSING, np.cumsum(FINGER_JOINTS)).ravel(), THUMB_JOINTS]) * curl_rad
    names = [f"finger{finger}-{joint}.{side}" for finger in (2, 3, 4, 5, 1) for joint in (1, 2, 3)]
    turned = wrist @ turns(axis, angles)
    return {template.bone(name): rotation for name, rotation in zip(names, turned, strict=True)}


def leg_reach(lying: Lying, side: str, lift: float) -> LegReach:
    """A leg of this person; its heel is taken to be 0.62 times as wide as thick; lift (m): of its ankle."""
    template, heads = lying.template, lying.heads
    hip, knee, ankle = (template.bone(f"{name}.{side}") for name in ("upperleg01", "lowerleg01", "foot"))
    heel = lying.rest[surface_of(template, "foot", side).index] - heads[ankle]
    return LegReach(
        hip=lying.pelvis.T @ lying.hips[side],
        sign=SIGNS[side],
        thigh=float(np.linalg.norm(heads[knee] - heads[hip])),
        shin=float(np.linalg.norm(heads[ankle] - heads[knee])),
        heel=0.62 * float(heel[:, 1].max()),
        ankle=lying.couch.level - float(heel[:, 1].max()) - lift,
    )


def turn_leg(lying: Lying, aim: LegAim, side: str, a: dict[str, float]) -> dict[int, Vector]:
    """Absolute rotations of a leg's bones: half of the hip's turn in the upper thigh, all of it from there on."""
    template, heads, s = lying.template, lying.heads, SIGNS[side]
    names = ("upperleg01", "upperleg02", "lowerleg01", "foot")
    upper, middle, lower, foot = (template.bone(f"{name}.{side}") for name in names)
    thigh0 = unit(heads[lower] - heads[upper])
    kneecap0 = unit(np.array([0.0, -1.0, 0.0]) + thigh0[1] * thigh0)
    thigh = frame(aim.thigh, aim.kneecap) @ frame(thigh0, kneecap0).T
    shin = swing(thigh @ unit(heads[foot] - heads[lower]), aim.shin) @ thigh
    local = {
        upper: about(aim.thigh, s * a["hip_rotation"] / 2) @ thigh,
        middle: thigh,
        lower: shin,
        foot: shin @ about([1.0, 0.0, 0.0], a["foot"]),
    }
    return {bone: lying.pelvis @ rotation for bone, rotation in local.items()}
