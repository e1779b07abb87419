"""Pose of a lying body: ranges of joint angles, draws from them, and the bone frames they give.

Angles are in degrees here because recipes are read by people. A body lies on its back: head up (+z), left at +x, seen
from -y, the couch behind it (+y).
"""

from dataclasses import dataclass

import numpy as np

from synth.body.arms import BELLY, ArmPose, aim_arm, sample_arm, sample_arm_places
from synth.body.flesh import Flesh
from synth.body.legs import CROSSED, LegPose, aim_leg, sample_leg_place, sample_legs
from synth.body.limbs import arm_reach, leg_reach, turn_arm, turn_fingers, turn_leg
from synth.body.surface import SIGNS, surface_of
from synth.body.trunk import Lying, lie_down, radians, turn_girdle
from synth.mesh import Array, Parameters
from synth.skeleton import Range, Skeleton, Vector, check_ranges
from synth.template import Template

ENDS = ("hand", "foot")


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
    return drawn | sample_again(pose, drawn, ["L", "R", "legs"], rng)


def sample_again(pose: BodyPose, placed: Parameters, parts: list[str], rng: np.random.Generator) -> Parameters:
    """Angles of some parts, "L" and "R" arm or "legs", which stay at the place where they are `placed`."""
    drawn: Parameters = {}
    for part in parts:
        if part == "legs":
            drawn |= sample_legs(pose.legs, placed["leg_place"], rng)
        else:
            drawn |= sample_arm(pose.arms, placed[f"arm_place.{part}"], part, rng)
    return drawn


def pose_body(template: Template, rest: Array, heads: Array, parameters: Parameters) -> tuple[Skeleton, Flesh]:
    """(skeleton, flesh) of the person rest (V, 3), heads (J, 3) in the pose of these parameters."""
    lying = lie_down(template, rest, heads, parameters)
    return pose_limbs(lying, parameters), lying.flesh


def pose_limbs(lying: Lying, parameters: Parameters) -> Skeleton:
    """The skeleton of a body whose trunk lies, with its limbs in the pose of these parameters.

    Limbs are laid twice: where hands or feet then reach beyond the couch, or heels do not reach it, wrists and ankles
    are moved by that much the second time.
    """
    skeleton = Skeleton(template=lying.template, heads=lying.heads)
    skeleton.settle(_turn_limbs(lying, parameters, {}))
    beyond = _beyond_couch(lying, skeleton, parameters)
    skeleton.settle(_turn_limbs(lying, parameters, beyond))
    return skeleton


def _turn_limbs(lying: Lying, parameters: Parameters, lift: dict[str, float]) -> dict[int, Vector]:
    """Absolute rotations of all turned bones; lift: how far (m) to raise wrists and ankles, by end and side."""
    template, a = lying.template, radians(parameters)
    turned = dict(lying.turned)
    for side in SIGNS:
        own = {name.removesuffix(f".{side}"): value for name, value in a.items()}
        girdle, shoulder = turn_girdle(lying, own, side)
        reach = arm_reach(lying, shoulder, side, lift.get(f"hand{side}", 0.0))
        blade = girdle[template.bone(f"shoulder01.{side}")]
        arm = turn_arm(lying, aim_arm(reach, lying.couch, own), blade, side, own)
        turned |= girdle | arm | turn_fingers(lying, arm[template.bone(f"wrist.{side}")], side, own["curl"])
        leg = leg_reach(lying, side, lift.get(f"foot{side}", 0.0))
        turned |= turn_leg(lying, aim_leg(leg, lying.middle, own), side, own)
    return turned


def _beyond_couch(lying: Lying, skeleton: Skeleton, parameters: Parameters) -> dict[str, float]:
    """How far (m) hands and feet reach beyond the couch; less than 0: heels that do not reach it."""
    beyond = {}
    for side in SIGNS:
        for end in ENDS:
            points, _ = surface_of(lying.template, end, side).pose(lying.template, lying.rest, skeleton)
            depth = float(points[:, 1].max()) - lying.couch.level
            beyond[f"{end}{side}"] = depth if end == "foot" else max(depth, 0.0)
        crossed = parameters["leg_place"] == CROSSED and (parameters["leg_above"] > 0) == (side == "L")
        if crossed:  # the upper foot lies on the other one
            beyond[f"foot{side}"] = 0.0
        if parameters[f"arm_place.{side}"] == BELLY:
            beyond[f"hand{side}"] = 0.0
    return beyond
