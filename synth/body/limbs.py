"""Limbs laid on the couch: from the directions of arms and legs to bone rotations, twists spread over bones.

A limb whose hand or foot reaches beyond the couch, or whose heel does not reach it, is laid again with wrist or ankle
moved by that much.
"""

import numpy as np

from synth.body.angles import Angles
from synth.body.arms import BELLY
from synth.body.legs import CROSSED
from synth.body.reach import ArmAim, ArmReach, LegAim, LegReach, aim_leg, aim_to_belly, aim_to_couch
from synth.body.rig import ArmRig
from synth.body.trunk import Lying, turn_girdle
from synth.skeleton import Rows, Vector, about, cross, dot, frame, rows_of, swing, turn

CLOSE_M = 0.002  # a limb that is off the couch by less is not laid again
PASSES = 4  # how often a limb is laid at most
THIRDS = np.array([1 / 3, 2 / 3, 1.0])  # of the forearm's twist, at elbow, mid-forearm and wrist
_X = np.array([1.0, 0.0, 0.0])


def lay_arms(lying: Lying, rows: Rows, a: Angles) -> Vector:
    """(M, 22, 3, 3) absolute rotations of the bones of some arms, `rows` (M,) ascending, with the angles `a` (M,).

    Bones are those of girdle, arm and fingers (rig.py). Where both hands of a body lie on the belly, both are given.
    """
    rig = rows_of(lying.arms, rows)
    girdle, shoulder = turn_girdle(lying, rig, a)
    to_couch = lying.chest[rig.body].swapaxes(1, 2)
    reach = ArmReach(
        rig=rig,
        angles=a,
        shoulder=turn(to_couch, shoulder),
        blade=to_couch @ girdle[:, 1],
        wrist=rig.wrist,
        other=np.full_like(shoulder, np.inf),
    )
    arm = np.empty((len(rows), 5, 3, 3))
    on_belly = a["arm_place"] == BELLY
    _lay_on_couch(lying, reach, np.flatnonzero(~on_belly), arm)
    _lay_on_belly(lying, reach, rows, np.flatnonzero(on_belly), arm)
    turned = lying.chest[rig.body][:, None] @ arm
    return np.concatenate([girdle, turned, turned[:, -1:] @ rig.fingers], axis=1)


def _lay_on_couch(lying: Lying, reach: ArmReach, some: Rows, arm: Vector) -> None:
    """Fill in `arm` (M, 5, 3, 3): rotations, in the frame of the couch, of `some` arms that do not lie on a belly."""
    reach = rows_of(reach, some)
    for _ in range(PASSES):
        if len(some) == 0:
            return
        aim = aim_to_couch(reach, lying.couch)
        arm[some] = turned = _turn_arms(reach, aim)
        hand = turned[:, -1, 1, :, None]  # what it adds to y
        beyond = reach.wrist_of(aim)[:, 1] + (reach.rig.skin @ hand).max((1, 2)) - lying.couch.level[reach.rig.body]
        again = np.flatnonzero(beyond >= CLOSE_M)
        some, reach = some[again], rows_of(reach, again).lifted(beyond[again])


def _lay_on_belly(lying: Lying, reach: ArmReach, rows: Rows, some: Rows, arm: Vector) -> None:
    """As _lay_on_couch, of arms with the hand on the belly: first the lower hands, then, over them, the upper ones."""
    above = reach.rig.sign * reach.angles["hand_above"] > 0
    both = np.isin(rows[some] ^ 1, rows[some])  # limbs 2 i and 2 i + 1 are of one body
    upper, lower = some[above[some] & both], some[~(above[some] & both)]
    if len(lower):
        own = rows_of(reach, lower)
        aim = aim_to_belly(own, lying.couch)
        arm[lower] = _turn_arms(own, aim)
        reach.other[lower] = own.wrist_of(aim)
    if len(upper):
        own = rows_of(reach, upper).over(reach.other[np.searchsorted(rows, rows[upper] ^ 1)])
        arm[upper] = _turn_arms(own, aim_to_belly(own, lying.couch))


def lay_legs(lying: Lying, rows: Rows, a: Angles) -> Vector:
    """(M, 4, 3, 3) absolute rotations of the bones of some legs, `rows` (M,), with the angles `a` (M,)."""
    rig = rows_of(lying.legs, rows)
    level = lying.couch.level[rig.body]
    reach = LegReach(rig=rig, angles=a, middle=lying.middle[rig.body], ankle=level - rig.skin[:, :, 1].max(1))
    crossed = a["leg_place"] == CROSSED
    upper = crossed & (rig.sign * a["leg_above"] > 0)  # it lies on the other leg
    leg, some = np.empty((len(rows), 4, 3, 3)), np.arange(len(rows))
    for _ in range(PASSES):
        aim = aim_leg(reach)
        leg[some] = turned = _turn_legs(reach, aim)
        foot = turned[:, -1, 1, :, None]
        beyond = reach.ankle_of(aim)[:, 1] + (reach.rig.skin @ foot).max((1, 2)) - level[some]
        again = np.flatnonzero((np.abs(beyond) >= CLOSE_M) & ~upper[some])
        if len(again) == 0:
            break
        some, reach = some[again], rows_of(reach, again).lifted(beyond[again])
    return np.asarray(lying.pelvis[rig.body][:, None] @ leg)


def _turn_arms(reach: ArmReach, aim: ArmAim) -> Vector:
    """(M, 5, 3, 3) rotations of arms' bones from shoulder to wrist, in the frame of the couch.

    The elbow bends about its own hinge, and the forearm turns in thirds: at elbow, mid-forearm and wrist.
    """
    rig = reach.rig
    full = frame(aim.upper, aim.bend) @ rig.frame0.swapaxes(1, 2)
    straight = about(cross(aim.upper, aim.bend), aim.elbow_rad - rig.elbow0) @ full
    at_rest = turn(straight, rig.palm0)
    twist = np.arctan2(dot(cross(at_rest, aim.palm), aim.fore), dot(at_rest, aim.palm))
    fore = about(aim.fore[:, None], twist[:, None] * THIRDS) @ straight[:, None]
    hand = swing(turn(fore[:, 2], rig.hand0), aim.hand) @ fore[:, 2]
    upper = np.stack([_half_way(reach.blade, full, rig), full], axis=1)
    return np.concatenate(
        [_in_line(upper, rig.upper_parts, aim.upper), _in_line(fore[:, :2], rig.fore_parts, aim.fore), hand[:, None]],
        axis=1,
    )


def _half_way(parent: Vector, full: Vector, rig: ArmRig) -> Vector:
    """(M, 3, 3) rotations that take the upper arm's direction where `full` does, with half of the twist that `full` has
    over `parent`."""
    axis = rig.upper0
    reached = swing(turn(parent, axis), turn(full, axis)) @ parent
    twist = reached.swapaxes(1, 2) @ full
    skew = np.stack([twist[:, b, c] - twist[:, c, b] for b, c in ((2, 1), (0, 2), (1, 0))], axis=1)
    angle = np.arctan2(dot(skew, axis), twist[:, 0, 0] + twist[:, 1, 1] + twist[:, 2, 2] - 1)
    return np.asarray(reached @ about(axis, angle / 2))


def _in_line(rotations: Vector, parts: Vector, aim: Vector) -> Vector:
    """The (M, 2, 3, 3) rotations of bones with the rest vectors `parts`, turned on to point to `aim` (M, 3) in all.

    Bones of one limb are not quite in line, so turning them by different amounts about it bends it.
    """
    return np.asarray(swing(turn(rotations, parts).sum(1), aim)[:, None] @ rotations)


def _turn_legs(reach: LegReach, aim: LegAim) -> Vector:
    """(M, 4, 3, 3) rotations of legs' bones in the frame of the couch; the upper thigh has half of the hip's turn."""
    rig, a = reach.rig, reach.angles
    thigh = frame(aim.thigh, aim.kneecap) @ rig.frame0.swapaxes(1, 2)
    shin = swing(turn(thigh, rig.shin0), aim.shin) @ thigh
    upper = about(aim.thigh, rig.sign * a["hip_rotation"] / 2) @ thigh
    thighs = _in_line(np.stack([upper, thigh], axis=1), rig.thigh_parts, aim.thigh)
    return np.concatenate([thighs, np.stack([shin, shin @ about(_X, a["foot"])], axis=1)], axis=1)
