"""The factors that give a body the measures asked of it, solved on a coarse copy of its mesh; and its measures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from synth.body.anthropometry import BROAD
from synth.body.layout import layout_of
from synth.body.plan import Plan, plan_of
from synth.body.proportions import FACTORS, PREFIX, Factors, apply_factors, unfold
from synth.mesh import Array, Parameters, rest_mesh
from synth.template import Template

DENSITY = 1005.0  # kg/m³ of a living adult with air in the lungs, between obese and lean (Siri 1961)

# What the survey feels on the skin, from the joints: over stature.
ACROMION_UP = 0.020  # the acromion above the centre of the humeral head
ACROMION_OUT = 0.0135  # and lateral of it
SPAN_IN = 0.0125  # the raised shoulder's way inwards: clavicle back by 15° and up by 10° (Ludewig et al. 2009)

_CELL_M = 0.045  # edge of the cells that the coarse copy draws together
Vector = NDArray[np.float64]
_FLESH = ("hips", "hips_depth", "waist", "waist_depth", "chest", "chest_depth")
_BOUNDS = {"limbs": (0.7, 1.75), "hand": (0.8, 1.25), "foot": (0.8, 1.25)}
_LOOSE = (0.55, 2.2)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """An adult or child to be: phenotypes and local changes by name, stature in metres, mass in kg.

    measures (13,): synth.body.anthropometry.MEASURES in metres; without them the shape keeps its proportions, and
    breadths and depths follow the mass.
    """

    shape: Parameters
    tall: float
    mass: float
    measures: Vector | None = None


@dataclass(frozen=True, kw_only=True)
class Coarse:
    """A few hundred vertices of a template, closed by triangles, for measuring fast. scale: true over coarse volume."""

    template: Template
    plan: Plan
    scale: float


@lru_cache(maxsize=4)
def coarse_of(template: Template) -> Coarse:
    """The coarse copy of a body template: one vertex per cell, and all that measures look at."""
    low = template.vertices.min(0)
    cells = np.floor((template.vertices - low) / _CELL_M).astype(np.int64) @ np.array([1, 1000, 1000000])
    _, first, inverse = np.unique(cells, return_index=True, return_inverse=True)
    corners = first[inverse.ravel()][template.triangles]
    corners = corners[(corners != np.roll(corners, 1, axis=1)).all(1)]
    plan = plan_of(template)
    bands = (plan.chest, plan.waist, plan.hips, plan.soles, plan.crown, plan.foot, plan.tip)
    used = np.unique(np.concatenate([first, *bands]))
    small = replace(
        template,
        vertices=template.vertices[used],
        triangles=np.searchsorted(used, corners).astype(np.int32),
        shapes=np.ascontiguousarray(template.shapes[:, used]),
        weights=template.weights[used],
    )
    coarse = Coarse(template=small, plan=plan_of(small), scale=1.0)
    ratio = [volume(t, rest_mesh(t, {"age": 0.75})[0]) for t in (template, small)]
    return replace(coarse, scale=float(ratio[0] / ratio[1]))


def volume(template: Template, vertices: Array) -> Vector:
    """(...) volumes in cubic metres of closed meshes (..., V, 3)."""
    axes = np.ascontiguousarray(np.moveaxis(vertices, -1, 0), np.float64)
    a, b, c = (axes.take(corner, -1) for corner in template.triangles.T)
    height = a[2] + b[2] + c[2]
    b, c = b[:2] - a[:2], c[:2] - a[:2]
    return np.asarray(((b[0] * c[1] - b[1] * c[0]) * height).sum(-1) / 6)  # prisms between the triangles and z = 0


def stature(plan: Plan, vertices: Array) -> Vector:
    """(...) heights in metres from the soles to the crown of rest meshes (..., V, 3)."""
    return np.asarray(vertices[..., plan.crown, 2].max(-1) - vertices[..., plan.soles, 2].min(-1), np.float64)


def measure(plan: Plan, vertices: Array, heads: Array) -> Vector:
    """(..., 13) synth.body.anthropometry.MEASURES in metres of rest bodies (..., V, 3), taken as the survey takes them.

    Trochanterion: the hip joint's height (the trochanter's tip is level with it). Epicondyle: the knee axis.
    Acromion: above and beside the shoulder joint. Breadths and depths: extremes of the bands of the plan.
    Span: straight arms to the side. Foot: heel to longest toe, along -y. Hand: wrist joint to middle fingertip.
    """
    at = {name: heads[..., index, :].astype(np.float64) for name, index in plan.bones.items()}
    floor, tall = vertices[..., plan.soles, 2].min(-1), stature(plan, vertices)
    flesh = [np.ptp(vertices[..., band, :2], axis=-2) for band in (plan.hips, plan.waist, plan.chest)]
    chain = [at[name] for name in ("shoulder", "elbow", "wrist", "finger1", "finger2", "finger3")]
    bones = [np.linalg.norm(end - start, axis=-1) for start, end in pairwise(chain)]
    tip = np.linalg.norm(vertices[..., plan.tip, :] - chain[-1][..., None, :], axis=-1).max(-1)
    hand = sum(bones[2:]) + tip
    out = at["shoulder"][..., 0]
    return np.stack(
        [
            at["hip"][..., 2] - floor,
            at["knee"][..., 2] - floor,
            at["shoulder"][..., 2] - floor + ACROMION_UP * tall,
            2 * (out + ACROMION_OUT * tall),
            *(extent[..., axis] for extent in flesh for axis in (0, 1)),
            2 * (out - SPAN_IN * tall + bones[0] + bones[1] + hand),
            np.ptp(vertices[..., plan.foot, 1], axis=-1),
            hand,
        ],
        axis=-1,
    )


def fit_people(template: Template, wishes: Sequence[Wish]) -> list[Parameters]:
    """Shapes with factors, as parameters, that have the stature, mass and measures wished; each as if it were alone."""
    measured = [wish for wish in wishes if wish.measures is not None]
    assert len(measured) in (0, len(wishes)), "people of a group are measured, or none of them is"
    coarse = coarse_of(template)
    layout = layout_of(coarse.template)
    rest = layout.blend.rest([wish.shape for wish in wishes])
    tall, mass = np.array([[wish.tall, wish.mass] for wish in wishes]).T
    wanted = np.array([wish.measures for wish in measured])
    bmi = mass / tall**2
    beyond = 0.2 * np.clip(
        np.maximum((bmi - 36) / 10, (18 - bmi) / 4), 0, 1
    )  # where the survey ends, breadths give way
    factors = dict.fromkeys(FACTORS, np.ones(len(wishes)))
    factors["size"] = tall / stature(coarse.plan, unfold(layout, rest)[0])
    vertices, heads = unfold(layout, rest * factors["size"].astype(np.float32)[:, None, None])
    for last in (False, False, True):
        heavier = mass / (DENSITY * coarse.scale * volume(coarse.template, vertices))
        if not measured:
            steps = dict.fromkeys(_FLESH, heavier**0.5) | {"limbs": heavier**0.6}
        else:
            wanted = wanted * np.where(BROAD, (heavier**beyond)[:, None], 1.0)
            steps = _steps(measure(coarse.plan, vertices, heads), wanted, tall) | {"limbs": heavier**1.2}
        for name, step in steps.items():
            factors[name] = np.clip(factors[name] * step, *_BOUNDS.get(name, _LOOSE))
        if not last:
            now = Factors(**{name: factor[:, None] for name, factor in factors.items()})
            vertices, heads = unfold(layout, apply_factors(layout, rest, now))
    found = {PREFIX + name: factor for name, factor in factors.items() if name == "size" or name in steps}
    return [wish.shape | {name: float(f[i]) for name, f in found.items()} for i, wish in enumerate(wishes)]


def _steps(found: Vector, wanted: Vector, tall: Vector) -> dict[str, Vector]:
    """By how much to multiply each factor (N,), from the measures found and wanted (N, 13) in metres."""

    def heights(m: Vector) -> Vector:
        return np.diff([np.zeros_like(tall), m[1], m[0], m[2] - ACROMION_UP * tall, tall], axis=0)

    def lengths(m: Vector) -> Vector:
        half = m[3] / 2 - ACROMION_OUT * tall
        return np.stack([half, m[10] / 2 + SPAN_IN * tall - half - m[12], m[12], m[11]])

    have, want = found.T, wanted.T
    ratios = [*(heights(want) / heights(have)), *(lengths(want) / lengths(have)), *(want / have)[4:10]]
    return dict(zip(_STEPPED, ratios, strict=True))


_STEPPED = (
    "shank", "thigh", "trunk", "head", "shoulders", "arm", "hand", "foot",
    "hips", "hips_depth", "waist", "waist_depth", "chest", "chest_depth",
)  # fmt: skip
