"""Proportions of rest bodies: segments made longer, trunk and limbs made wider, with their joints moving along.

Blend shapes cannot give every real combination of leg, trunk and arm; these factors can. All are 1 where absent.
All arrays begin with N people; the bits of one do not depend on the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from synth.body.layout import Layout, layout_of
from synth.body.plan import SPINE
from synth.mesh import Array, Parameters
from synth.template import Template

Column = NDArray[np.float64]  # (N, 1): a number for each person


@dataclass(frozen=True, kw_only=True)
class Factors:
    """Factors on rest bodies. size: everything; shank, thigh, trunk, head: heights sole–knee–hip–shoulder–crown.

    shoulders: breadth between the shoulder joints; arm, hand, foot: lengths; hips, waist, chest: breadths, with
    *_depth front to back; limbs: thickness of arms and legs.
    """

    size: Column
    shank: Column
    thigh: Column
    trunk: Column
    head: Column
    shoulders: Column
    arm: Column
    hand: Column
    foot: Column
    hips: Column
    hips_depth: Column
    waist: Column
    waist_depth: Column
    chest: Column
    chest_depth: Column
    limbs: Column


FACTORS = tuple(field.name for field in fields(Factors))
PREFIX = "factor_"
_BACK = np.float32(0.5)  # behind the spine the trunk grows half as fast as before it: bellies hang in front


def rest_body(template: Template, person: Parameters) -> tuple[Array, Array]:
    """(vertices (V, 3), heads (J, 3)) of a person at rest, under the factors among its parameters."""
    vertices, heads = rest_bodies(template, [person])
    return vertices[0], heads[0]


def rest_bodies(template: Template, people: Sequence[Parameters]) -> tuple[Array, Array]:
    """(vertices (N, V, 3), heads (N, J, 3)) of people at rest, under the factors among their parameters."""
    layout = layout_of(template)
    points = layout.blend.rest(people)
    given = [any(name.startswith(PREFIX) for name in person) for person in people]
    if any(given):
        factors = factors_of([person for person, has in zip(people, given, strict=True) if has])
        points[given] = apply_factors(layout, points[given], factors)
    return unfold(layout, points)


def factors_of(people: Sequence[Parameters]) -> Factors:
    """The factors among people's parameters."""
    rows = np.array([[person.get(PREFIX + name, 1.0) for name in FACTORS] for person in people])
    return Factors(**dict(zip(FACTORS, rows.T[:, :, None], strict=True)))


def unfold(layout: Layout, points: Array) -> tuple[Array, Array]:
    """(vertices (N, V, 3), heads (N, J, 3)) of people whose points of the layout (N, 3, Q) are given."""
    whole = points.take(layout.back, 2)
    whole[:, 0] *= layout.side
    bodies = whole.transpose(0, 2, 1)  # x, y and z stay apart in memory: what works on them is faster
    return bodies[:, : layout.num_vertices], bodies[:, layout.num_vertices :]


def apply_factors(layout: Layout, points: Array, f: Factors) -> Array:
    """(N, 3, Q) points of the layout under factors, from those of the same people without; flesh widens about joints.

    Trunk and legs move in place, the arms with the shoulder.
    """
    joint = {name: points[:, :, at].T[:, :, None].astype(np.float64) for name, at in layout.joints.items()}
    low, high = points[:, 2, layout.soles].min(1), points[:, 2, layout.crown].max(1)
    knots = [low[:, None], *(joint[name][2] for name in ("knee", "hip", "shoulder")), high[:, None]]
    raised = knots[:1]
    for (below, above), factor in zip(pairwise(knots), (f.shank, f.thigh, f.trunk, f.head), strict=True):
        raised.append(raised[-1] + (above - below) * factor)
    moved = points.copy()
    moved[:, 2, layout.rising] = _between(raised, _shares(points[:, 2, layout.rising], knots))
    moved[:, :2, layout.trunk] = _trunk(joint, points[:, :, layout.trunk], f)
    leg = _leg(joint, points[:, :, layout.legs], layout.flesh[layout.legs], f)
    moved[:, :2, layout.legs] += layout.leg * (leg - moved[:, :2, layout.legs])
    arm = _arm(joint, points[:, :, layout.arms], layout.flesh[layout.arms], f)
    shift = [(f.shoulders - 1) * joint["shoulder"][0], np.zeros_like(f.size), raised[3] - knots[3]]
    arm += np.stack(shift, axis=1).astype(np.float32)
    moved[:, :, layout.arms] += layout.arm * (arm - moved[:, :, layout.arms])
    moved *= f.size[:, :, None].astype(np.float32)
    return moved


Joints = dict[str, NDArray[np.float64]]  # (3, N, 1) each


def _trunk(joint: Joints, points: Array, f: Factors) -> Array:
    """(N, 2, M) x, y of the trunk's skin (N, 3, M): wider about the midline, deeper about the spine."""
    hip, shoulder = joint["hip"][2], joint["shoulder"][2]
    tall = shoulder - hip
    levels = [hip + 0.02 * tall, hip + 0.28 * tall, hip + 0.71 * tall, shoulder]
    levels += [joint[name][2] for name in ("neck", "skull")]
    neck, one = 1 + 0.4 * (f.limbs - 1), np.ones_like(f.size)
    x, y, z = points.swapaxes(0, 1)
    shares = _smooth(_shares(z, levels))
    wider = _growth([f.hips, f.waist, f.chest, f.shoulders, neck, one], shares)
    deeper = _growth([f.hips_depth, f.waist_depth, f.chest_depth, (1 + f.chest_depth) / 2, neck, one], shares)
    depth = y - _between([joint[name][1] for name in SPINE], _shares(z, [joint[name][2] for name in SPINE]))
    return np.stack([x + wider * x, y + deeper * depth * np.where(depth > 0, _BACK, np.float32(1))], axis=1)


def _leg(joint: Joints, points: Array, flesh: Array, f: Factors) -> Array:
    """(N, 2, M) x, y of a left leg's points: thicker about its axis, at the hip as the trunk is; the foot longer."""
    hip, knee, ankle, back = (joint[name] for name in ("hip", "knee", "ankle", "spine04"))
    shank, thigh = (ankle + knee) / 2, (knee + hip) / 2
    shin = 1 + 0.6 * (f.limbs - 1)  # ANSUR II: over BMI the calf's girth grows 0.7 times as fast as the thigh's
    along = [np.ones_like(shin), shin, shin, f.limbs]
    x, y, z = points.swapaxes(0, 1)
    shares = _shares(z, [place[2] for place in (ankle, shank, knee, thigh, hip)])
    smooth = _smooth(shares)
    wider, deeper = (_growth([*along, last], smooth) * flesh for last in (f.hips, f.hips_depth))
    x = x + wider * (x - _between([ankle[0], shank[0], knee[0], thigh[0], np.zeros_like(shin)], shares))
    depth = y - _between([ankle[1], shank[1], knee[1], thigh[1], back[1]], shares)
    y = y + deeper * depth * np.where(depth > 0, 1 - (1 - _BACK) * shares[3], np.float32(1))
    longer = _growth([f.foot, np.ones_like(shin)], _shares(z, [ankle[2], ankle[2] + 0.05]))
    centre = ankle.astype(np.float32)
    return np.stack([x + longer * (x - centre[0]), y + longer * (y - centre[1])], axis=1)


# Where along the upper and the lower arm, in shares of the bone, thickness comes, is whole, fades, and is gone.
_THICKER = ((-0.1, -0.2), (0.2, 0.2), (0.8, 0.8), (1.1, 1.0))


def _arm(joint: Joints, points: Array, flesh: Array, f: Factors) -> Array:
    """(N, 3, M) points of a left arm: longer along its bones, thicker about them, the hand scaled about the wrist.

    Along a bone a point gains a multiple of the bone's axis; about it, one of its way from there.
    """
    shoulder, elbow, wrist = (joint[name].swapaxes(0, 1) for name in ("shoulder", "elbow", "wrist"))  # (N, 3, 1)
    bones = np.concatenate([elbow - shoulder, wrist - elbow], axis=2)
    lengths = np.sqrt((bones * bones).sum(1))[:, :, None]
    axes = bones / lengths.swapaxes(1, 2)
    starts = (axes * np.concatenate([shoulder, elbow], axis=2)).sum(1)[:, :, None]
    along = axes.swapaxes(1, 2).astype(np.float32) @ points - starts.astype(np.float32)  # (N, 2, M)
    comes, full, fades, gone = (np.array(at)[:, None] * lengths for at in _THICKER)
    thicker = (f.limbs - 1)[:, :, None].astype(np.float32) * flesh
    mixed = np.empty((len(points), 5, points.shape[2]), np.float32)
    mixed[:, :2] = thicker * (_ramp(along, comes, full) - _ramp(along, fades, gone))
    mixed[:, 2] = (f.hand - 1).astype(np.float32) * _ramp(along[:, 1], lengths[:, 1] - 0.01, lengths[:, 1] + 0.01)
    stretch = (f.arm - 1)[:, :, None].astype(np.float32) * np.clip(along, 0, lengths.astype(np.float32))
    mixed[:, 3:] = stretch - mixed[:, :2] * along
    vectors = np.concatenate([-shoulder, -elbow, -wrist, axes], axis=2).astype(np.float32)
    return np.asarray(points * (1 + mixed[:, :3].sum(1, keepdims=True)) + vectors @ mixed)


def _ramp(values: Array, low: NDArray[np.float64], high: NDArray[np.float64]) -> Array:
    """How far values have come from low to high, which may be arrays that broadcast: 0 before, 1 past."""
    start, end = low.astype(np.float32), high.astype(np.float32)
    shares = (values - start) / (end - start)
    return np.asarray(shares.clip(0, 1, out=shares))


def _shares(heights: Array, levels: list[Column]) -> Array:
    """(S, N, M) how far heights (N, M) have come from each of S + 1 levels to the next: 0 before it, 1 past it."""
    knots = _rows(levels)
    return _ramp(heights, knots[:-1], knots[1:])


def _smooth(shares: Array) -> Array:
    """The shares without kinks at the levels."""
    return shares * shares * (3 - 2 * shares)


def _between(values: list[Column], shares: Array) -> Array:
    """(N, M) values given at levels, between them as the shares (S, N, M) say."""
    given = _rows(values).astype(np.float32)
    return np.asarray(given[0] + ((given[1:] - given[:-1]) * shares).sum(0))


def _rows(columns: list[Column]) -> NDArray[np.float64]:
    """(C, N, 1) columns, stacked; numpy's own stack takes four times as long for so little."""
    return np.concatenate(columns).reshape(len(columns), -1, 1)


def _growth(factors: list[Column], shares: Array) -> Array:
    """(N, M) growth, factor - 1, where factors are given at levels."""
    return _between([factor - 1 for factor in factors], shares)
