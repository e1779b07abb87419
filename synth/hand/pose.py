"""Pose of a hand: ranges of joint angles, draws from them, and the bone frames they give.

Angles are in degrees here because recipes are read by people.
"""

from dataclasses import dataclass

import numpy as np

from synth.mesh import Array
from synth.skeleton import Range, Skeleton, Vector, check_ranges, swing, unit
from synth.template import Template


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
        check_ranges("pose", self)


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
    up = unit(middle - wrist)
    thumbward = index - little
    thumbward = unit(thumbward - (thumbward @ up) * up)
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


def _bone_axis(template: Template, rest: Vector, bone: int, child: int | None) -> Vector:
    """Direction of a bone at rest: to its child's head; for the last one, to the middle of the skin it moves."""
    if child is not None:
        return np.asarray(rest[child] - rest[bone])
    own = template.weights.argmax(1) == bone
    return np.asarray(template.vertices[own].mean(0) - template.heads[bone], np.float64)
