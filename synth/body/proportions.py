"""Proportions of a rest mesh: segments made longer, trunk and limbs made wider, with their joints moving along.

Blend shapes cannot give every real combination of leg, trunk and arm; these factors can. All are 1 where absent.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.mesh import Array, Parameters, rest_mesh
from synth.template import Template

Points = NDArray[np.float32]
Indices = NDArray[np.intp]


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
_BACK = np.float32(0.5)  # behind the spine the trunk grows half as fast as before it: bellies hang in front


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What of a template moves with what. Points are its V vertices, then its J joints; P = V + J.

    side (P,): +1 or -1, folds the right half onto the left one; flesh (P,): 1 vertices, 0 joints, which do not widen;
    trunk, legs, arms: indices of points; leg, arm: their shares of skin weight, beside legs and arms;
    chest, waist, hips: bands of vertices around the trunk; soles, crown, foot, tip (of the middle finger): vertices
    among which extremes are sought; bones: indices of the joints that matter.
    """

    side: Points
    flesh: Points
    trunk: Indices
    legs: Indices
    leg: Points
    arms: Indices
    arm: Points
    chest: Indices
    waist: Indices
    hips: Indices
    soles: Indices
    crown: Indices
    foot: Indices
    tip: Indices
    bones: dict[str, int]


_ARM = ("upperarm", "lowerarm", "wrist", "metacarpal", "finger")
_LEG = ("upperleg", "lowerleg", "foot", "toe")
_NAMED = {
    "hip": "upperleg01.L", "knee": "lowerleg01.L", "ankle": "foot.L", "shoulder": "upperarm01.L",
    "elbow": "lowerarm01.L", "wrist": "wrist.L", "neck": "neck01", "skull": "neck02", "finger1": "finger3-1.L",
    "finger2": "finger3-2.L", "finger3": "finger3-3.L",
}  # fmt: skip
_SPINE = ("spine04", "spine03", "spine02", "spine01", "neck01", "neck02")  # below, flesh widens about spine04


@lru_cache(maxsize=8)
def plan_of(template: Template) -> Plan:
    """The plan of a body template; bands lie at the heights the survey measures them at (of an average person)."""
    middle, heads = rest_mesh(template, {"age": 0.75})
    bone = {name: template.bone(label) for name, label in _NAMED.items()}
    bone |= {label: template.bone(label) for label in _SPINE}
    skin_arm, skin_leg = (_share(template, names) for names in (_ARM, _LEG))
    arm = np.concatenate([skin_arm, [float(name.startswith((*_ARM, "shoulder"))) for name in template.bones]])
    leg = np.concatenate([skin_leg, [float(name.startswith(_LEG)) for name in template.bones]])
    hip, shoulder = (float(heads[bone[name], 2]) for name in ("hip", "shoulder"))
    level = (middle[:, 2] - hip) / (shoulder - hip)  # hip joint 0, shoulder joint 1
    central = skin_arm < 0.02
    sole = np.flatnonzero((skin_leg > 0.5) & (template.vertices[:, 0] > 0) & (middle[:, 2] < heads[bone["ankle"], 2]))
    reach = middle[sole, 1]
    legs, arms = np.flatnonzero(leg > 0), np.flatnonzero(arm > 0)
    return Plan(
        side=np.where(np.concatenate([template.vertices[:, 0], template.heads[:, 0]]) < 0, -1, 1).astype(np.float32),
        flesh=np.repeat(np.array([1, 0], np.float32), [len(middle), len(heads)]),
        trunk=np.flatnonzero((arm < 1) & (leg < 1)),
        legs=legs,
        leg=leg[legs].astype(np.float32),
        arms=arms,
        arm=arm[arms].astype(np.float32),
        chest=np.flatnonzero(central & (abs(level - 0.71) < 0.04)),
        waist=np.flatnonzero(central & (abs(level - 0.28) < 0.03)),
        hips=np.flatnonzero(central & (abs(level) < 0.08)),  # not below: there the resting legs part
        soles=np.flatnonzero((skin_leg > 0.5) & (middle[:, 2] < middle[:, 2].min() + 0.002)),
        crown=np.flatnonzero(middle[:, 2] > middle[:, 2].max() - 0.02),
        foot=sole[(reach < reach.min() + 0.015) | (reach > reach.max() - 0.015)],
        tip=np.flatnonzero(template.dominant == bone["finger3"]),
        bones=bone,
    )


def rest_body(template: Template, person: Parameters) -> tuple[Array, Array]:
    """(vertices (V, 3), heads (J, 3)) of a person at rest, under the factors among its parameters."""
    rest = rest_mesh(template, person)
    given = {name: person[PREFIX + name] for name in FACTORS if PREFIX + name in person}
    return apply_factors(plan_of(template), *rest, Factors(**given)) if given else rest


def apply_factors(plan: Plan, vertices: Array, heads: Array, factors: Factors) -> tuple[Array, Array]:
    """(vertices (V, 3), heads (J, 3)) under factors; flesh widens about the joints."""
    low, high = float(vertices[plan.soles, 2].min()), float(vertices[plan.crown, 2].max())
    frame = _Frame(heads=heads.astype(np.float64), low=low, high=high, at=plan.bones)
    x, y, z = np.concatenate([vertices, heads]).T.copy()
    x, y, z = _warp(frame, plan, np.stack([x * plan.side, y, z]), factors)
    moved = np.stack([x * plan.side, y, z], axis=1) * np.float32(factors.size)
    return moved[: len(vertices)], moved[len(vertices) :]


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """The joints of one rest body, its sole and crown in metres, and the indices of the named joints."""

    heads: NDArray[np.float64]
    low: float
    high: float
    at: dict[str, int]

    def joint(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.heads[self.at[name]])


def _warp(frame: _Frame, plan: Plan, points: Points, f: Factors) -> Points:
    """(3, P) points of a body folded onto its left half, moved: trunk and legs in place, the arms with the shoulder."""
    knots = np.array([frame.low, *(frame.joint(name)[2] for name in ("knee", "hip", "shoulder")), frame.high])
    raised = frame.low + np.concatenate([[0], np.cumsum(np.diff(knots) * [f.shank, f.thigh, f.trunk, f.head])])
    moved = points.copy()
    moved[2] = np.interp(points[2], knots, raised)
    trunk = _trunk(frame, points.take(plan.trunk, 1), plan.flesh[plan.trunk], f)
    for axis in range(2):
        moved[axis][plan.trunk] = trunk[axis]
    leg = _leg(frame, points.take(plan.legs, 1), plan.flesh[plan.legs], f)
    shift = np.array([(f.shoulders - 1) * frame.joint("shoulder")[0], 0, raised[3] - knots[3]], np.float32)
    arm = _arm(frame, points.take(plan.arms, 1), plan.flesh[plan.arms], f) + shift[:, None]
    for axis in range(3):
        row = moved[axis]
        if axis < 2:
            row[plan.legs] += plan.leg * (leg[axis] - row[plan.legs])
        row[plan.arms] += plan.arm * (arm[axis] - row[plan.arms])
    return moved


def _trunk(frame: _Frame, points: Points, flesh: Points, f: Factors) -> Points:
    """(2, N) x, y of the trunk's points: wider about the midline, deeper about the spine."""
    hip, shoulder = (frame.joint(name)[2] for name in ("hip", "shoulder"))
    tall = shoulder - hip
    levels = [hip + 0.02 * tall, hip + 0.28 * tall, hip + 0.71 * tall, shoulder]
    levels += [frame.joint(name)[2] for name in ("neck", "skull")]
    neck = 1 + 0.4 * (f.limbs - 1)
    wide = [f.hips, f.waist, f.chest, f.shoulders, neck, 1.0]
    deep = [f.hips_depth, f.waist_depth, f.chest_depth, (1 + f.chest_depth) / 2, neck, 1.0]
    x, y, z = points
    wider, deeper = _growth(z, levels, wide, deep) * flesh
    spine = frame.heads[[frame.at[name] for name in _SPINE]]
    centre = np.interp(z, spine[:, 2], spine[:, 1]).astype(np.float32)
    depth = y - centre
    return np.stack([x + wider * x, y + deeper * depth * np.where(depth > 0, _BACK, np.float32(1))])


def _leg(frame: _Frame, points: Points, flesh: Points, f: Factors) -> Points:
    """(2, N) x, y of a left leg's points: thicker about its axis, at the hip as the trunk is; the foot longer."""
    hip, knee, ankle, back = (frame.joint(name) for name in ("hip", "knee", "ankle", "spine04"))
    thigh = (knee + hip) / 2
    levels = [ankle[2], (knee + ankle)[2] / 2, knee[2], thigh[2], hip[2]]
    shin = 1 + 0.6 * (f.limbs - 1)  # ANSUR II: over BMI the calf's girth grows 0.7 times as fast as the thigh's
    along = [1.0, shin, shin, f.limbs]
    x, y, z = points
    wider, deeper = _growth(z, levels, [*along, f.hips], [*along, f.hips_depth]) * flesh
    at = [ankle[2], knee[2], thigh[2], hip[2]]
    x = x + wider * (x - np.interp(z, at, [ankle[0], knee[0], thigh[0], 0.0]).astype(np.float32))
    depth = y - np.interp(z, at, [ankle[1], knee[1], thigh[1], back[1]]).astype(np.float32)
    behind = np.interp(z, at[2:], [1.0, float(_BACK)]).astype(np.float32)
    y = y + deeper * depth * np.where(depth > 0, behind, np.float32(1))
    longer = np.interp(z, [ankle[2], ankle[2] + 0.05], [f.foot - 1, 0.0]).astype(np.float32)
    return np.stack([x + longer * (x - np.float32(ankle[0])), y + longer * (y - np.float32(ankle[1]))])


def _arm(frame: _Frame, points: Points, flesh: Points, f: Factors) -> Points:
    """(3, N) points of a left arm: longer along its bones and thicker about them, the hand scaled about the wrist."""
    moved = points.copy()
    upper, lower = ([-0.1, 0.2, 0.8, 1.1], [0, 1, 1, 0]), ([-0.2, 0.2, 0.8, 1.0], [0, 1, 1, 0])  # shares of thickness
    for name, end, (levels, shares) in (("shoulder", "elbow", upper), ("elbow", "wrist", lower)):
        first, bone = frame.joint(name), frame.joint(end) - frame.joint(name)
        length = np.linalg.norm(bone)
        axis = (bone / length).astype(np.float32)[:, None]
        offset = points - first.astype(np.float32)[:, None]
        along = axis[:, 0] @ offset
        moved += (np.float32(f.arm - 1) * np.clip(along, 0, np.float32(length))) * axis
        thicker = flesh * (f.limbs - 1) * np.interp(along / length, levels, shares)
        moved += thicker.astype(np.float32) * (offset - along * axis)
    wrist = frame.joint("wrist")
    offset = points - wrist.astype(np.float32)[:, None]
    hand = np.interp(axis[:, 0] @ offset, [-0.01, 0.01], [0.0, f.hand - 1])
    return np.asarray(moved + hand.astype(np.float32) * offset)


def _growth(z: Points, levels: list[float], *columns: list[float]) -> Points:
    """(C, N) growth, factor - 1, at heights z of C profiles given at the same levels, without kinks between them."""
    knots, values = np.array(levels, np.float32), np.array(columns, np.float32)
    below = np.clip(np.searchsorted(knots, z) - 1, 0, len(knots) - 2)
    share = np.clip((z - knots[below]) / np.diff(knots)[below], 0, 1)
    share *= share * (3 - 2 * share)
    return np.asarray(values[:, below] - 1 + share * np.diff(values)[:, below])


def _share(template: Template, names: tuple[str, ...]) -> NDArray[np.float32]:
    own = [j for j, name in enumerate(template.bones) if name.startswith(names)]
    return np.asarray(np.clip(template.weights[:, own].sum(1), 0, 1), np.float32)
