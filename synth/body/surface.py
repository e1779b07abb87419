"""Parts of the body's skin, thinned: enough of it to find what touches what before the whole body is skinned."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synth.mesh import Array, skin
from synth.skeleton import Skeleton, Vector
from synth.template import Template

SIGNS = {"L": 1.0, "R": -1.0}  # of x on the subject's two sides
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
    """Some vertices of the body model: index (N,) into all; weights (N, J); normals (N, 3) of the model at rest,
    outwards; bone (N,) which moves each most."""

    index: NDArray[np.intp]
    weights: sparse.csr_matrix
    normals: Array
    bone: NDArray[np.intp]

    def pose(self, template: Template, rest: Array, skeleton: Skeleton) -> tuple[Array, Array]:
        """(points (N, 3), normals (N, 3)) of these vertices, posed."""
        turned = skeleton.rotations.astype(np.float32)
        heads, positions = skeleton.heads.astype(np.float32), skeleton.positions.astype(np.float32)
        points = skin(template, rest[self.index], heads, turned, positions, self.weights)
        return points, np.einsum("nab,nb->na", turned[self.bone], self.normals)


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
    return Surface(index=index, weights=template.sparse_weights[index], normals=normals[index], bone=dominant[index])


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


def radius_of(template: Template, rest: Array, heads: Array | Vector, bone: str) -> float:
    """Mean distance (m) of the skin around the head of a bone from it, in this person."""
    around = rest[ring(template, bone)] - heads[template.bone(bone)]
    return float(np.linalg.norm(around, axis=1).mean())


def _outermost(template: Template, own: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the vertices `own` that lie farthest from their middle, one in each of some 500 directions."""
    offset = template.vertices[own] - template.vertices[own].mean(0)
    distance = np.linalg.norm(offset, axis=1)
    cell = np.round(offset / distance[:, None] * 5).astype(int)
    _, group = np.unique(cell, axis=0, return_inverse=True)
    farthest = np.lexsort((-distance, group.ravel()))
    first = np.unique(group.ravel()[farthest], return_index=True)[1]
    return np.asarray(own[farthest[first]])
