"""Shape: draws of phenotype and local changes, the rest mesh they give, skinning, and landmarks on a posed mesh."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy, Landmark
from synth.template import Template

Array = NDArray[np.float32]

PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")

# How the model's phenotype combinations are spelled: per feature, the anchors of its linear interpolation in [0, 1]
# (age from -1/3, newborn, to 1, old). Features that are not drawn stay at 0.5; the three ethnic bases at a third each.
_ANCHORS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("gender", (0.0, 1.0)),
    ("age", (-1 / 3, 0.0, 1 / 3, 2 / 3, 1.0)),
    ("muscle", (0.0, 0.5, 1.0)),
    ("weight", (0.0, 0.5, 1.0)),
    ("height", (0.0, 1.0)),
    ("proportions", (0.0, 1.0)),
    ("cupsize", (0.0, 0.5, 1.0)),
    ("firmness", (0.0, 0.5, 1.0)),
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Ranges of body shape. Phenotypes are in the body model's units: 0..1 (age: 0 baby, 1/3 child, 2/3 young, 1 old).

    age: uniform range; gender: 0 male .. 1 female, uniform in its first or last `gender_spread`;
    weight, muscle, height, proportions: (mean, deviation) of a normal cut at 0 and 1;
    changes: deviation of every local change, cut at ± 1; finger_length, finger_width, palm_width: deviation of the
    factors drawn per finger and for the palm (hands only).
    """

    age: tuple[float, float] = (0.667, 1.0)
    gender_spread: float = 0.15
    muscle: tuple[float, float] = (0.5, 0.2)
    weight: tuple[float, float] = (0.5, 0.2)
    height: tuple[float, float] = (0.45, 0.1)
    proportions: tuple[float, float] = (0.5, 0.25)
    changes: float = 0.3
    finger_length: float = 0.0
    finger_width: float = 0.0
    palm_width: float = 0.0

    def __post_init__(self) -> None:
        if not -1 / 3 <= self.age[0] <= self.age[1] <= 1:
            raise ValueError(f"shape.age is {self.age}; allowed: a range within [-1/3, 1]")
        if not 0 < self.gender_spread <= 0.5:
            raise ValueError(f"shape.gender_spread is {self.gender_spread}; allowed: 0 < spread <= 0.5")
        spreads = (self.changes, self.finger_length, self.finger_width, self.palm_width)
        if min(spreads) < 0 or max(spreads) > 1:
            raise ValueError(f"shape deviations are {spreads}; allowed: 0 to 1")


def sample_shape(shape: Shape, changes: tuple[str, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """(6 + len(changes),) phenotypes in the order of PHENOTYPES, then local changes in [-1, 1]."""
    female = rng.random() < 0.5
    offset = rng.random() * shape.gender_spread
    values = [1 - offset if female else offset, rng.uniform(*shape.age)]
    values += [
        float(np.clip(rng.normal(*spread), 0, 1))
        for spread in (shape.muscle, shape.weight, shape.height, shape.proportions)
    ]
    local = np.clip(rng.normal(0, shape.changes, len(changes)), -1, 1)
    return np.concatenate([values, local])


def coefficients(template: Template, parameters: NDArray[np.float64]) -> Array:
    """(B,) float32 blend-shape coefficients of the shape parameters (as sample_shape returns them)."""
    drawn = dict(zip(PHENOTYPES, parameters, strict=False))
    factors = [np.full(3, 1 / 3)]
    for feature, anchors in _ANCHORS:
        factors.append(_interpolation(drawn.get(feature, 0.5), np.array(anchors)))
    variations = np.concatenate(factors)
    combined = np.prod(np.where(template.mask > 0, variations, 1.0), axis=1)
    local = parameters[len(PHENOTYPES) :]
    signed = np.stack([np.maximum(local, 0), np.maximum(-local, 0)], axis=1).ravel()
    return np.asarray(np.concatenate([combined @ template.projection, signed]), np.float32)


def rest_mesh(template: Template, parameters: NDArray[np.float64]) -> tuple[Array, Array]:
    """(vertices (V, 3), joint heads (J, 3)) in metres of the unposed body with these shape parameters."""
    weights = coefficients(template, parameters)
    count = len(weights)
    vertices = template.vertices + (weights @ template.shapes.reshape(count, -1)).reshape(-1, 3)
    heads = template.heads + (weights @ template.head_shapes.reshape(count, -1)).reshape(-1, 3)
    return vertices, heads


def skin(template: Template, vertices: Array, heads: Array, rotations: Array, positions: Array) -> Array:
    """(V, 3) posed vertices by linear blend skinning.

    rotations (J, 3, 3) and positions (J, 3): where each bone's rest frame and head have gone.
    """
    offsets = positions - np.einsum("jab,jb->ja", rotations, heads)
    transforms = np.concatenate([rotations, offsets[:, :, None]], axis=2).reshape(-1, 12)
    blended = (template.weights @ transforms.astype(np.float32)).reshape(-1, 3, 4)
    return np.asarray(np.einsum("vab,vb->va", blended[:, :, :3], vertices) + blended[:, :, 3], np.float32)


def landmarks_of(
    template: Template, anatomy: Anatomy, rest: tuple[Array, Array], rotations: Array, positions: Array, posed: Array
) -> Array:
    """(K, 3) landmarks of a posed mesh, in its own units and axes (z up)."""
    dominant = template.weights.argmax(1)
    return np.array(
        [_landmark(template, mark, dominant, rest, rotations, positions, posed) for mark in anatomy.landmarks]
    )


def _landmark(
    template: Template,
    mark: Landmark,
    dominant: NDArray[np.intp],
    rest: tuple[Array, Array],
    rotations: Array,
    positions: Array,
    posed: Array,
) -> Array:
    if mark.kind == "summit":
        crown = posed[dominant == template.bone("head")]
        return np.asarray(crown[crown[:, 2].argmax()])
    bone = template.bone(mark.bone)
    if mark.kind == "joint":
        child = template.parents.index(bone)
        return np.asarray(positions[bone] + mark.along * (positions[child] - positions[bone]))
    own = dominant == bone
    vertices, heads = rest
    axis = rotations[bone] @ (vertices[own].mean(0) - heads[bone])
    skin_points = posed[own]
    return np.asarray(skin_points[(skin_points @ axis).argmax()])


def _interpolation(value: float, anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of linear interpolation between anchors, one per anchor."""
    return np.array([np.interp(value, anchors, row) for row in np.eye(len(anchors))])
