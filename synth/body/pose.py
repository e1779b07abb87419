"""Pose of a lying body: ranges of joint angles, draws from them, and the bone frames they give.

Angles are in degrees here because recipes are read by people.
"""

from dataclasses import dataclass

import numpy as np

from synth.mesh import Array
from synth.skeleton import Range, Skeleton, Vector, about, check_ranges, swing
from synth.template import Template


@dataclass(frozen=True, kw_only=True)
class BodyPose:
    """Ranges in degrees of a body lying supine, arms at its sides, drawn for each side apart.

    Source: Riegler et al. 2015, section 4: hands close to the body, legs slightly spread, feet arbitrary.
    """

    arm_abduction: Range = (3.0, 35.0)
    arm_back: Range = (-8.0, 12.0)
    elbow: Range = (5.0, 45.0)
    forearm_twist: Range = (-80.0, 80.0)
    wrist: Range = (-15.0, 15.0)
    leg_spread: Range = (0.0, 14.0)
    hip_rotation: Range = (-10.0, 50.0)
    knee: Range = (0.0, 12.0)
    foot: Range = (-10.0, 55.0)
    head_turn: Range = (-25.0, 25.0)
    head_flexion: Range = (-5.0, 25.0)
    head_tilt: Range = (-8.0, 8.0)
    bend: Range = (-6.0, 6.0)
    roll: Range = (-6.0, 6.0)
    yaw: Range = (-5.0, 5.0)

    def __post_init__(self) -> None:
        check_ranges("pose", self)


def sample_body_pose(pose: BodyPose, rng: np.random.Generator) -> dict[str, float]:
    """Named joint angles in degrees of one lying body; `.L` and `.R` are the subject's sides."""
    angles = {name: float(rng.uniform(*getattr(pose, name))) for name in _MIDLINE}
    for side in ("L", "R"):
        for name in _PER_SIDE:
            angles[f"{name}.{side}"] = float(rng.uniform(*getattr(pose, name)))
    return angles


_MIDLINE = ("head_turn", "head_flexion", "head_tilt", "bend", "roll", "yaw")
_PER_SIDE = (
    "arm_abduction",
    "arm_back",
    "elbow",
    "forearm_twist",
    "wrist",
    "leg_spread",
    "hip_rotation",
    "knee",
    "foot",
)


def pose_body(template: Template, heads: Array, angles: dict[str, float]) -> Skeleton:
    """The skeleton of a body in this pose: head up (+z), left at +x, seen from -y; trunk roll and yaw included."""
    skeleton = Skeleton(template=template, heads=np.asarray(heads, np.float64))
    a = {name: float(np.deg2rad(value)) for name, value in angles.items()}
    bone = template.bone
    trunk = about([0, 0, 1], a["roll"]) @ about([0, 1, 0], a["yaw"])
    chest = trunk @ about([0, 1, 0], a["bend"])
    neck = chest @ about([1, 0, 0], a["head_flexion"] / 2)
    tilt = about([0, 1, 0], a["head_tilt"]) @ about([1, 0, 0], a["head_flexion"] / 2)
    turned = {
        bone("root"): trunk,
        bone("spine03"): chest,
        bone("neck02"): neck,
        bone("head"): neck @ tilt @ about([0, 0, 1], a["head_turn"]),
    }
    for side, sign in (("L", 1.0), ("R", -1.0)):
        own = {name.removesuffix(f".{side}"): value for name, value in a.items() if name.endswith(f".{side}")}
        _aim_arm(template, skeleton.heads, chest, side, sign, own, turned)
        _aim_leg(template, skeleton.heads, trunk, side, sign, own, turned)
    skeleton.settle(turned)
    return skeleton


def _aim_arm(
    template: Template,
    rest: Vector,
    chest: Vector,
    side: str,
    sign: float,
    a: dict[str, float],
    turned: dict[int, Vector],
) -> None:
    upper, lower, twist, wrist = (
        template.bone(f"{n}.{side}") for n in ("upperarm01", "lowerarm01", "lowerarm02", "wrist")
    )
    out = a["arm_abduction"]
    aim = chest @ np.array([sign * np.sin(out), np.sin(a["arm_back"]), -np.cos(out)])
    turned[upper] = swing(chest @ (rest[lower] - rest[upper]), aim) @ chest
    bent = max(out - a["elbow"] / 2, np.deg2rad(-4))  # inwards over the couch, but beside the trunk; a third off it
    aim = chest @ np.array([sign * np.sin(bent), -np.sin(a["elbow"]) / 3, -np.cos(bent)])
    turned[lower] = swing(turned[upper] @ (rest[twist] - rest[lower]), aim) @ turned[upper]
    axis = turned[lower] @ (rest[wrist] - rest[twist])
    turned[twist] = swing(axis, aim) @ turned[lower]
    turned[twist] = about(aim, sign * a["forearm_twist"] / 2) @ turned[twist]
    hand = about(aim, sign * a["forearm_twist"] / 2) @ turned[twist]
    middle = template.bone(f"finger3-1.{side}")
    deviated = about(chest @ np.array([0.0, 1.0, 0.0]), a["wrist"]) @ aim
    turned[wrist] = swing(hand @ (rest[middle] - rest[wrist]), deviated) @ hand


def _aim_leg(
    template: Template,
    rest: Vector,
    trunk: Vector,
    side: str,
    sign: float,
    a: dict[str, float],
    turned: dict[int, Vector],
) -> None:
    upper, lower, foot = (template.bone(f"{name}.{side}") for name in ("upperleg01", "lowerleg01", "foot"))
    spread, bend = a["leg_spread"], a["knee"]
    aim = trunk @ np.array([sign * np.sin(spread), -np.sin(bend / 2), -np.cos(spread)])
    thigh = swing(trunk @ (rest[lower] - rest[upper]), aim) @ trunk
    turned[upper] = about(aim, -sign * a["hip_rotation"]) @ thigh
    aim = trunk @ np.array([sign * np.sin(spread), np.sin(bend / 2), -np.cos(spread)])
    turned[lower] = swing(turned[upper] @ (rest[foot] - rest[lower]), aim) @ turned[upper]
    turned[foot] = turned[lower] @ about([1, 0, 0], a["foot"])
