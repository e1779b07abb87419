"""The factors that give a body the measures asked of it, solved on a coarse copy of its mesh; and its measures."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.body.anthropometry import BROAD
from synth.body.proportions import FACTORS, PREFIX, Factors, Plan, apply_factors, plan_of
from synth.mesh import Array, Parameters, rest_mesh
from synth.template import Template

DENSITY = 1005.0  # kg/m³ of a living adult with air in the lungs, between obese and lean (Siri 1961)

# What the survey feels on the skin, from the joints: over stature.
ACROMION_UP = 0.020  # the acromion above the centre of the humeral head
ACROMION_OUT = 0.0135  # and lateral of it
SPAN_IN = 0.0125  # the raised shoulder's way inwards: clavicle back by 15° and up by 10° (Ludewig et al. 2009)

_CELL_M = 0.045  # edge of the cells that the coarse copy draws together
_FLESH = ("hips", "hips_depth", "waist", "waist_depth", "chest", "chest_depth")
_BOUNDS = {"limbs": (0.7, 1.75), "hand": (0.8, 1.25), "foot": (0.8, 1.25)}
_LOOSE = (0.55, 2.2)


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
    return replace(coarse, scale=ratio[0] / ratio[1])


def volume(template: Template, vertices: Array) -> float:
    """Volume of a closed mesh in cubic metres."""
    corners = vertices.astype(np.float64).T[:, template.triangles.T]
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = corners
    return float(ax @ (by * cz - bz * cy) + ay @ (bz * cx - bx * cz) + az @ (bx * cy - by * cx)) / 6


def stature(plan: Plan, vertices: Array) -> float:
    """Height in metres from the soles to the crown of a rest mesh."""
    return float(vertices[plan.crown, 2].max() - vertices[plan.soles, 2].min())


def measure(plan: Plan, vertices: Array, heads: Array) -> NDArray[np.float64]:
    """(13,) synth.body.anthropometry.MEASURES in metres of a rest body, taken as the survey takes them.

    Trochanterion: the hip joint's height (the trochanter's tip is level with it). Epicondyle: the knee axis.
    Acromion: above and beside the shoulder joint. Breadths and depths: extremes of the bands of the plan.
    Span: straight arms to the side. Foot: heel to longest toe, along -y. Hand: wrist joint to middle fingertip.
    """
    heads = heads.astype(np.float64)
    at = {name: heads[index] for name, index in plan.bones.items()}
    floor, tall = vertices[plan.soles, 2].min(), stature(plan, vertices)
    extent = {name: np.ptp(vertices[getattr(plan, name), :2], axis=0) for name in ("hips", "waist", "chest")}
    digit = [at[name] for name in ("wrist", "finger1", "finger2", "finger3")]
    tip = np.linalg.norm(vertices[plan.tip] - digit[-1], axis=1).max()
    hand = float(np.linalg.norm(np.diff(digit, axis=0), axis=1).sum() + tip)
    arm = np.linalg.norm(at["elbow"] - at["shoulder"]) + np.linalg.norm(at["wrist"] - at["elbow"])
    return np.array(
        [
            at["hip"][2] - floor,
            at["knee"][2] - floor,
            at["shoulder"][2] - floor + ACROMION_UP * tall,
            2 * (at["shoulder"][0] + ACROMION_OUT * tall),
            extent["hips"][0],
            extent["hips"][1],
            extent["waist"][0],
            extent["waist"][1],
            extent["chest"][0],
            extent["chest"][1],
            2 * (at["shoulder"][0] - SPAN_IN * tall + arm + hand),
            np.ptp(vertices[plan.foot, 1]),
            hand,
        ]
    )


def fit_measures(
    template: Template, parameters: Parameters, tall: float, mass: float, wanted: NDArray[np.float64] | None
) -> Parameters:
    """The factors, as parameters, with which the shape `parameters` gets a stature (m), mass (kg) and MEASURES (m).

    Without measures the shape keeps its proportions, and breadths and depths follow the mass.
    """
    coarse = coarse_of(template)
    rest = rest_mesh(coarse.template, parameters)
    factors = {"size": tall / stature(coarse.plan, rest[0])}
    if wanted is not None:
        factors = dict.fromkeys(FACTORS, 1.0) | factors
    bmi = mass / tall**2
    beyond = 0.2 * float(
        np.clip(max((bmi - 36) / 10, (18 - bmi) / 4), 0, 1)
    )  # where the survey ends, breadths give way
    vertices, heads = (part * np.float32(factors["size"]) for part in rest)
    for last in (False, False, True):
        heavier = mass / (DENSITY * coarse.scale * volume(coarse.template, vertices))
        if wanted is None:
            steps = dict.fromkeys(_FLESH, heavier**0.5) | {"limbs": heavier**0.6}
        else:
            wanted = wanted * np.where(BROAD, heavier**beyond, 1.0)
            steps = _steps(measure(coarse.plan, vertices, heads), wanted, tall) | {"limbs": heavier**1.2}
        for name, step in steps.items():
            low, high = _BOUNDS.get(name, _LOOSE)
            factors[name] = min(max(factors.get(name, 1.0) * float(step), low), high)
        if not last:
            vertices, heads = apply_factors(coarse.plan, *rest, Factors(**factors))
    return {PREFIX + name: value for name, value in factors.items()}


def _steps(found: NDArray[np.float64], wanted: NDArray[np.float64], tall: float) -> dict[str, float]:
    """By how much to multiply each factor, from the measures found and wanted in metres."""

    def heights(m: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.diff([0, m[1], m[0], m[2] - ACROMION_UP * tall, tall])

    def lengths(m: NDArray[np.float64]) -> NDArray[np.float64]:
        half = m[3] / 2 - ACROMION_OUT * tall
        return np.array([half, m[10] / 2 + SPAN_IN * tall - half - m[12], m[12], m[11]])

    ratios = np.concatenate(
        [heights(wanted) / heights(found), lengths(wanted) / lengths(found), (wanted / found)[4:10]]
    )
    return dict(zip(_STEPPED, map(float, ratios), strict=True))


_GAIN = np.array([1.0, 1.25, 1.0, 1.25, 1.0, 1.25])  # depths answer less than in proportion: the back grows less
_STEPPED = (
    "shank", "thigh", "trunk", "head", "shoulders", "arm", "hand", "foot",
    "hips", "hips_depth", "waist", "waist_depth", "chest", "chest_depth",
)  # fmt: skip
