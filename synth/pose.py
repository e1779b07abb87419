"""Pose: ranges of joint angles for hands and lying bodies, draws from them, and the bone frames they give.

Angles are in degrees here because recipes are read by people. Bones are aimed: each takes the direction it shall have
in the frame of hand or body, so that an angle means the same for every shape.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synth.body import Array
from synth.template import Template

Vector = NDArray[np.float64]
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class HandPose:
    """Ranges in degrees of a hand lying flat. Angles between neighbours are positive where they spread.

    Source: spreads of real hands lying flat (0.5-99.5 % of 901 radiographs of the Digital Hand Atlas), widened in a
    share `wide` of the draws, since a network meets what its study holds, not what is usual.
    """

    thumb_index: Range = (0.0, 49.0)
    index_middle: Range = (-4.0, 25.0)
    middle_ring: Range = (-6.0, 21.0)
    ring_little: Range = (-2.0, 31.0)
    flexion: Range = (0.0, 15.0)
    palmar: Range = (0.0, 35.0)
    rotation: Range = (-15.0, 15.0)
    tilt: Range = (-10.0, 10.0)
    wrist: Range = (-15.0, 15.0)
    wide: float = 0.3
    wide_thumb: Range = (0.0, 95.0)
    wide_between: Range = (-15.0, 40.0)
    wide_flexion: Range = (0.0, 60.0)
    wide_tilt: Range = (-25.0, 25.0)
    forearm: Range = (-0.05, 0.6)
    short_forearm: float = 0.5
    cut_tilt: Range = (-25.0, 25.0)

    def __post_init__(self) -> None:
        if not 0 <= self.wide <= 1 or not 0 <= self.short_forearm <= 1:
            raise ValueError(f"pose shares are {self.wide}, {self.short_forearm}; allowed: 0 to 1")
        _check_ranges(self)


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
        _check_ranges(self)


@dataclass(kw_only=True)
class Skeleton:
    """Bone frames while they are being posed: rotations (J, 3, 3) from rest, positions (J, 3) of the heads."""

    template: Template
    heads: Vector
    rotations: Vector = field(init=False)
    positions: Vector = field(init=False)

    def __post_init__(self) -> None:
        self.heads = np.asarray(self.heads, np.float64)
        self.rotations = np.tile(np.eye(3), (len(self.heads), 1, 1))
        self.positions = self.heads.copy()

    def settle(self, rotations: dict[int, Vector]) -> None:
        """Walk the rig from its root: a bone takes its given absolute rotation, or its parent's."""
        for j, parent in enumerate(self.template.parents):
            inherited = self.rotations[parent] if parent >= 0 else np.eye(3)
            self.rotations[j] = rotations.get(j, inherited)
            if parent >= 0:
                self.positions[j] = self.positions[parent] + inherited @ (self.heads[j] - self.heads[parent])


def sample_hand_pose(pose: HandPose, rng: np.random.Generator) -> dict[str, float]:
    """Named joint angles in degrees, and the visible forearm as a share of the hand's length, of one hand."""
    wide = rng.random() < pose.wide
    draw = rng.uniform
    angles = {
        "thumb_index": draw(*(pose.wide_thumb if wide else pose.thumb_index)),
        "index_middle": draw(*(pose.wide_between if wide else pose.index_middle)),
        "middle_ring": draw(*(pose.wide_between if wide else pose.middle_ring)),
        "ring_little": draw(*(pose.wide_between if wide else pose.ring_little)),
        "palmar": draw(*pose.palmar),
        "middle": draw(-6, 6),
    }
    curled = rng.integers(0, 5) if wide and rng.random() < 0.4 else -1
    for digit in range(5):
        limits = pose.wide_flexion if digit == curled else pose.flexion
        for joint in range(1, 4):
            angles[f"flexion_{digit + 1}_{joint}"] = draw(*limits) * (0.6 if joint == 3 else 1.0)
    tilt = pose.wide_tilt if wide else pose.tilt
    angles |= {
        "rotation": draw(*pose.rotation),
        "tilt_side": draw(*tilt),
        "tilt_up": draw(*tilt),
        "wrist_deviation": draw(*pose.wrist),
        "wrist_flexion": draw(*pose.wrist),
        "cut_tilt": draw(*pose.cut_tilt),
    }
    short = rng.random() < pose.short_forearm
    low, high = pose.forearm
    angles["forearm"] = draw(low, low + 0.2 * (high - low)) if short else draw(low, high)
    return angles


def hand_frame(template: Template, heads: Vector) -> Vector:
    """(3, 3) rows: towards the thumb, towards the fingers, out of the back of a left hand at rest."""
    wrist, index, middle, little = (
        heads[template.bone(name)] for name in ("wrist.L", "finger2-1.L", "finger3-1.L", "finger5-1.L")
    )
    up = _unit(middle - wrist)
    thumbward = index - little
    thumbward = _unit(thumbward - (thumbward @ up) * up)
    return np.stack([thumbward, up, np.cross(thumbward, up)])


def pose_hand(template: Template, heads: Array, angles: dict[str, float]) -> Skeleton:
    """The skeleton of a left hand in this pose; the hand stays in its rest frame, the forearm turns at the wrist."""
    skeleton = Skeleton(template=template, heads=np.asarray(heads, np.float64))
    rest = skeleton.heads
    side, up, back = hand_frame(template, rest)
    a = {name: np.deg2rad(value) for name, value in angles.items()}

    def direction(spread: float, flexion: float) -> Vector:
        in_plane = np.cos(spread) * up + np.sin(spread) * side
        return np.asarray(np.cos(flexion) * in_plane - np.sin(flexion) * back)

    middle = a["middle"]
    index = middle + a["index_middle"]
    ring = middle - a["middle_ring"]
    spreads = (index + a["thumb_index"], index, middle, ring, ring - a["ring_little"])
    turned: dict[int, Vector] = {template.bone("wrist.L"): np.eye(3)}
    for digit, spread in enumerate(spreads, start=1):
        bones = [template.bone(f"finger{digit}-{joint}.L") for joint in (1, 2, 3)]
        flexions = np.cumsum([a[f"flexion_{digit}_{joint}"] for joint in (1, 2, 3)])
        aims = [direction(spread, flexion) for flexion in flexions]
        if digit == 1:  # the first metacarpal moves half as far and lifts the thumb out of the palm
            aims[0] = direction(np.deg2rad(25) + 0.5 * spread, a["palmar"])
            aims[1], aims[2] = (direction(spread, 0.5 * a["palmar"] + flexions[j] * 0.7) for j in (0, 1))
        rotation = np.eye(3)
        for bone, child, aim in zip(bones, [*bones[1:], None], aims, strict=True):
            reached = rotation @ _bone_axis(template, rest, bone, child)
            rotation = swing(reached, aim) @ rotation
            turned[bone] = rotation
    _turn_forearm(skeleton, turned, direction(np.pi + a["wrist_deviation"], a["wrist_flexion"]))
    return skeleton


def _turn_forearm(skeleton: Skeleton, turned: dict[int, Vector], aim: Vector) -> None:
    """Settle the skeleton with the forearm pointing along `aim` from a wrist that stays where it was."""
    template, rest = skeleton.template, skeleton.heads
    wrist, forearm = template.bone("wrist.L"), template.bone("lowerarm02.L")
    rotation = swing(rest[forearm] - rest[wrist], aim)
    skeleton.settle({template.bone("root"): rotation, **turned})
    skeleton.positions += rest[wrist] - skeleton.positions[wrist]


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


def _bone_axis(template: Template, rest: Vector, bone: int, child: int | None) -> Vector:
    """Direction of a bone at rest: to its child's head; for the last one, to the middle of the skin it moves."""
    if child is not None:
        return np.asarray(rest[child] - rest[bone])
    own = template.weights.argmax(1) == bone
    return np.asarray(template.vertices[own].mean(0) - template.heads[bone], np.float64)


def about(axis: list[float] | Vector, angle_rad: float) -> Vector:
    """(3, 3) rotation about an axis through the origin, right-handed."""
    x, y, z = _unit(np.asarray(axis, np.float64))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross)


def swing(source: Vector, target: Vector) -> Vector:
    """(3, 3) smallest rotation that takes the direction `source` to the direction `target`."""
    start, end = _unit(source), _unit(target)
    axis = np.cross(start, end)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        assert start @ end > 0, "a bone may not be turned right round"
        return np.eye(3)
    return about(axis / sine, float(np.arctan2(sine, start @ end)))


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector))


def _check_ranges(pose: HandPose | BodyPose) -> None:
    for name, value in vars(pose).items():
        if isinstance(value, tuple) and not value[0] <= value[1]:
            raise ValueError(f"pose.{name} is {value}; allowed: (low, high) with low <= high")
