"""Pose of lying bodies: ranges of joint angles, draws from them, and the bone frames they give.

Angles are in degrees here because recipes are read by people. A body lies on its back: head up (+z), left at +x, seen
from -y, the couch behind it (+y).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synth.body.angles import arm_angles, leg_angles
from synth.body.arms import BELLY, ArmPose, sample_arm, sample_arm_places
from synth.body.legs import LegPose, sample_leg_place, sample_legs
from synth.body.limbs import lay_arms, lay_legs
from synth.body.rig import ARM, FINGERS, GIRDLE, LEG, bones_of
from synth.body.trunk import Lying, trunk_bones
from synth.mesh import Parameters
from synth.skeleton import Range, Rows, Skeleton, Vector, check_ranges, rows_of, settle
from synth.template import Template

LIMBS = ("L", "R", "legs")  # left arm, right arm, both legs: what is drawn again by itself
ARM_BONES = (*GIRDLE, *ARM, *FINGERS)
LIMB_BONES = (*ARM_BONES, *LEG)  # of one side

Drawn = NDArray[np.bool_]  # (N, 3) which of the LIMBS of N bodies were drawn


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


def sample_again(pose: BodyPose, placed: Parameters, limbs: Iterable[str], rng: np.random.Generator) -> Parameters:
    """Angles of some LIMBS, which stay at the place where they are `placed`."""
    drawn: Parameters = {}
    for limb in limbs:
        if limb == "legs":
            drawn |= sample_legs(pose.legs, placed["leg_place"], rng)
        else:
            drawn |= sample_arm(pose.arms, placed[f"arm_place.{limb}"], limb, rng)
    return drawn


def lay_limbs(lying: Lying, bodies: Rows, parameters: Sequence[Parameters], drawn: Drawn, turned: Vector) -> Vector:
    """Absolute rotations (N, 2, B, 3, 3) of the limbs of some `bodies` (N,): as `turned`, those `drawn` (N, 3) anew.

    Both arms are laid where one's hand may lie on the other's.
    """
    arm, leg = arm_angles(parameters), leg_angles(parameters)
    limbs = (2 * bodies[:, None] + [0, 1]).ravel()
    folded = (arm["arm_place"].reshape(-1, 2) == BELLY).all(1)
    arms = np.flatnonzero(drawn[:, :2] | (folded & drawn[:, :2].any(1))[:, None])
    legs = np.flatnonzero(np.repeat(drawn[:, 2], 2))
    laid = turned.reshape(-1, *turned.shape[2:]).copy()
    if len(arms):
        laid[arms, : len(ARM_BONES)] = lay_arms(lying, limbs[arms], rows_of(arm, arms))
    if len(legs):
        laid[legs, len(ARM_BONES) :] = lay_legs(lying, limbs[legs], rows_of(leg, legs))
    return laid.reshape(turned.shape)


def settled(lying: Lying, bodies: Rows, turned: Vector) -> Skeleton:
    """The skeletons of some `bodies` (N,) whose trunk lies and whose limbs are `turned` (N, 2, B, 3, 3) so."""
    rotations = np.concatenate([lying.turned[bodies], turned.reshape(len(bodies), -1, 3, 3)], axis=1)
    return settle(lying.template, lying.heads[bodies], _turned_bones(lying.template), rotations)


@cache
def _turned_bones(template: Template) -> tuple[int, ...]:
    return (*trunk_bones(template), *bones_of(template, LIMB_BONES).ravel().tolist())
