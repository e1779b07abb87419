"""Pose of a lying body: ranges of joint angles, draws from them, and the bone frames they give.

Angles are in degrees here because recipes are read by people. A body lies on its back: head up (+z), left at +x, seen
from -y, the couch behind it (+y).
"""

from dataclasses import dataclass

import numpy as np

from synth.body.arms import BELLY, ArmPose, sample_arm, sample_arm_places
from synth.body.flesh import Flesh
from synth.body.legs import LegPose, sample_leg_place, sample_legs
from synth.body.limbs import lay_arm, lay_leg
from synth.body.surface import SIGNS
from synth.body.trunk import Lying, lie_down, radians
from synth.mesh import Array, Parameters
from synth.skeleton import Range, Skeleton, Vector, check_ranges
from synth.template import Template

LIMBS = ["L", "R", "legs"]  # left arm, right arm, both legs: what is drawn again by itself


@dataclass(frozen=True, kw_only=True)
class BodyPose:
    """Ranges in degrees of a body lying supine on a couch.

    head_flexion: on a pillow of up to about 10 cm; head_turn, head_tilt: half of what a neck can do (Youdas et al.
      1992), since a head that lies is turned, not strained. bend, roll, yaw: of the trunk, as people end up when they
      are laid down in a hurry, or cannot lie straight.
    flesh: 0 as standing .. 1 soft, see flesh.py.
    """

    arms: ArmPose = ArmPose()
    legs: LegPose = LegPose()
    head_turn: Range = (-45.0, 45.0)
    head_flexion: Range = (0.0, 35.0)
    head_tilt: Range = (-12.0, 12.0)
    bend: Range = (-12.0, 12.0)
    roll: Range = (-8.0, 8.0)
    yaw: Range = (-6.0, 6.0)
    flesh: Range = (0.3, 1.0)

    def __post_init__(self) -> None:
        check_ranges("pose", self)
        if not 0 <= self.flesh[0] <= self.flesh[1] <= 1:
            raise ValueError(f"pose.flesh is {self.flesh}; allowed: a range within 0 to 1")


def sample_body_pose(pose: BodyPose, rng: np.random.Generator) -> Parameters:
    """Named joint angles in degrees, and places, of one lying body; `.L` and `.R` are the subject's sides."""
    names = ("head_turn", "head_flexion", "head_tilt", "bend", "roll", "yaw", "flesh")
    drawn = {name: float(rng.uniform(*getattr(pose, name))) for name in names}
    drawn |= sample_arm_places(pose.arms, rng) | sample_leg_place(pose.legs, rng)
    return drawn | sample_again(pose, drawn, LIMBS, rng)


def sample_again(pose: BodyPose, placed: Parameters, limbs: list[str], rng: np.random.Generator) -> Parameters:
    """Angles of some LIMBS, which stay at the place where they are `placed`."""
    drawn: Parameters = {}
    for limb in limbs:
        if limb == "legs":
            drawn |= sample_legs(pose.legs, placed["leg_place"], rng)
        else:
            drawn |= sample_arm(pose.arms, placed[f"arm_place.{limb}"], limb, rng)
    return drawn


def pose_body(template: Template, rest: Array, heads: Array, parameters: Parameters) -> tuple[Skeleton, Flesh]:
    """(skeleton, flesh) of the person rest (V, 3), heads (J, 3) in the pose of these parameters."""
    lying = lie_down(template, rest, heads, parameters)
    return settled(lying, lay_limbs(lying, parameters, LIMBS)), lying.flesh


def lay_limbs(lying: Lying, parameters: Parameters, limbs: list[str]) -> dict[int, Vector]:
    """Absolute rotations of the bones of some LIMBS; of both arms where one's hand may lie on the other's."""
    a = radians(parameters)
    folded = all(parameters[f"arm_place.{side}"] == BELLY for side in SIGNS)
    turned: dict[int, Vector] = {}
    below = None
    for side in sorted(SIGNS, reverse=parameters["hand_above"] > 0):
        own = {name.removesuffix(f".{side}"): value for name, value in a.items()}
        if side in limbs or (folded and limbs != ["legs"]):
            arm, wrist = lay_arm(lying, side, own, below)
            turned |= arm
            below = wrist if folded else None
        if "legs" in limbs:
            turned |= lay_leg(lying, side, own)
    return turned


def settled(lying: Lying, turned: dict[int, Vector]) -> Skeleton:
    """The skeleton of a body whose trunk lies and whose limbs are turned so."""
    skeleton = Skeleton(template=lying.template, heads=lying.heads)
    skeleton.settle(lying.turned | turned)
    return skeleton
