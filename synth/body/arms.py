"""Arms of a lying body: where they lie, and draws of their angles, in degrees because recipes are read by people."""

from dataclasses import dataclass

import numpy as np

from synth.skeleton import Range, check_ranges, check_shares

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
