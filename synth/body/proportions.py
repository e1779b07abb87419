"""Proportions of a rest mesh: segments made longer, trunk and limbs made wider, with their joints moving along.

Blend shapes cannot give every real combination of leg, trunk and arm; these factors can. All are 1 where absent.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.mesh import Array, Parameters, rest_mesh
from synth.template import Template

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Factors:
    """Factors on a rest body. size: everything; shank, thigh, trunk, head: heights sole–knee–hip–shoulder–crown.

    shoulders: breadth between the shoulder joints; arm, hand, foot: lengths; hips, waist, chest: breadths, with
    *_depth front to back; limbs: thickness of arms and legs.
    """

    size: float = 1.0
    shank: float = 1.0
    thigh: float = 1.0
    trunk: float = 1.0
    head: float = 1.0
    shoulders: float = 1.0
    arm: float = 1.0
    hand: float = 1.0
    foot: float = 1.0
    hips: float = 1.0
    hips_depth: float = 1.0
    waist: float = 1.0
    waist_depth: float = 1.0
    chest: float = 1.0
    chest_depth: float = 1.0
    limbs: float = 1.0


FACTORS = tuple(field.name for field in fields(Factors))
PREFIX = "factor_"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What of a template moves with what. side (V, 1): +1 or -1, folds the right half onto the left one.

    arm, leg (V,): shares of skin weight; joint_*: the same for the J joints; chest, waist, hips: bands of vertices
    around the trunk; soles, crown, foot: vertices among which extremes are sought; tip: the middle finger's.
    """

    side: Points
    arm: Points
    leg: Points
    joint_side: Points
    joint_arm: Points
    joint_leg: Points
    chest: NDArray[np.intp]
    waist: NDArray[np.intp]
    hips: NDArray[np.intp]
    soles: NDArray[np.intp]
    crown: NDArray[np.intp]
    foot: NDArray[np.intp]
    tip: NDArray[np.intp]
    bones: dict[str, int]


_ARM = ("upperarm", "lowerarm", "wrist", "metacarpal", "finger")
_LEG = ("upperleg", "lowerleg", "foot", "toe")
_NAMED = {
    "hip": "upperleg01.L", "knee": "lowerleg01.L", "ankle": "foot.L", "shoulder": "upperarm01.L",
    "elbow": "lowerarm01.L", "wrist": "wrist.L", "neck": "neck02", "finger1": "finger3-1.L", "finger2": "finger3-2.L",
    "finger3": "finger3-3.L",
}  # fmt: skip
_SPINE = ("root", "spine04", "spine03", "spine02", "spine01", "neck01", "neck02")


@lru_cache(maxsize=8)
def plan_of(template: Template) -> Plan:
    """The plan of a body template; bands lie at the heights the survey measures them at (of an average person)."""
    middle, heads = rest_mesh(template, {"age": 0.75})
    bone = {name: template.bone(label) for name, label in _NAMED.items()}
    bone |= {label: template.bone(label) for label in _SPINE}
    arm, leg = (_share(template, names) for names in (_ARM, _LEG))
    dominant = template.weights.argmax(1)
    joints = {name: float(heads[bone[name], 2]) for name in ("hip", "shoulder")}
    level = (middle[:, 2] - joints["hip"]) / (joints["shoulder"] - joints["hip"])  # hip joint 0, shoulder joint 1
    trunk = arm < 0.02
    digit = dominant == bone["finger3"]
    sole = np.flatnonzero((leg > 0.5) & (template.vertices[:, 0] > 0) & (middle[:, 2] < heads[bone["ankle"], 2]))
    reach = middle[sole, 1]
    foot = sole[(reach < reach.min() + 0.015) | (reach > reach.max() - 0.015)]
    return Plan(
        side=np.where(template.vertices[:, :1] < 0, -1.0, 1.0),
        arm=arm,
        leg=leg,
        joint_side=np.where(template.heads[:, :1] < 0, -1.0, 1.0),
        joint_arm=np.array([float(name.startswith(_ARM)) for name in template.bones]),
        joint_leg=np.array([float(name.startswith(_LEG)) for name in template.bones]),
        chest=np.flatnonzero(trunk & (abs(level - 0.71) < 0.04)),
        waist=np.flatnonzero(trunk & (abs(level - 0.28) < 0.03)),
        hips=np.flatnonzero(trunk & (abs(level) < 0.08)),  # not below: there the resting legs part
        soles=np.flatnonzero((leg > 0.5) & (middle[:, 2] < middle[:, 2].min() + 0.01)),
        crown=np.flatnonzero(middle[:, 2] > middle[:, 2].max() - 0.02),
        foot=foot,
        tip=np.flatnonzero(digit),
        bones=bone,
    )


def proportion_body(template: Template, vertices: Array, heads: Array, parameters: Parameters) -> tuple[Array, Array]:
    """(vertices, heads) of a rest body under the factors among its parameters."""
    given = {name: parameters[PREFIX + name] for name in FACTORS if PREFIX + name in parameters}
    if not given:
        return vertices, heads
    moved, joints = apply_factors(plan_of(template), vertices.astype(np.float64), heads.astype(np.float64), given)
    return moved.astype(np.float32), joints.astype(np.float32)


def apply_factors(plan: Plan, vertices: Points, heads: Points, given: dict[str, float]) -> tuple[Points, Points]:
    """(vertices (V, 3), heads (J, 3)) under factors by name; flesh widens about the joints, which stay."""
    factors = Factors(**given)
    lean = Factors(**{name: value for name, value in given.items() if name not in _FLESH})
    low, high = vertices[plan.soles, 2].min(), vertices[plan.crown, 2].max()
    frame = _Frame(heads=heads, low=low, high=high, at=plan.bones)
    skin = _warp(frame, vertices * _fold(plan.side), plan.arm, plan.leg, factors)
    joints = _warp(frame, heads * _fold(plan.joint_side), plan.joint_arm, plan.joint_leg, lean)
    return factors.size * skin * _fold(plan.side), factors.size * joints * _fold(plan.joint_side)


_FLESH = ("hips", "hips_depth", "waist", "waist_depth", "chest", "chest_depth", "limbs")


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """The joints of one rest body, its sole and crown in metres, and the indices of the named joints."""

    heads: Points
    low: float
    high: float
    at: dict[str, int]

    def joint(self, name: str) -> Points:
        return np.asarray(self.heads[self.at[name]])


def _warp(frame: _Frame, points: Points, arm: Points, leg: Points, f: Factors) -> Points:
    knots = np.array([frame.low, *(frame.joint(name)[2] for name in ("knee", "hip", "shoulder")), frame.high])
    raised = frame.low + np.concatenate([[0], np.cumsum(np.diff(knots) * [f.shank, f.thigh, f.trunk, f.head])])
    moved = points.copy()
    body = np.flatnonzero(arm < 1)
    z = points[body, 2]
    share = leg[body, None]
    across = (1 - share) * _trunk(frame, points[body], f)
    legs = np.flatnonzero(share[:, 0] > 0)
    across[legs] += share[legs] * _leg(frame, points[body[legs]], f)
    lifted = np.column_stack([across, np.interp(z, knots, raised)])
    moved[body] = lifted
    limb = np.flatnonzero(arm > 0)
    own = arm[limb, None]
    shift = np.array([(f.shoulders - 1) * frame.joint("shoulder")[0], 0, raised[3] - knots[3]])
    moved[limb] = (1 - own) * moved[limb] + own * (_arm(frame, points[limb], f) + shift)
    return moved


def _trunk(frame: _Frame, points: Points, f: Factors) -> Points:
    """(N, 2) x, y of the trunk's points: wider about the midline, deeper about the spine."""
    hip, shoulder, neck = (frame.joint(name)[2] for name in ("hip", "shoulder", "neck"))
    tall = shoulder - hip
    z = np.array([hip + 0.1 * tall, hip + 0.28 * tall, hip + 0.71 * tall, shoulder, neck])
    wide = np.interp(points[:, 2], z, [f.hips, f.waist, f.chest, f.shoulders, 1.0])
    deep = np.interp(points[:, 2], z, [f.hips_depth, f.waist_depth, f.chest_depth, (1 + f.chest_depth) / 2, 1.0])
    spine = frame.heads[[frame.at[name] for name in _SPINE]]
    centre = np.interp(points[:, 2], spine[:, 2], spine[:, 1])
    return np.column_stack([wide * points[:, 0], centre + deep * (points[:, 1] - centre)])


def _leg(frame: _Frame, points: Points, f: Factors) -> Points:
    """(N, 2) x, y of a left leg's points: thicker about its axis, at the hip as the trunk is; the foot longer."""
    hip, knee, ankle = (frame.joint(name) for name in ("hip", "knee", "ankle"))
    root = frame.joint("root")
    z = points[:, 2]
    calf, thigh = (knee + ankle)[2] / 2, (knee + hip)[2] / 2
    levels = [ankle[2], calf, knee[2], thigh, hip[2]]
    mid = (knee + hip) / 2
    fixed_x = np.interp(z, [ankle[2], knee[2], thigh, hip[2]], [ankle[0], knee[0], mid[0], 0.0])
    fixed_y = np.interp(z, [ankle[2], knee[2], thigh, hip[2]], [ankle[1], knee[1], mid[1], root[1]])
    joint = (1 + f.limbs) / 2  # knees are mostly bone
    wide = np.interp(z, levels, [1.0, f.limbs, joint, f.limbs, f.hips])
    deep = np.interp(z, levels, [1.0, f.limbs, joint, f.limbs, f.hips_depth])
    x, y = fixed_x + wide * (points[:, 0] - fixed_x), fixed_y + deep * (points[:, 1] - fixed_y)
    longer = 1 + (f.foot - 1) * np.interp(z, [ankle[2], ankle[2] + 0.05], [1.0, 0.0])
    return np.column_stack([ankle[0] + longer * (x - ankle[0]), ankle[1] + longer * (y - ankle[1])])


def _arm(frame: _Frame, points: Points, f: Factors) -> Points:
    """(N, 3) points of a left arm: longer along its bones and thicker about them, the hand scaled about the wrist."""
    moved = points.copy()
    for name, end in (("shoulder", "elbow"), ("elbow", "wrist")):
        first, bone = frame.joint(name), frame.joint(end) - frame.joint(name)
        length = np.linalg.norm(bone)
        axis = bone / length
        along = (points - first) @ axis
        inside = np.clip(along, 0, length)[:, None]
        moved += (f.arm - 1) * inside * axis
        thick = np.interp(along / length, [-0.1, 0.2, 0.8, 1.0], [0.0, f.limbs - 1, f.limbs - 1, 0.0])
        moved += thick[:, None] * (points - first - along[:, None] * axis)
    fore = frame.joint("wrist") - frame.joint("elbow")
    beyond = (points - frame.joint("wrist")) @ (fore / np.linalg.norm(fore))
    hand = np.interp(beyond, [-0.01, 0.01], [0.0, f.hand - 1])
    return np.asarray(moved + hand[:, None] * (points - frame.joint("wrist")))


def _fold(side: Points) -> Points:
    return np.concatenate([side, np.ones_like(side), np.ones_like(side)], axis=1)


def _share(template: Template, names: tuple[str, ...]) -> Points:
    own = [j for j, name in enumerate(template.bones) if name.startswith(names)]
    return np.asarray(np.clip(template.weights[:, own].sum(1), 0, 1), np.float64)
