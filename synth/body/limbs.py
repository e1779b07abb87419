"""Limbs laid on the couch: from the directions of arms and legs to bone rotations, twists spread over bones.

A limb whose hand or foot reaches beyond the couch, or whose heel does not reach it, is laid again with wrist or ankle
moved by that much.
"""

import numpy as np

from synth.body.arms import BELLY, ArmAim, ArmReach, aim_arm
from synth.body.legs import CROSSED, LegAim, LegReach, aim_leg
from synth.body.rig import ArmRig, LegRig, frame
from synth.body.trunk import Lying, turn_girdle
from synth.skeleton import Vector, about, cross, swing, unit

CLOSE_M = 0.002  # a limb that is off the couch by less is not laid again
PASSES = 4  # how often a limb is laid at most


def lay_arm(lying: Lying, side: str, a: dict[str, float], other: Vector | None) -> tuple[dict[int, Vector], Vector]:
    """(absolute rotations of the bones of an arm with the angles `a` (rad), position (3,) of its wrist).

    Girdle and fingers are included. other (3,): the wrist of an arm whose hand lies on the belly, below this one's.
    """
    girdle, shoulder = turn_girdle(lying, a, side)
    rig, blade = lying.arms[side], list(girdle.values())[-1]
    lift, arm, wrist = 0.0, np.empty(0), shoulder
    for _ in range(PASSES):
        reach = ArmReach(
            shoulder=lying.chest.T @ shoulder,
            sign=rig.sign,
            upper=rig.upper,
            fore=rig.fore,
            elbow=rig.elbow,
            wrist=rig.wrist + lift,
            other=other,
        )
        aim = aim_arm(reach, lying.couch, a)
        arm = _turn_arm(rig, aim, lying.chest.T @ blade, a)
        wrist = reach.shoulder + rig.upper * aim.upper + rig.fore * aim.fore
        beyond = float(wrist[1] + (rig.skin @ arm[-1][1]).max()) - lying.couch.level
        if beyond < CLOSE_M or a["arm_place"] == BELLY:
            break
        lift += beyond
    turned = lying.chest @ arm
    fingers = {bone: turned[-1] @ rotation for bone, rotation in rig.fingers.items()}
    return girdle | dict(zip(rig.bones, turned, strict=True)) | fingers, wrist


def lay_leg(lying: Lying, side: str, a: dict[str, float]) -> dict[int, Vector]:
    """Absolute rotations of the bones of a leg with the angles `a` (rad)."""
    rig, level = lying.legs[side], lying.couch.level
    upper_one = a["leg_place"] == CROSSED and rig.sign * a["leg_above"] > 0  # it lies on the other leg
    ankle, leg = level - float(rig.skin[:, 1].max()), np.empty(0)
    for _ in range(PASSES):
        reach = LegReach(hip=rig.hip, sign=rig.sign, thigh=rig.thigh, shin=rig.shin, heel=rig.heel, ankle=ankle)
        aim = aim_leg(reach, lying.middle, a)
        leg = _turn_leg(rig, aim, a)
        lies_at = rig.hip + rig.thigh * aim.thigh + rig.shin * aim.shin
        beyond = float(lies_at[1] + (rig.skin @ leg[-1][1]).max()) - level
        if abs(beyond) < CLOSE_M or upper_one:
            break
        ankle -= beyond
    return dict(zip(rig.bones, lying.pelvis @ leg, strict=True))


def _turn_arm(rig: ArmRig, aim: ArmAim, blade: Vector, a: dict[str, float]) -> Vector:
    """(5, 3, 3) rotations of an arm's bones from shoulder to wrist, in the frame of the couch.

    The elbow bends about its own hinge, and the forearm turns in thirds: at elbow, mid-forearm and wrist.
    """
    fore, hinge = aim.fore, cross(aim.upper, aim.bend)
    full = frame(aim.upper, aim.bend) @ rig.frame0.T
    straight = about(hinge, aim.elbow_rad - rig.elbow0) @ full
    if aim.palm is None:
        hooked = np.cos(aim.elbow_rad) * aim.bend - np.sin(aim.elbow_rad) * aim.upper
        palm = np.cos(a["pronation"]) * rig.sign * hinge + np.sin(a["pronation"]) * hooked
    else:
        palm = unit(aim.palm - (aim.palm @ fore) * fore)
    at_rest = straight @ rig.palm0
    twist = float(np.arctan2(cross(at_rest, palm) @ fore, at_rest @ palm))
    turned = about(fore, twist) @ straight
    first, second = about(fore, twist / 3) @ straight, about(fore, twist * 2 / 3) @ straight
    hand = swing(turned @ rig.hand0, _hand_direction(palm, aim, rig.sign, a)) @ turned
    upper = _in_line(np.stack([_half_way(blade, full, rig.upper0), full]), rig.upper_parts, aim.upper)
    return np.stack([*upper, *_in_line(np.stack([first, second]), rig.fore_parts, fore), hand])


def _hand_direction(palm: Vector, aim: ArmAim, sign: float, a: dict[str, float]) -> Vector:
    """Where the fingers point: along the skin that the hand lies on, or as the wrist is flexed and deviated."""
    if aim.hand is not None:
        return aim.hand
    bent = about(cross(aim.fore, palm), a["wrist_flexion"]) @ aim.fore
    return about(palm, sign * a["wrist_deviation"]) @ bent


def _half_way(parent: Vector, full: Vector, axis: Vector) -> Vector:
    """The rotation that takes `axis` where `full` does, with half of the twist that `full` has over `parent`."""
    reached = swing(parent @ axis, full @ axis) @ parent
    twist = reached.T @ full
    skew = np.array([twist[2, 1] - twist[1, 2], twist[0, 2] - twist[2, 0], twist[1, 0] - twist[0, 1]])
    angle = float(np.arctan2(skew @ axis, np.trace(twist) - 1))
    return reached @ about(axis, angle / 2)


def _in_line(rotations: Vector, parts: Vector, aim: Vector) -> Vector:
    """The (N, 3, 3) rotations of bones with the rest vectors `parts`, turned on to point to `aim` in all.

    Bones of one limb are not quite in line, so turning them by different amounts about it bends it.
    """
    return np.asarray(swing(np.einsum("nab,nb->a", rotations, parts), aim) @ rotations)


def _turn_leg(rig: LegRig, aim: LegAim, a: dict[str, float]) -> Vector:
    """(4, 3, 3) rotations of a leg's bones in the frame of the couch; the upper thigh has half of the hip's turn."""
    thigh = frame(aim.thigh, aim.kneecap) @ rig.frame0.T
    shin = swing(thigh @ rig.shin0, aim.shin) @ thigh
    upper = about(aim.thigh, rig.sign * a["hip_rotation"] / 2) @ thigh
    upper, thigh = _in_line(np.stack([upper, thigh]), rig.thigh_parts, aim.thigh)
    return np.stack([upper, thigh, shin, shin @ about([1.0, 0.0, 0.0], a["foot"])])
