"""Legs of a lying body: where they lie, and draws of their angles, in degrees because recipes are read by people."""

from dataclasses import dataclass

import numpy as np

from synth.skeleton import Range, check_ranges, check_shares

STRAIGHT, REST, CROSSED, CONTRACTED = range(4)  # the stored parameter `leg_place`


@dataclass(frozen=True, kw_only=True)
class LegPose:
    """How the legs lie: shares, and ranges of angles in degrees drawn for each side apart.

    rest: share of bodies with a rest under the knees (usual in CT: it flattens the lumbar spine); crossed: ankles
      crossed, either above; contracted: hips and knees that do not straighten (the bedridden; the dead of a fire).
    heels_mm: gap between the heels; aside: where its middle lies, as a share of it, from the trunk's midline.
    hip_rotation: outwards; a relaxed leg falls outwards, by 50 at most. knee, rest_knee, contracted_knee: flexion.
    foot: plantar flexion; a relaxed foot drops, a rigid one stands (Boone and Azen 1979: -13 to 56).
    """

    rest: float = 0.30
    crossed: float = 0.03
    contracted: float = 0.05
    heels_mm: Range = (0.0, 450.0)
    aside: Range = (-0.15, 0.15)
    hip_rotation: Range = (-10.0, 50.0)
    knee: Range = (0.0, 8.0)
    rest_knee: Range = (10.0, 40.0)
    contracted_knee: Range = (40.0, 100.0)
    foot: Range = (-10.0, 55.0)

    def __post_init__(self) -> None:
        check_shares("pose.legs", rest=self.rest, crossed=self.crossed, contracted=self.contracted)
        check_ranges("pose.legs", self)
        if self.heels_mm[0] < 0:
            raise ValueError(f"pose.legs.heels_mm is {self.heels_mm}; allowed: 0 or more")


def sample_leg_place(pose: LegPose, rng: np.random.Generator) -> dict[str, float]:
    """How the legs lie, and which is above where they cross (1 left, -1 right): what redrawn legs keep."""
    kind, above = rng.random(), 1.0 if rng.random() < 0.5 else -1.0
    place = STRAIGHT
    for candidate, share in ((CONTRACTED, pose.contracted), (CROSSED, pose.crossed), (REST, pose.rest)):
        if 0 <= kind < share:
            place = candidate
        kind -= share
    return {"leg_place": place, "leg_above": above}


def sample_legs(pose: LegPose, place: float, rng: np.random.Generator) -> dict[str, float]:
    """Angles in degrees and the gap of the heels in mm of legs that lie at `place`."""
    knee = {REST: pose.rest_knee, CONTRACTED: pose.contracted_knee}.get(int(place), pose.knee)
    both = rng.uniform(*knee)
    drawn = {"heels": rng.uniform(*pose.heels_mm), "heels_aside": rng.uniform(*pose.aside)}
    for side in ("L", "R"):
        # a rest lies under both knees; the sides differ by up to a fifth of the range
        drawn[f"knee.{side}"] = both if place == REST else rng.uniform(*knee)
        drawn[f"hip_rotation.{side}"] = rng.uniform(*pose.hip_rotation)
        drawn[f"foot.{side}"] = rng.uniform(*pose.foot)
    return drawn
