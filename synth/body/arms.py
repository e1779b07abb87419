"""Arms of a lying body: where they lie, draws of their angles, and the directions that their bones take.

Angles are in degrees here because recipes are read by people. Directions are in the frame of the couch: +x the
subject's left, +y down to the couch, +z along the chest.
"""

from dataclasses import dataclass

import numpy as np

from synth.body.couch import Couch
from synth.skeleton import Range, Vector, check_ranges, check_shares, cross, unit

OUTWARDS = -0.4  # cosine of the plane in which an elbow bends at most: outwards, by the carrying angle (10-15 degrees)
MID_HAND_M = 0.10  # from the wrist to where a hand is thickest
ABOVE_SKIN_M = 0.040  # of a wrist whose hand lies on the belly
HAND_M = 0.042  # thickness of a hand on which another one lies
HAND_BREADTH_M = 0.13  # with the thumb: farther apart along the trunk, hands lie side by side
SWIVEL_RAD = 1.8  # how far an elbow may be raised from the couch to lead the forearm round the flank
DOWN, HIP, BELLY, UP = range(4)  # the stored parameter `arm_place`: where an arm lies


@dataclass(frozen=True, kw_only=True)
class ArmPose:
    """Where the arms lie, and ranges of their angles in degrees, drawn for each side apart.

    belly, up, one_up: shares of bodies with both hands on belly or pelvis, both arms up, one up; the rest has them
      down, a share `hip` of these arms with the hand at the edge of the hip or under it, as far as flesh gives way.
      Arms up are how trunks are scanned by CT (they would harden the beam); down or on the belly is what the sick,
      the old and the dead do.
    clavicle: elevation; both sides together within the range less `clavicle_sides` at each end, each side by up to
      that more or less. Mean 9: lying takes the arms' weight off the shoulders, and they rise towards the ears.
    protraction: of the clavicle, forwards.
    abduction, elbow: arm down. elevation, up_elbow: arm up; up_plane: from bent over the couch (0) to bent off it.
    belly_elbow: hand on belly; belly_reach: where on it, the wrist, from the midline (0) to its own side (1),
      as a share of the half breadth; hands reach on from there to the midline.
    pronation: of the forearm, full pronation -80 to full supination 80 (Boone and Azen 1979: 76 and 82).
    wrist: flexion and deviation. rise_mm, up_rise_mm: of the elbow above the couch (a pad; an arm rest).
    half, fist: shares of hands half closed and closed; the others are flat. Side-on hands come with the pronation.
    """

    belly: float = 0.15
    up: float = 0.20
    one_up: float = 0.05
    hip: float = 0.08
    clavicle: Range = (0.0, 18.0)
    clavicle_sides: float = 4.0
    protraction: Range = (-8.0, 8.0)
    abduction: Range = (3.0, 35.0)
    elbow: Range = (5.0, 45.0)
    elevation: Range = (130.0, 180.0)
    up_elbow: Range = (10.0, 120.0)
    up_plane: Range = (0.0, 45.0)
    belly_elbow: Range = (50.0, 110.0)
    belly_reach: Range = (0.2, 0.9)
    pronation: Range = (-80.0, 80.0)
    wrist: Range = (-15.0, 15.0)
    rise_mm: Range = (0.0, 25.0)
    up_rise_mm: Range = (0.0, 90.0)
    half: float = 0.35
    fist: float = 0.15

    def __post_init__(self) -> None:
        check_shares("pose.arms", belly=self.belly, up=self.up, one_up=self.one_up)
        check_shares("pose.arms", half=self.half, fist=self.fist)
        check_shares("pose.arms", hip=self.hip)
        check_ranges("pose.arms", self)
        if not 0 <= 2 * self.clavicle_sides <= self.clavicle[1] - self.clavicle[0]:
            allowed = f"0 to half the width of clavicle, {self.clavicle}"
            raise ValueError(f"pose.arms.clavicle_sides is {self.clavicle_sides}; allowed: {allowed}")


def sample_arm_places(pose: ArmPose, rng: np.random.Generator) -> dict[str, float]:
    """Where each arm lies, which hand is above (1 left, -1 right), how closed they are: what redrawn arms keep."""
    kind, raised = rng.random(), "LR"[rng.integers(2)]
    low, high = pose.clavicle
    both = rng.uniform(low + pose.clavicle_sides, high - pose.clavicle_sides)
    drawn = {"hand_above": 1.0 if raised == "L" else -1.0}
    for side in ("L", "R"):
        under, form, closure = rng.random(3)
        place = HIP if under < pose.hip else DOWN
        if kind < pose.belly:
            place = BELLY
        elif kind < pose.belly + pose.up or (kind < pose.belly + pose.up + pose.one_up and side == raised):
            place = UP
        drawn[f"arm_place.{side}"] = place
        drawn[f"clavicle.{side}"] = both + rng.uniform(-pose.clavicle_sides, pose.clavicle_sides)
        drawn[f"protraction.{side}"] = rng.uniform(*pose.protraction)
        closed = 8 + 7 * closure
        if form < pose.fist:
            closed = 75 + 12 * closure
        elif form < pose.fist + pose.half:
            closed = 20 + 35 * closure
        drawn[f"curl.{side}"] = closed if place != BELLY else min(closed, 40.0)  # a fist does not lie on a belly
    return drawn


def sample_arm(pose: ArmPose, place: float, side: str, rng: np.random.Generator) -> dict[str, float]:
    """Angles in degrees (rise: mm) of one arm that lies at `place`; those the place does not use are drawn too."""
    up, belly = place == UP, place == BELLY
    elbow = pose.up_elbow if up else pose.belly_elbow if belly else pose.elbow
    drawn = {
        "arm_abduction": rng.uniform(*(pose.elevation if up else pose.abduction)),
        "elbow": rng.uniform(*elbow),
        "arm_plane": rng.uniform(*pose.up_plane),
        "arm_reach": rng.uniform(*pose.belly_reach),
        "pronation": rng.uniform(*pose.pronation),
        "wrist_flexion": rng.uniform(*pose.wrist),
        "wrist_deviation": rng.uniform(*pose.wrist),
        "arm_rise": rng.uniform(*(pose.up_rise_mm if up else pose.rise_mm)),
    }
    return {f"{name}.{side}": value for name, value in drawn.items()}


@dataclass(frozen=True, kw_only=True)
class ArmAim:
    """Directions of an arm in the frame of the couch: upper arm, to where the elbow bends, forearm (unit vectors).

    palm, hand: where palm and hand point when they lie on the skin; None: as pronation and wrist say.
    """

    upper: Vector
    bend: Vector
    elbow_rad: float
    hand: Vector | None = None
    palm: Vector | None = None

    @property
    def fore(self) -> Vector:
        """Direction from elbow to wrist."""
        return np.asarray(np.cos(self.elbow_rad) * self.upper + np.sin(self.elbow_rad) * self.bend)


@dataclass(frozen=True, kw_only=True)
class ArmReach:
    """What an arm of this person can do: shoulder (3,) in the frame of the couch; lengths and radii in metres.

    sign: 1 left, -1 right. upper, fore: lengths; elbow: radius; wrist: how far hand and wrist lie off the
    couch; other (3,): the wrist of the other arm, whose hand lies on the belly below this one.
    """

    shoulder: Vector
    sign: float
    upper: float
    fore: float
    elbow: float
    wrist: float
    other: Vector | None


def aim_arm(reach: ArmReach, couch: Couch, a: dict[str, float]) -> ArmAim:
    """How an arm with the angles `a` (rad; arm_rise mm) lies on this couch, or its hand on this belly."""
    if a["arm_place"] == BELLY:
        return _aim_to_belly(reach, couch, a)
    out, elbow = a["arm_abduction"], a["elbow"]
    back = _turned_back(reach, couch, a)
    s = reach.sign
    upper = np.array([s * np.sin(out) * np.cos(back), np.sin(back), -np.cos(out) * np.cos(back)])
    inwards = np.array([-s * np.cos(out), 0.0, -np.sin(out)])
    off = np.array([s * np.sin(out) * np.sin(back), -np.cos(back), -np.cos(out) * np.sin(back)])
    raised = (
        np.cos(elbow) * np.sin(back) - (_room(reach.wrist, reach, couch) - reach.upper * np.sin(back)) / reach.fore
    ) / (np.sin(elbow) * np.cos(back))
    lowest = float(np.arcsin(np.clip(raised, 0, 1)))
    if a["arm_place"] == UP:
        plane = max(a["arm_plane"], lowest)
        return ArmAim(upper=upper, bend=np.sin(plane) * off - np.cos(plane) * inwards, elbow_rad=elbow)
    mid_hand = reach.fore + MID_HAND_M
    end = reach.shoulder[2] + upper[2] * (reach.upper + mid_hand * np.cos(elbow))
    beside = couch.breadth(s, float(end)) + (0.035 if a["arm_place"] == DOWN else -0.05)
    outside = s * (reach.shoulder[0] + upper[0] * (reach.upper + mid_hand * np.cos(elbow))) - beside
    free = np.clip(outside / (mid_hand * np.sin(elbow) * np.cos(out)), OUTWARDS, 1)
    plane = max(lowest, float(np.arccos(free))) if a["arm_place"] == DOWN else lowest
    return ArmAim(upper=upper, bend=np.sin(plane) * off + np.cos(plane) * inwards, elbow_rad=elbow)


def _room(radius: float, reach: ArmReach, couch: Couch) -> float:
    """How far below the shoulder a part of this radius touches the couch (m)."""
    return float(couch.level - radius - reach.shoulder[1])


def _turned_back(reach: ArmReach, couch: Couch, a: dict[str, float]) -> float:
    """Angle (rad) by which the upper arm sinks to the couch: until the elbow lies there, or the hand does.

    The hand's depth, elbow bent as far off the couch as it bends, is L sin(angle - lead).
    """
    bent = np.array([reach.upper + reach.fore * np.cos(a["elbow"]), reach.fore * np.sin(a["elbow"])])
    length, lead = float(np.hypot(*bent)), float(np.arctan2(bent[1], bent[0]))
    by_elbow = np.arcsin(np.clip((_room(reach.elbow, reach, couch) - a["arm_rise"] / 1000) / reach.upper, -0.9, 0.9))
    by_hand = lead + np.arcsin(np.clip(_room(reach.wrist, reach, couch) / length, -0.9, 0.9))
    return float(min(by_elbow, by_hand))


def _aim_to_belly(reach: ArmReach, couch: Couch, a: dict[str, float]) -> ArmAim:
    """The hand on the front skin, as far down as the elbow's angle says; the elbow beside the trunk, low if it can."""
    distance = np.sqrt(reach.upper**2 + reach.fore**2 + 2 * reach.upper * reach.fore * np.cos(a["elbow"]))
    share = reach.sign * a["arm_reach"]
    wrist = couch.place_on_front(reach.shoulder, float(distance), share, above=ABOVE_SKIN_M)
    if reach.other is not None:
        over = HAND_M * float(np.clip(2 - abs(wrist[2] - reach.other[2]) / (HAND_BREADTH_M / 2), 0, 1))
        wrist = couch.place_on_front(reach.shoulder, float(distance), share, above=ABOVE_SKIN_M + over)
    axis = unit(wrist - reach.shoulder)
    along = (distance**2 + reach.upper**2 - reach.fore**2) / (2 * distance)
    radius = np.sqrt(reach.upper**2 - along**2)
    lateral = unit(np.array([reach.sign, 0.0, 0.0]) - reach.sign * axis[0] * axis)
    down = cross(axis, lateral)
    down *= np.sign(down[1])
    # y of the elbow over the swivel angle t is radius * (lateral_y cos t + down_y sin t)
    wanted = _room(reach.elbow, reach, couch) - a["arm_rise"] / 1000 - along * axis[1]
    size, phase = np.hypot(lateral[1], down[1]), np.arctan2(down[1], lateral[1])
    lowest = phase - np.arccos(np.clip(wanted / (radius * size), -1, 1))
    swivel = np.linspace(lowest, lowest - SWIVEL_RAD, 12)[:, None]
    elbows = along * axis + radius * (np.cos(swivel) * lateral + np.sin(swivel) * down)
    elbow = elbows[couch.first_beside(reach.shoulder + elbows, wrist, reach.elbow)]
    upper = unit(elbow)
    fore = unit(distance * axis - elbow)
    bend = unit(fore - (fore @ upper) * upper)
    normal = couch.front_normal(wrist)
    hand = unit(fore - (fore @ normal) * normal)
    return ArmAim(upper=upper, bend=bend, elbow_rad=a["elbow"], hand=hand, palm=-normal)
