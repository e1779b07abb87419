"""Pose of a hand: ranges of joint angles and draws from them. Degrees, because recipes are read by people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.mesh import Parameters
from synth.skeleton import Range, check_ranges

BETWEEN = ("thumb_index", "index_middle", "middle_ring", "ring_little")


@dataclass(frozen=True, kw_only=True)
class HandPose:
    """Ranges in degrees of a hand lying flat. Angles between neighbours are positive where they spread.

    thumb_index .. ring_little: between the lines from the knuckle to the tip, seen from the back; within a hand the
      draws go together (40 % is common to all, their correlation then 0.3; 0.2-0.5 in the source)
    flexion: of each joint, the most of a hand that is drawn between flat and this; bend: deviation of the sideways
      curve of each finger's middle and last joint about its usual one
    palmar: how far the thumb's metacarpal is lifted out of the palm; middle: of the middle finger against the hand
    rotation, tilt: of the hand in the image's plane and out of it; wrist: deviation and flexion of the forearm
    wide, wide_*: the share of draws, and the ranges that these take uniformly and apart from each other; in a half of
      them one or two fingers take wide_flexion
    forearm: visible length as a share of the hand's, 0 at the wrist joint, 0.7 half the forearm; a share
      `short_forearm` of hands is drawn in its first fifth; cut_tilt: of the cut, in the plane of the hand
    Source: 0.5-99.5 % of 901 radiographs of the Digital Hand Atlas, and far wider in a share of the draws, since a
    network meets what its study holds, not what is usual. Forearm: the radius is 1.35 to 1.5 hands long (ANSUR II).
    """

    thumb_index: Range = (0.0, 49.0)
    index_middle: Range = (-4.0, 25.0)
    middle_ring: Range = (-6.0, 21.0)
    ring_little: Range = (-2.0, 31.0)
    middle: Range = (-18.0, 5.0)
    flexion: Range = (-4.0, 15.0)
    bend: float = 3.0
    palmar: Range = (0.0, 35.0)
    rotation: Range = (-15.0, 15.0)
    tilt: Range = (-10.0, 10.0)
    wrist: Range = (-15.0, 15.0)
    wide: float = 0.3
    wide_thumb: Range = (0.0, 95.0)
    wide_between: Range = (-15.0, 40.0)
    wide_flexion: Range = (0.0, 60.0)
    wide_tilt: Range = (-25.0, 25.0)
    forearm: Range = (0.0, 0.7)
    short_forearm: float = 0.5
    cut_tilt: Range = (-20.0, 20.0)

    def __post_init__(self) -> None:
        if not 0 <= self.wide <= 1 or not 0 <= self.short_forearm <= 1:
            raise ValueError(f"pose shares are {self.wide}, {self.short_forearm}; allowed: 0 to 1")
        if not 0 <= self.bend <= 15:
            raise ValueError(f"pose.bend is {self.bend}; allowed: 0 to 15 degrees")
        check_ranges("pose", self)


# Usual sideways curve of the middle and last joint, towards the little finger, thumb to little finger (same source).
_BENDS = np.array([[0.0, -2.0], [2.0, 3.0], [2.0, 4.0], [0.5, -2.0], [-1.0, -5.0]])
_THUMB_MOST = 95.0  # no thumb points further back than square to its hand
_THUMB_BASE, _THUMB_BEND = 5.6, 7.5  # deviations of the thumb's metacarpal about its usual line, and of its last joint


def sample_hand_pose(pose: HandPose, rng: np.random.Generator) -> Parameters:
    """Named joint angles in degrees, and the visible forearm as a share of the hand's length, of one hand."""
    wide = rng.random() < pose.wide
    angles = _draw_spreads(pose, wide, rng)
    flexion = _draw_flexion(pose, wide, rng)
    bends = _BENDS + rng.normal(0, pose.bend, (5, 2))
    for digit in range(5):
        for joint in range(3):
            angles[f"flexion_{digit + 1}_{joint + 1}"] = flexion[digit, joint]
        for joint in range(2):
            angles[f"bend_{digit + 1}_{joint + 1}"] = bends[digit, joint]
    angles["bend_1_1"], angles["bend_1_2"] = rng.normal(0, _THUMB_BASE), -2 + rng.normal(0, _THUMB_BEND)
    tilt = pose.wide_tilt if wide else pose.tilt
    angles |= {
        "rotation": rng.uniform(*pose.rotation),
        "tilt_side": rng.uniform(*tilt),
        "tilt_up": rng.uniform(*tilt),
        "wrist_deviation": rng.uniform(*pose.wrist),
        "wrist_flexion": rng.uniform(*pose.wrist),
        "cut_tilt": rng.uniform(*pose.cut_tilt),
    }
    short = rng.random() < pose.short_forearm
    low, high = pose.forearm
    angles["forearm"] = rng.uniform(low, low + 0.2 * (high - low) if short else high)
    return {name: float(value) for name, value in angles.items()}


def _draw_spreads(pose: HandPose, wide: bool, rng: np.random.Generator) -> Parameters:
    own, common = rng.random(4), rng.random()
    shares = own if wide else 0.6 * own + 0.4 * common
    angles = {"middle": rng.uniform(*pose.middle), "palmar": rng.uniform(*pose.palmar)}
    for name, share in zip(reversed(BETWEEN), reversed(shares), strict=True):
        low, high = pose.wide_between if wide else getattr(pose, name)
        if name == "thumb_index":
            low, high = pose.wide_thumb if wide else pose.thumb_index
            high = max(low, min(high, _THUMB_MOST - angles["middle"] - angles["index_middle"]))
        angles[name] = low + share * (high - low)
    return angles


def _draw_flexion(pose: HandPose, wide: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """(5, 3) of each joint, root to tip."""
    flat = rng.random()
    shares = rng.random((5, 3))
    flexion = flat * (pose.flexion[0] + shares * (pose.flexion[1] - pose.flexion[0]))
    if wide and rng.random() < 0.5:
        curled = rng.integers(0, 5, 2)  # twice the same: one finger
        flexion[curled] = pose.wide_flexion[0] + shares[curled] * (pose.wide_flexion[1] - pose.wide_flexion[0])
    flexion[:, 2] *= 0.6  # the last joint follows the middle one by about two thirds
    return flexion
