"""Pose of a lying body: ranges of joint angles, draws from them, and the bone frames they give.

Angles are in degrees here because recipes are read by people. A body lies on its back: head up (+z), left at +x, seen
from -y, the couch behind it (+y).
"""

from dataclasses import dataclass

import numpy as np

from synth.body.arms import ArmPose, aim_arm, sample_arm, sample_arm_places
from synth.body.couch import Couch
from synth.body.flesh import Flesh, flesh_of
from synth.body.legs import LegPose, aim_leg, sample_leg_place, sample_legs
from synth.body.limbs import arm_reach, leg_reach, turn_arm, turn_fingers, turn_leg
from synth.body.surface import surface_of
from synth.mesh import Array, Parameters
from synth.skeleton import Range, Skeleton, Vector, about, check_ranges, turns
from synth.template import Template

FRONT = -0.35  # y of the normal of skin that counts as the trunk's front
UPPER_THIGH_M = 0.15  # below the hip joint, within which hips are broadest
MAX_LEAN_RAD = 0.14  # how far the trunk leans back at most, until shoulder blades and buttocks both lie


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
    skeleton = Skeleton(template=template, heads=np.asarray(heads, np.float64))
    plain = ("arm_place", "arm_rise", "arm_reach", "leg_place", "leg_above", "heels", "flesh")
    a = {name: value if name.startswith(plain) else float(np.deg2rad(value)) for name, value in parameters.items()}
    turned = _turn_trunk(skeleton, rest, a)
    skeleton.settle(turned)
    along_chest, along_pelvis = (about([0, 1, 0], angle) for angle in (a["yaw"] + a["bend"], a["yaw"]))
    couch, flesh = _lie_down(skeleton, rest, along_chest, parameters)
    for side in ("L", "R"):
        own = {name.removesuffix(f".{side}"): value for name, value in a.items() if not name.endswith(_other(side))}
        reach = arm_reach(skeleton, rest, along_chest, side)
        arm = turn_arm(skeleton, aim_arm(reach, couch, own), along_chest, side, own)
        turned |= arm | turn_fingers(skeleton, arm[template.bone(f"wrist.{side}")], side, own["curl"])
        leg = leg_reach(skeleton, rest, along_pelvis, couch.level, side)
        middle = float((along_pelvis.T @ skeleton.positions[template.bone("root")])[0])
        turned |= turn_leg(skeleton, aim_leg(leg, middle, own), along_pelvis, side, own)
    skeleton.settle(turned)
    return skeleton, flesh


def _other(side: str) -> str:
    return ".R" if side == "L" else ".L"


def _turn_trunk(skeleton: Skeleton, rest: Array, a: dict[str, float]) -> dict[int, Vector]:
    """Absolute rotations of trunk, neck, head and shoulder girdle; bends and turns are spread over the spine."""
    bone = skeleton.template.bone
    trunk = about([0, 1, 0], a["yaw"]) @ about([0, 0, 1], a["roll"]) @ about([1, 0, 0], -_lean(skeleton, rest))
    turned = {bone("root"): trunk}
    shares = np.array([0.25, 0.5, 0.75, 1.0])
    bends = turns(np.array([0.0, 1.0, 0.0]), shares * a["bend"])
    for name, bend in zip(("spine04", "spine03", "spine02", "spine01"), bends, strict=True):
        turned[bone(name)] = trunk @ bend
    chest = turned[bone("spine01")]
    nods = turns(np.array([0.0, 1.0, 0.0]), shares * a["head_tilt"]) @ turns(
        np.array([1.0, 0, 0]), shares * a["head_flexion"]
    )
    nods = nods @ turns(np.array([0.0, 0.0, 1.0]), shares * a["head_turn"])
    for name, nod in zip(("neck01", "neck02", "neck03", "head"), nods, strict=True):
        turned[bone(name)] = chest @ nod
    for side, s in (("L", 1.0), ("R", -1.0)):
        clavicle, blade = _girdle(a, side)
        forwards = chest @ about([0, 0, 1], -s * a[f"protraction.{side}"])
        turned[bone(f"clavicle.{side}")] = forwards @ about([0, 1, 0], -s * clavicle)
        turned[bone(f"shoulder01.{side}")] = forwards @ about([0, 1, 0], -s * blade)
    return turned


def _girdle(a: dict[str, float], side: str) -> tuple[float, float]:
    """Elevation (rad) of clavicle and shoulder blade: a third of the arm's above 30 degrees (Inman et al. 1944), in
    equal parts at the clavicle's two ends; the upper arm turns back by as much, since it is aimed."""
    own = a[f"clavicle.{side}"]
    raised = max(0.0, a[f"arm_abduction.{side}"] - np.deg2rad(30)) / 3 if a[f"arm_place.{side}"] == 3 else 0.0
    return own + raised / 2, own + raised


def _lean(skeleton: Skeleton, rest: Array) -> float:
    """Angle (rad) by which the trunk leans back until its upper half touches the couch as its lower half does."""
    points = rest[surface_of(skeleton.template, "trunk").index]
    upper = points[:, 2] > (points[:, 2].min() + points[:, 2].max()) / 2
    low, high = (part[part[:, 1].argmax()] for part in (points[~upper], points[upper]))
    return float(np.clip(np.arctan2(low[1] - high[1], high[2] - low[2]), -MAX_LEAN_RAD, MAX_LEAN_RAD))


def _lie_down(skeleton: Skeleton, rest: Array, along_chest: Vector, parameters: Parameters) -> tuple[Couch, Flesh]:
    """The couch under the settled trunk, and how its flesh lies there."""
    template = skeleton.template
    surface = surface_of(template, "trunk")
    points, normals = surface.pose(template, rest, skeleton)
    flesh = flesh_of(template, points, parameters)
    points = flesh.settle(template, points, skeleton.rotations.astype(np.float32), surface.index)
    skin, facing = (part.astype(np.float64) @ along_chest for part in (points, normals))
    root = along_chest.T @ skeleton.positions[template.bone("root")]
    thighs = rest[surface_of(template, "thigh", "L").index]
    thighs = thighs[thighs[:, 2] > skeleton.heads[template.bone("upperleg01.L"), 2] - UPPER_THIGH_M]
    front = facing[:, 1] < FRONT
    couch = Couch(
        level=flesh.level,
        half_breadth=float(thighs[:, 0].max()),
        middle=float(root[0]),
        hips=float(root[2]),
        skin=skin,
        normals=facing,
        front=skin[front],
        front_normals=facing[front],
    )
    return couch, flesh
