"""The directions that the bones of arms and legs take, so that the limbs lie where they are asked to lie.

Directions are in the frame of the couch: +x the subject's left, +y down to the couch, +z along the chest, or for legs
along the pelvis. Everything is of M limbs at once.
"""

from dataclasses import dataclass, replace

import numpy as np

from synth.body.angles import Angles
from synth.body.arms import DOWN, UP
from synth.body.couch import Couch, place_at
from synth.body.legs import CROSSED
from synth.body.rig import ArmRig, LegRig
from synth.skeleton import Vector, about, across_from, cross, turn, unit

OUTWARDS = -0.4  # cosine of the plane in which an elbow bends at most: outwards, by the carrying angle (10-15 degrees)
MID_HAND_M = 0.10  # from the wrist to where a hand is thickest
ABOVE_SKIN_M = 0.040  # of a wrist whose hand lies on the belly
HAND_M = 0.042  # thickness of a hand on which another one lies
HAND_BREADTH_M = 0.13  # with the thumb: farther apart along the trunk, hands lie side by side
SHOULDER_M = 0.15  # below the shoulder, hands on the trunk begin
SWIVEL_RAD = 1.8  # how far an elbow may be raised from the couch to lead the forearm round the flank
_SWIVELS = np.linspace(0, -SWIVEL_RAD, 12)


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmReach:
    """Arms that are laid: rig; angles by name (M,), rad; shoulder (M, 3), where they begin; blade (M, 3, 3), the
    rotation of the shoulder blade; wrist (M,): how far hand and wrist lie off the couch; other (M, 3): the wrist of
    the body's other arm, whose hand lies on the belly below this one, infinitely far where there is none."""

    rig: ArmRig
    angles: Angles
    shoulder: Vector
    blade: Vector
    wrist: Vector
    other: Vector

    def lifted(self, by: Vector) -> "ArmReach":
        """The arms with wrists farther off the couch by (M,) m."""
        return replace(self, wrist=self.wrist + by)

    def over(self, other: Vector) -> "ArmReach":
        """The arms with hands over those at the wrists `other` (M, 3)."""
        return replace(self, other=other)

    def wrist_of(self, aim: "ArmAim") -> Vector:
        """(M, 3) where the wrists of arms that are aimed so lie."""
        elbow = self.shoulder + self.rig.upper[:, None] * aim.upper
        return np.asarray(elbow + self.rig.fore[:, None] * aim.fore)

    def room(self, radius: Vector, couch: Couch) -> Vector:
        """(M,) how far below the shoulder (m) a part of this radius touches the couch."""
        return np.asarray(couch.level[self.rig.body] - radius - self.shoulder[:, 1])


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmAim:
    """Unit vectors (M, 3): upper arm; where the elbow bends to, by elbow_rad (M,); forearm; palm; hand, to its
    fingers."""

    upper: Vector
    bend: Vector
    elbow_rad: Vector
    fore: Vector
    palm: Vector
    hand: Vector


def aim_to_couch(reach: ArmReach, couch: Couch) -> ArmAim:
    """How arms down, with the hand at the hip or up lie on the couch."""
    a, s = reach.angles, reach.rig.sign
    out, elbow, place = a["arm_abduction"], a["elbow"], a["arm_place"]
    back = _turned_back(reach, couch)
    upper = np.stack([s * np.sin(out) * np.cos(back), np.sin(back), -np.cos(out) * np.cos(back)], axis=1)
    inwards = np.stack([-s * np.cos(out), np.zeros_like(s), -np.sin(out)], axis=1)
    off = np.stack([s * np.sin(out) * np.sin(back), -np.cos(back), -np.cos(out) * np.sin(back)], axis=1)
    below = (reach.room(reach.wrist, couch) - reach.rig.upper * np.sin(back)) / reach.rig.fore
    raised = (np.cos(elbow) * np.sin(back) - below) / (np.sin(elbow) * np.cos(back))
    lowest = np.arcsin(np.clip(raised, 0, 1))
    asked = np.select([place == UP, place == DOWN], [a["arm_plane"], _outside(reach, upper, couch)], 0.0)
    plane = np.maximum(lowest, asked)
    way = np.where(place == UP, -1.0, 1.0)
    bend = np.sin(plane)[:, None] * off + (way * np.cos(plane))[:, None] * inwards
    return _as_asked(reach, upper, bend)


def _outside(reach: ArmReach, upper: Vector, couch: Couch) -> Vector:
    """(M,) angle (rad) off the couch in which an elbow bends so that the hand stays beside the trunk."""
    a, s = reach.angles, reach.rig.sign
    mid_hand = reach.rig.fore + MID_HAND_M
    ahead = reach.rig.upper + mid_hand * np.cos(a["elbow"])
    beside = couch.breadth(reach.rig.body, s, reach.shoulder[:, 2] + upper[:, 2] * ahead) + 0.035
    outside = s * (reach.shoulder[:, 0] + upper[:, 0] * ahead) - beside
    free = outside / (mid_hand * np.sin(a["elbow"]) * np.cos(a["arm_abduction"]))
    return np.asarray(np.arccos(np.clip(free, OUTWARDS, 1)))


def _turned_back(reach: ArmReach, couch: Couch) -> Vector:
    """(M,) angle (rad) by which the upper arm sinks to the couch: until the elbow lies there, or the hand does.

    The hand's depth, elbow bent as far off the couch as it bends, is L sin(angle - lead).
    """
    a, rig = reach.angles, reach.rig
    ahead, aside = rig.upper + rig.fore * np.cos(a["elbow"]), rig.fore * np.sin(a["elbow"])
    distance, lead = np.hypot(ahead, aside), np.arctan2(aside, ahead)
    by_elbow = np.arcsin(np.clip((reach.room(rig.elbow, couch) - a["arm_rise"] / 1000) / rig.upper, -0.9, 0.9))
    by_hand = lead + np.arcsin(np.clip(reach.room(reach.wrist, couch) / distance, -0.9, 0.9))
    return np.minimum(by_elbow, by_hand)


def _as_asked(reach: ArmReach, upper: Vector, bend: Vector) -> ArmAim:
    """Arms whose hands are turned as pronation, flexion and deviation of the wrist say."""
    a, s = reach.angles, reach.rig.sign
    cosine, sine = np.cos(a["elbow"])[:, None], np.sin(a["elbow"])[:, None]
    fore, hooked = cosine * upper + sine * bend, cosine * bend - sine * upper
    inner = s[:, None] * cross(upper, bend)
    palm = np.cos(a["pronation"])[:, None] * inner + np.sin(a["pronation"])[:, None] * hooked
    bent = turn(about(cross(fore, palm), a["wrist_flexion"]), fore)
    hand = turn(about(palm, s * a["wrist_deviation"]), bent)
    return ArmAim(upper=upper, bend=bend, elbow_rad=a["elbow"], fore=fore, palm=palm, hand=hand)


def aim_to_belly(reach: ArmReach, couch: Couch) -> ArmAim:
    """How arms with the hand on the front skin lie: as far down as the elbow's angle says; the elbow beside the trunk,
    low if it can; the hand along the skin."""
    rig, a = reach.rig, reach.angles
    distance = np.sqrt(rig.upper**2 + rig.fore**2 + 2 * rig.upper * rig.fore * np.cos(a["elbow"]))
    path, last = couch.front_path(rig.body, reach.shoulder[:, 2] - SHOULDER_M, rig.sign * a["arm_reach"])
    wrist = place_at(path, last, reach.shoulder, distance, ABOVE_SKIN_M)
    over = HAND_M * np.clip(2 - np.abs(wrist[:, 2] - reach.other[:, 2]) / (HAND_BREADTH_M / 2), 0, 1)
    wrist = place_at(path, last, reach.shoulder, distance, ABOVE_SKIN_M + over)
    to_wrist = unit(wrist - reach.shoulder)
    elbow = _beside_trunk(reach, couch, wrist, distance, to_wrist)
    upper = unit(elbow)
    fore = unit(distance[:, None] * to_wrist - elbow)
    normal = couch.front_normal(rig.body, wrist)
    return ArmAim(
        upper=upper,
        bend=across_from(fore, upper),
        elbow_rad=a["elbow"],
        fore=fore,
        palm=across_from(-normal, fore),
        hand=across_from(fore, normal),
    )


def _beside_trunk(reach: ArmReach, couch: Couch, wrist: Vector, distance: Vector, axis: Vector) -> Vector:
    """(M, 3) elbows, from the shoulder, of arms that reach a wrist at this distance along `axis` (M, 3) from there."""
    rig = reach.rig
    along = (distance**2 + rig.upper**2 - rig.fore**2) / (2 * distance)
    radius = np.sqrt(rig.upper**2 - along**2)
    lateral = across_from(rig.sign[:, None] * [1.0, 0.0, 0.0], axis)
    down = cross(axis, lateral)
    down *= np.sign(down[:, 1])[:, None]
    # y of the elbow over the swivel angle t is radius * (lateral_y cos t + down_y sin t)
    wanted = reach.room(rig.elbow, couch) - reach.angles["arm_rise"] / 1000 - along * axis[:, 1]
    size, phase = np.hypot(lateral[:, 1], down[:, 1]), np.arctan2(down[:, 1], lateral[:, 1])
    lowest = phase - np.arccos(np.clip(wanted / (radius * size), -1, 1))
    swivel = (lowest[:, None] + _SWIVELS)[:, :, None]
    around = np.cos(swivel) * lateral[:, None] + np.sin(swivel) * down[:, None]
    elbows = (along[:, None] * axis)[:, None] + radius[:, None, None] * around
    first = couch.first_beside(rig.body, reach.shoulder[:, None] + elbows, wrist, rig.elbow)
    return np.asarray(elbows[np.arange(len(elbows)), first])


@dataclass(frozen=True, kw_only=True, eq=False)
class LegReach:
    """Legs that are laid: rig; angles by name (M,), rad; middle (M,): x of the midline between them; ankle (M,): y of
    the ankle where the heel lies on the couch."""

    rig: LegRig
    angles: Angles
    middle: Vector
    ankle: Vector

    def lifted(self, by: Vector) -> "LegReach":
        """The legs with ankles farther off the couch by (M,) m."""
        return replace(self, ankle=self.ankle - by)

    def ankle_of(self, aim: "LegAim") -> Vector:
        """(M, 3) where the ankles of legs that are aimed so lie."""
        return np.asarray(self.rig.hip + self.rig.thigh[:, None] * aim.thigh + self.rig.shin[:, None] * aim.shin)


@dataclass(frozen=True, kw_only=True, eq=False)
class LegAim:
    """Unit vectors (M, 3): thigh, shin, and where the kneecap points."""

    thigh: Vector
    shin: Vector
    kneecap: Vector


def aim_leg(reach: LegReach) -> LegAim:
    """How legs lie, their heels on the couch: the ankle is `sideways` of the midline and as far down as the knee's
    angle leaves."""
    rig, a, s = reach.rig, reach.angles, reach.rig.sign
    knee, gap, above = a["knee"], a["heels"] / 1000, s * a["leg_above"] > 0
    crossed = a["leg_place"] == CROSSED  # one heel lies beyond the midline, the other leg's ankle on top of it
    apart = a["heels_aside"] * gap + s * (gap / 2 + rig.heel)
    sideways = reach.middle + np.where(crossed, -s * 0.8 * rig.heel, apart)
    depth = reach.ankle - np.where(crossed & above, 4.8 * rig.heel, 0.0)
    distance = np.sqrt(rig.thigh**2 + rig.shin**2 + 2 * rig.thigh * rig.shin * np.cos(knee))
    across, lower = sideways - rig.hip[:, 0], depth - rig.hip[:, 1]
    down = np.sqrt(np.maximum(distance**2 - across**2 - lower**2, (0.3 * distance) ** 2))
    axis = unit(np.stack([across, lower, -down], axis=1))
    front = across_from(np.broadcast_to([0.0, -1.0, 0.0], axis.shape), axis)
    kneecap = turn(about(axis, -s * a["hip_rotation"]), front)
    lift = np.arctan2(rig.shin * np.sin(knee), rig.thigh + rig.shin * np.cos(knee))[:, None]
    thigh = np.cos(lift) * axis + np.sin(lift) * kneecap
    shin = unit(distance[:, None] * axis - rig.thigh[:, None] * thigh)
    return LegAim(thigh=thigh, shin=shin, kneecap=across_from(kneecap, thigh))
