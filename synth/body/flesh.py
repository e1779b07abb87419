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
BREAST_M = (0.014, 0.012)  # sideways and backwards


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
        chosen = slice(None) if index is None else index
        masks = _masks(template)
        abdomen, breast = masks[0, chosen], masks[1, chosen]
        amount, level, belly, breasts = (
            np.asarray(part, np.float32)[..., None] for part in (self.amount, self.level, self.belly, self.breasts)
        )
        middle = np.asarray(self.middle, np.float32)[..., None, :]
        x, y, z = np.moveaxis(vertices, -1, 0)
        lost = belly * abdomen
        y = y - lost * np.minimum(y - middle[..., 1], 0) + breasts * np.float32(BREAST_M[1]) * breast
        aside = breasts * np.float32(BREAST_M[0]) * breast * _side(template)[chosen]
        x = x + lost / 2 * (x - middle[..., 0]) + aside
        height = level - y
        bulge = amount * np.float32(BULGE_M) * np.exp(-((height / np.float32(BULGE_HEIGHT_M) - 1) ** 2))
        near = np.nonzero(bulge > 1e-5)
        bones = template.dominant[chosen][near[-1]]
        outwards = np.einsum("nab,nb->na", rotations[(*near[:-1], bones)], vertex_normals(template)[chosen][near[-1]])
        x[near] += bulge[near] * outwards[:, 0]
        z = z.copy()
        z[near] += bulge[near] * outwards[:, 2]
        y = level - (height + np.hypot(height, amount * np.float32(2 * ROUNDING_M))) / 2
        settled = np.stack([x, y, z], axis=-1)
        if np.all(self.amount):
            return np.asarray(settled)
        return np.asarray(np.where(amount[..., None] > 0, settled, vertices))


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
def _masks(template: Template) -> Array:
    """(2, V) float32 in 0..1, smooth: how much each vertex belongs to the abdomen, and to the breasts."""
    bones = [template.bone(name) for name in ("spine05", "spine04", "spine03")]
    abdomen = np.clip(template.weights[:, bones].sum(1) * 1.25 - 0.25, 0, 1)
    blend = {cup: coefficients(template, {"gender": 1.0, "age": 2 / 3, "cupsize": cup}) for cup in (0.0, 1.0)}
    grown = np.linalg.norm(np.einsum("b,bvc->vc", blend[1.0] - blend[0.0], template.shapes), axis=1)
    return np.asarray(np.stack([abdomen, grown / grown.max()]), np.float32)


@cache
def _side(template: Template) -> Array:
    """(V,) 1 on the left, -1 on the right, going over smoothly at the midline."""
    return np.asarray(np.tanh(template.vertices[:, 0] / np.float32(0.02)))
