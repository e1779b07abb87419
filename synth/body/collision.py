"""How deep limbs of a posed body reach into other parts of it, from thinned skins and without the whole mesh.

A limb's skin point reaches into a part by how far it lies behind that part's skin, measured along the normal of the
nearest skin point. On closed meshes that is the distance to the surface, to within what the skin curves over CELL_M.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synth.body.arms import HIP
from synth.body.flesh import Flesh
from synth.body.surface import Surface, surface_of
from synth.mesh import Array, Parameters
from synth.skeleton import Skeleton
from synth.template import Template

DEPTH_MM = 15.0  # a limb pressed into soft tissue; deeper and the pose is drawn again
HIP_DEPTH_MM = 30.0  # a hand under the hip lifts flesh that is not moved here
MARGIN_M = 0.06  # skin farther than this from a limb is not looked at

SKINS = [("trunk", ""), ("head", "")] + [
    (part, side) for side in ("L", "R") for part in ("upperarm", "arm", "thigh", "leg")
]


def collisions(
    template: Template, rest: Array, skeleton: Skeleton, flesh: Flesh, parameters: Parameters
) -> dict[str, float]:
    """Depth (mm) of the left arm ("L"), the right arm ("R") and the legs ("legs") beyond what is allowed; 0: none."""
    surface, parts = _all_skins(template)
    points, normals = surface.pose(template, rest, skeleton)
    points = flesh.settle(template, points, skeleton.rotations.astype(np.float32), surface.index)

    def depth(limb: list[str], others: list[str]) -> float:
        own, wall = (np.concatenate([parts[name] for name in names]) for names in (limb, others))
        return _depth_mm(points[own], points[wall], normals[wall])

    excess = {"legs": max(0.0, depth(["legL"], ["legR"]) - DEPTH_MM)}
    crossing = depth(["armL"], ["armR", "upperarmR"])
    for side in ("L", "R"):
        allowed = HIP_DEPTH_MM if parameters[f"arm_place.{side}"] == HIP else DEPTH_MM
        body = depth([f"arm{side}", f"upperarm{side}"], ["trunk", "head", "thighL", "thighR"])
        excess[side] = max(0.0, body - allowed, crossing - DEPTH_MM)
    return excess


def _depth_mm(points: Array, wall: Array, normals: Array) -> float:
    """How deep (mm) the deepest of `points` lies behind the skin `wall` with outward `normals`."""
    chosen = ((wall > points.min(0) - MARGIN_M) & (wall < points.max(0) + MARGIN_M)).all(1)
    near, outwards = wall[chosen], normals[chosen]
    if len(near) == 0:
        return 0.0
    squares = (near**2).sum(1) - 2 * points @ near.T
    nearest = squares.argmin(1)
    offset = points - near[nearest]
    behind = -np.einsum("na,na->n", offset, outwards[nearest])
    return float(1000 * behind.max(initial=0.0))


@cache
def _all_skins(template: Template) -> tuple[Surface, dict[str, NDArray[np.intp]]]:
    """The thinned skins of all parts as one, and where in it each lies."""
    skins = [surface_of(template, part, side) for part, side in SKINS]
    ends = np.cumsum([0] + [len(skin.index) for skin in skins])
    parts = {f"{part}{side}": np.arange(*ends[i : i + 2]) for i, (part, side) in enumerate(SKINS)}
    whole = Surface(
        index=np.concatenate([skin.index for skin in skins]),
        weights=sparse.vstack([skin.weights for skin in skins]).tocsr(),
        normals=np.concatenate([skin.normals for skin in skins]),
        bone=np.concatenate([skin.bone for skin in skins]),
    )
    return whole, parts
