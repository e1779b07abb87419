"""The body model's mesh: from shape parameters to a rest mesh, and from bone frames to a posed one."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synth.template import Template

Array = NDArray[np.float32]
Parameters = dict[str, float]  # everything that makes a subject and its pose; float32 values, stored beside each sample

PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")

# How the model's phenotype combinations are spelled: per feature, the anchors of its linear interpolation in [0, 1]
# (age from -1/3, newborn, to 1, old). Features that are not drawn stay at 0.5; the three ethnic bases at a third each.
ANCHORS: dict[str, tuple[float, ...]] = {
    "gender": (0.0, 1.0),
    "age": (-1 / 3, 0.0, 1 / 3, 2 / 3, 1.0),
    "muscle": (0.0, 0.5, 1.0),
    "weight": (0.0, 0.5, 1.0),
    "height": (0.0, 1.0),
    "proportions": (0.0, 1.0),
    "cupsize": (0.0, 0.5, 1.0),
    "firmness": (0.0, 0.5, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Posed:
    """A posed mesh in metres. Bodies: z up, +x the subject's left, facing -y. Hands: see hand/proportion.py.

    vertices (V, 3); rotations (J, 3, 3) of the bones from rest and positions (J, 3) of their heads;
    rest (V, 3) and heads (J, 3): the same person unposed; view (3, 3): to viewing millimetres.
    """

    vertices: Array
    rotations: Array
    positions: Array
    rest: Array
    heads: Array
    view: NDArray[np.float64]


def stored(drawn: Parameters) -> Parameters:
    """Rounded to what a shard stores, so that a figure made again from stored parameters has the same bits."""
    return {name: float(np.float32(value)) for name, value in drawn.items()}


def coefficients(template: Template, parameters: Mapping[str, float]) -> Array:
    """(B,) float32 blend-shape coefficients of shape parameters: phenotypes and local changes by name.

    A phenotype that is not given stays at 0.5, a local change at 0.
    """
    factors = [np.full(3, 1 / 3)]
    for feature, anchors in ANCHORS.items():
        factors.append(_interpolation(parameters.get(feature, 0.5), anchors))
    variations = np.concatenate(factors)
    combined = np.prod(np.where(template.combined, variations[:, None], 1.0), axis=0)
    local = np.array([parameters.get(change, 0.0) for change in template.changes])
    signed = np.stack([np.maximum(local, 0), np.maximum(-local, 0)], axis=1).ravel()
    return np.asarray(np.concatenate([combined @ template.projection, signed]), np.float32)


def rest_mesh(template: Template, parameters: Mapping[str, float]) -> tuple[Array, Array]:
    """(vertices (V, 3), joint heads (J, 3)) in metres of the unposed body with these shape parameters."""
    weights = coefficients(template, parameters)
    count = len(weights)
    vertices = template.vertices + (weights @ template.shapes.reshape(count, -1)).reshape(-1, 3)
    heads = template.heads + (weights @ template.head_shapes.reshape(count, -1)).reshape(-1, 3)
    return vertices, heads


def skin(
    template: Template,
    vertices: Array,
    heads: Array,
    rotations: Array,
    positions: Array,
    weights: sparse.csr_matrix | None = None,
) -> Array:
    """(V, 3) float32 posed vertices by linear blend skinning.

    rotations (J, 3, 3), or any linear maps, and positions (J, 3): where each bone's rest frame and head have gone;
    weights (V, J): those of `vertices` where they are only some of the template's.
    """
    offsets = positions - np.einsum("jab,jb->ja", rotations, heads)
    transforms = np.concatenate([rotations, offsets[:, :, None]], axis=2).astype(np.float32).reshape(-1, 12)
    chosen = template.sparse_weights if weights is None else weights
    blended = (chosen @ transforms).reshape(-1, 3, 4)
    posed = np.einsum(
        "vab,bv->av", blended[:, :, :3], vertices.T, order="C"
    )  # x, y and z apart, as settling wants them
    posed += blended[:, :, 3].T
    return np.asarray(posed.T, np.float32)


def _interpolation(value: float, anchors: tuple[float, ...]) -> NDArray[np.float64]:
    """Weights of linear interpolation between anchors, one per anchor."""
    held = min(max(value, anchors[0]), anchors[-1])
    upper = min(max(bisect_left(anchors, held), 1), len(anchors) - 1)
    weights = np.zeros(len(anchors))
    weights[upper] = (held - anchors[upper - 1]) / (anchors[upper] - anchors[upper - 1])
    weights[upper - 1] = 1 - weights[upper]
    return weights
