"""Parts of the body's skin, thinned: enough of it to find what touches what before the whole body is skinned."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synth.mesh import Array
from synth.skeleton import Skeleton, Vector, length, turn
from synth.template import Template

SIDES = ("L", "R")  # the subject's left, at +x, and right: in this order wherever an array has both
SIGNS = np.array([1.0, -1.0])  # of x there
CELL_M = 0.032  # one vertex is kept per cube of this edge
PARTS: dict[str, tuple[str, ...]] = {
    "trunk": ("pelvis", "spine"),
    "head": ("head",),
    "upperarm": ("upperarm02",),
    "arm": ("lowerarm", "wrist", "metacarpal", "finger"),
    "hand": ("wrist", "metacarpal", "finger"),
    "thigh": ("upperleg",),
    "leg": ("lowerleg", "foot", "toe"),
    "foot": ("foot", "toe"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """Some vertices of the body model: index (S,) into all; weights (S, J); normals (S, 3) of the model at rest,
    outwards; bone (S,) which moves each most."""

    index: NDArray[np.intp]
    weights: sparse.csr_matrix
    normals: Vector
    bone: NDArray[np.intp]

    def pose(self, rest: Array, skeleton: Skeleton) -> Array:
        """(N, S, 3) float32 these vertices of N bodies, (N, S, 3) at rest, by linear blend skinning.

        The coordinates of a body lie one after another in memory, which makes what follows several times as fast.
        """
        turned, heads, positions = (
            part.astype(np.float32) for part in (skeleton.rotations, skeleton.heads, skeleton.positions)
        )
        offsets = positions - turn(turned, heads)
        maps = np.concatenate([turned, offsets[..., None]], axis=3).swapaxes(0, 1)
        blended = self.weights @ maps.reshape(len(maps), -1)
        along_x, along_y, along_z, offset = np.ascontiguousarray(blended.T).reshape(len(rest), 3, 4, -1).swapaxes(0, 2)
        x, y, z = np.ascontiguousarray(rest.transpose(2, 0, 1))
        return np.asarray((along_x * x + along_y * y + along_z * z + offset).transpose(1, 2, 0))

    def face(self, skeleton: Skeleton) -> Vector:
        """(N, S, 3) where the skin of N bodies faces: their normals, turned with the bones."""
        return turn(skeleton.rotations[:, self.bone], self.normals)


@cache
def surface_of(template: Template, part: str, side: str = "") -> Surface:
    """The thinned skin of a part (a name of PARTS), on one side ("L", "R") or as a whole."""
    dominant = template.dominant
    ours = [j for j, name in enumerate(template.bones) if name.startswith(PARTS[part]) and name.endswith(side)]
    own = np.flatnonzero(np.isin(dominant, ours) & ~_beside_joint(template, part))
    normals = vertex_normals(template)
    if part == "head":  # its mesh has eyes, teeth and a tongue within
        own = _outermost(template, own)
    _, first = np.unique(np.floor(template.vertices[own] / CELL_M).astype(int), axis=0, return_index=True)
    index = own[np.sort(first)]
    return Surface(
        index=index,
        weights=template.sparse_weights[index],
        normals=normals[index].astype(np.float64),
        bone=dominant[index],
    )


@cache
def surfaces_of(template: Template, skins: tuple[tuple[str, str], ...]) -> tuple[Surface, dict[str, slice]]:
    """The thinned skins of several (part, side) as one, and where in it each lies, by "<part><side>"."""
    several = [surface_of(template, part, side) for part, side in skins]
    ends = np.cumsum([0] + [len(skin.index) for skin in several]).tolist()
    whole = Surface(
        index=np.concatenate([skin.index for skin in several]),
        weights=sparse.vstack([skin.weights for skin in several]).tocsr(),
        normals=np.concatenate([skin.normals for skin in several]),
        bone=np.concatenate([skin.bone for skin in several]),
    )
    return whole, {f"{part}{side}": slice(ends[i], ends[i + 1]) for i, (part, side) in enumerate(skins)}


def _beside_joint(template: Template, part: str) -> NDArray[np.bool_]:
    """(V,) vertices where a part goes over into its neighbour: there skin meets skin in every pose."""
    shoulder = [j for j, name in enumerate(template.bones) if name.startswith(("clavicle", "shoulder", "upperarm"))]
    share = template.weights[:, shoulder].sum(1)
    if part == "trunk":
        return np.asarray(share > 0.1)
    if part == "upperarm":  # its half towards the elbow
        elbow = [j for j, name in enumerate(template.bones) if name.startswith(("upperarm02", "lowerarm01"))]
        return np.asarray(template.weights[:, elbow].sum(1) < 0.95)
    return np.zeros(len(share), bool)


@cache
def vertex_normals(template: Template) -> Array:
    """(V, 3) outward unit normals of the model at rest, from its triangles weighted by area."""
    corners = template.vertices[template.triangles].astype(np.float64)
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(template.vertices), 3))
    for corner in range(3):
        np.add.at(normals, template.triangles[:, corner], faces)
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12), np.float32)


@cache
def ring(template: Template, bone: str) -> NDArray[np.intp]:
    """Indices of the vertices around the head of a bone, within 12 mm of the plane across the bone there."""
    j = template.bone(bone)
    child = template.parents.index(j)
    axis = template.heads[child] - template.heads[j]
    offset = template.vertices - template.heads[j]
    flat = np.abs(offset @ axis) / np.linalg.norm(axis) < 0.012
    near = np.linalg.norm(offset, axis=1) < 0.12
    limb = template.weights[:, [j, template.parents[j]]].sum(1) > 0.6
    return np.flatnonzero(flat & near & limb)


def radii_of(template: Template, rest: Array, heads: Vector, bones: tuple[str, ...]) -> Vector:
    """(N, B) mean distance (m) of the skin around the heads of some bones from them, in N people."""
    around, centre, first, count = _rings(template, bones)
    apart = length(rest[:, around] - heads[:, centre])
    return np.asarray(np.add.reduceat(apart, first, axis=1) / count)


@cache
def _rings(template: Template, bones: tuple[str, ...]) -> tuple[NDArray[np.intp], ...]:
    """The rings of some bones one after another: vertices, their bones; where each ring begins, and its vertices."""
    rings = [ring(template, bone) for bone in bones]
    count = np.array([len(own) for own in rings])
    centre = np.repeat([template.bone(bone) for bone in bones], count)
    return np.concatenate(rings), centre, np.cumsum(count) - count, count


def _outermost(template: Template, own: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the vertices `own` that lie farthest from their middle, one in each of some 500 directions."""
    offset = template.vertices[own] - template.vertices[own].mean(0)
    distance = np.linalg.norm(offset, axis=1)
    cell = np.round(offset / distance[:, None] * 5).astype(int)
    _, group = np.unique(cell, axis=0, return_inverse=True)
    farthest = np.lexsort((-distance, group.ravel()))
    first = np.unique(group.ravel()[farthest], return_index=True)[1]
    return np.asarray(own[farthest[first]])
