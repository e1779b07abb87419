"""Flesh of somebody who lies on their back: flat on the couch, a heavy belly flatter and wider, breasts aside.

Works on posed vertices, so skin landmarks, which are read from them, move along.
Source: under a lying body's weight gluteal tissue loses about a third to a half of its thickness (Al-Dirini et al.
2016, MR of buttocks under load), which is 15-25 mm; soft abdomens are shallower and broader lying than standing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synth.body.surface import surface_of, vertex_normals
from synth.mesh import Array, Parameters, coefficients
from synth.template import Template

PRESSED_M = 0.020  # how deep the couch reaches into the trunk where the flesh is softest (flesh = 1)
ROUNDING_M = 0.005  # how far from the couch the skin leaves it
BULGE_M = 0.007  # how far flesh above the couch goes sideways; makes up for the volume that is pressed in
BULGE_HEIGHT_M = 0.030
LEAN_BELLY_M = 0.20  # depth of an abdomen that has nothing to lose
BREAST_M = (0.014, 0.012)  # sideways and backwards, where a breast is all


@dataclass(frozen=True, kw_only=True, eq=False)
class Flesh:
    """How the flesh of bodies (...) lies. amount: 0 as standing .. 1; level: y (m) of the couch; belly: share of the
    abdomen's depth that is lost; breasts: 0..1; middle (..., 2): x, y (m) around which the abdomen flattens."""

    amount: NDArray[np.float64]
    level: NDArray[np.float64]
    belly: NDArray[np.float64]
    breasts: NDArray[np.float64]
    middle: NDArray[np.float64]

    def settle(
        self, template: Template, vertices: Array, rotations: Array, index: NDArray[np.intp] | None = None
    ) -> Array:
        """(..., V, 3) posed vertices as they lie on the couch, by bones turned (..., J, 3, 3); index (V,): which of the
        template's they are (None: all)."""
        if not np.any(self.amount):
            return vertices
        masks, bones, normals = _masks(template), template.dominant, _normals(template)
        if index is not None:
            masks, bones, normals = masks.take(index, 1), bones.take(index), normals.take(index, 1)
        abdomen, backwards, sideways = masks
        lost, breasts, level = _each(self.belly) * abdomen, _each(self.breasts), _each(self.level)
        x, y, z = np.moveaxis(vertices, -1, 0).copy()
        y -= lost * np.minimum(y - _each(self.middle[..., 1]), 0)
        y += breasts * backwards
        x += lost / 2 * (x - _each(self.middle[..., 0]))
        x += breasts * sideways
        height = level - y
        bulge = _each(self.amount * BULGE_M) * np.exp(-np.square(height / np.float32(BULGE_HEIGHT_M) - 1))
        near = np.flatnonzero(bulge > 1e-5)
        body, vertex = np.divmod(near, bulge.shape[-1])
        turned = rotations[..., ::2, :].reshape(-1, 6).T  # what bones do to x and z
        turned = turned.take(bones.take(vertex) + body * rotations.shape[-3], 1)
        outwards = (turned.reshape(2, 3, -1) * normals.take(vertex, 1)).sum(1) * bulge.take(near)
        x.reshape(-1)[near] += outwards[0]
        z.reshape(-1)[near] += outwards[1]
        rounding = _each(2 * ROUNDING_M * self.amount)
        y = level - (height + np.sqrt(height * height + rounding * rounding)) / 2
        settled = np.moveaxis(np.stack([x, y, z]), 0, -1)
        return settled if np.all(self.amount) else np.where(_each(self.amount)[..., None] > 0, settled, vertices)


def _each(values: NDArray[np.float64]) -> Array:
    """(..., 1) float32 values of bodies, for all of their vertices."""
    return np.asarray(values, np.float32)[..., None]


def flesh_of(template: Template, trunks: Array, bodies: Sequence[Parameters]) -> Flesh:
    """The flesh of N people whose thinned trunk skins (see surface.py) are posed at `trunks` (N, S, 3)."""
    amount = np.array([body["flesh"] for body in bodies])
    abdomen = trunks[:, _masks(template)[0, surface_of(template, "trunk").index] > 0.8]
    low, high = abdomen.min(1).astype(np.float64), abdomen.max(1).astype(np.float64)
    return Flesh(
        amount=amount,
        level=trunks[:, :, 1].max(1).astype(np.float64) - PRESSED_M * amount,
        belly=amount * np.clip(0.03 + 1.2 * (high[:, 1] - low[:, 1] - LEAN_BELLY_M), 0.0, 0.18),
        breasts=amount * np.array([body.get("gender", 0.5) for body in bodies]),
        middle=(low[:, :2] + high[:, :2]) / 2,
    )


@cache
def _normals(template: Template) -> Array:
    """(3, V) x, y and z of the outward unit normals of the model at rest."""
    return np.ascontiguousarray(vertex_normals(template).T)


@cache
def _masks(template: Template) -> Array:
    """(3, V) float32, smooth: 0..1 how much each vertex is abdomen; metres that it goes back, aside with a breast."""
    bones = [template.bone(name) for name in ("spine05", "spine04", "spine03")]
    abdomen = np.clip(template.weights[:, bones].sum(1) * 1.25 - 0.25, 0, 1)
    blend = {cup: coefficients(template, {"gender": 1.0, "age": 2 / 3, "cupsize": cup}) for cup in (0.0, 1.0)}
    grown = np.linalg.norm(np.einsum("b,bvc->vc", blend[1.0] - blend[0.0], template.shapes), axis=1)
    breast = grown / grown.max()
    side = np.tanh(template.vertices[:, 0] / np.float32(0.02))  # 1 on the left, going over smoothly at the midline
    return np.asarray(np.stack([abdomen, BREAST_M[1] * breast, BREAST_M[0] * side * breast]), np.float32)
