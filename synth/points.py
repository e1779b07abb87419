"""The named points of an anatomy on a posed mesh, as its definitions say."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy
from synth.domain.point import Point
from synth.mesh import Array, Posed
from synth.template import Template

# Directions of the body that do not turn with a bone, in model axes.
AXES = {
    "cranial": (0, 0, 1), "caudal": (0, 0, -1), "left": (1, 0, 0), "right": (-1, 0, 0),
    "anterior": (0, -1, 0), "posterior": (0, 1, 0),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Extremum:
    """A point of kind extremum: its row, its candidate vertices, and its axis, or the bone from `bone` to `end`."""

    row: int
    own: NDArray[np.intp]
    axis: NDArray[np.float32] | None
    bone: int
    end: int

    def find(self, posed: Posed) -> Array:
        """(3,) the candidate farthest along the axis."""
        axis = self.axis
        if axis is None:
            axis = posed.rotations[self.bone] @ (posed.heads[self.end] - posed.heads[self.bone])
        skin = posed.vertices[self.own]
        return np.asarray(skin[(skin @ axis).argmax()])


@dataclass(frozen=True, kw_only=True, eq=False)
class Finder:
    """Where the points of one anatomy lie in one template, worked out once.

    Kind bone: bone_rows of the result, starts, ends (B,) bones, along (B, 1), offsets (B, 3).
    Kind vertex: vertex_rows of the result, vertices of all of them one after another, from `first` on, `count` each.
    """

    bone_rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    along: Array
    offsets: Array
    vertex_rows: NDArray[np.intp]
    vertices: NDArray[np.intp]
    first: NDArray[np.intp]
    count: Array
    extrema: tuple[Extremum, ...]
    num_points: int

    def find(self, posed: Posed) -> Array:
        """(P, 3) float32 points of a posed mesh, in its own units and axes."""
        found = np.empty((self.num_points, 3), np.float32)
        origin = posed.positions[self.starts]
        length = np.linalg.norm(posed.heads[self.ends] - posed.heads[self.starts], axis=1)[:, None]
        aside = (posed.rotations[self.starts] @ (length * self.offsets)[:, :, None])[:, :, 0]
        found[self.bone_rows] = origin + self.along * (posed.positions[self.ends] - origin) + aside
        if len(self.vertices):
            found[self.vertex_rows] = np.add.reduceat(posed.vertices[self.vertices], self.first) / self.count
        for extremum in self.extrema:
            found[extremum.row] = extremum.find(posed)
        return found


def points_of(template: Template, anatomy: Anatomy, posed: Posed) -> Array:
    """(P, 3) float32 named points of a posed mesh, in its own units and axes (z up).

    Raises: ValueError where a definition names a bone or vertex that this template lacks.
    """
    return finder_of(template, anatomy).find(posed)


@lru_cache(maxsize=4)
def finder_of(template: Template, anatomy: Anatomy) -> Finder:
    """The anatomy's definitions, looked up in a template. Raises ValueError for an unknown bone or vertex."""
    rows = {
        kind: [i for i, p in enumerate(anatomy.points) if p.kind == kind] for kind in ("bone", "vertex", "extremum")
    }
    on_bone = [anatomy.points[i] for i in rows["bone"]]
    stretches = np.array([_stretch(template, point) for point in on_bone], np.intp).reshape(-1, 2)
    skin = [_vertices(template, anatomy.points[i]) for i in rows["vertex"]]
    count = np.array([len(vertices) for vertices in skin], np.intp)
    return Finder(
        bone_rows=np.array(rows["bone"], np.intp),
        starts=stretches[:, 0],
        ends=stretches[:, 1],
        along=np.array([point.along for point in on_bone], np.float32).reshape(-1, 1),
        offsets=np.array([point.offset for point in on_bone], np.float32).reshape(-1, 3),
        vertex_rows=np.array(rows["vertex"], np.intp),
        vertices=np.concatenate([np.zeros(0, np.intp), *skin]),
        first=np.cumsum(count) - count,
        count=count.astype(np.float32)[:, None],
        extrema=tuple(_extremum(template, anatomy.points[i], i) for i in rows["extremum"]),
        num_points=len(anatomy.points),
    )


def _stretch(template: Template, point: Point) -> tuple[int, int]:
    """(start, end) bones of a point of kind bone."""
    assert point.bone is not None
    start = _bone(template, point.bone, point)
    return start, _first_child(template, start, point) if point.to is None else _bone(template, point.to, point)


def _vertices(template: Template, point: Point) -> NDArray[np.intp]:
    """Indices in this template of a point's vertices."""
    found = np.searchsorted(template.original, point.vertices)
    absent = template.original[np.minimum(found, len(template.original) - 1)] != np.array(point.vertices)
    if absent.any():
        vertex = point.vertices[int(absent.argmax())]
        raise ValueError(f"point {point.name!r}: vertex {vertex} is not part of the {_extent(template)}")
    return found


def _extremum(template: Template, point: Point, row: int) -> Extremum:
    bones = [_bone(template, name, point) for name in point.bones]
    own = np.flatnonzero(np.isin(template.dominant, bones))
    if len(own) == 0:
        raise ValueError(
            f"point {point.name!r}: no vertex has its largest skin weight at {', '.join(point.bones)}; name other bones"
        )
    assert point.direction is not None
    along = point.direction == "along"
    axis = None if along else np.array(AXES[point.direction], np.float32)
    end = _first_child(template, bones[0], point) if along else bones[0]
    return Extremum(row=row, own=own, axis=axis, bone=bones[0], end=end)


def _bone(template: Template, name: str, point: Point) -> int:
    if name not in template.bones:
        near = get_close_matches(name, template.bones)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {', '.join(template.bones)}"
        raise ValueError(f"point {point.name!r}: bone {name!r} does not exist{hint}")
    return template.bone(name)


def _first_child(template: Template, bone: int, point: Point) -> int:
    if bone not in template.parents:
        raise ValueError(f"point {point.name!r}: bone {template.bones[bone]!r} has no child that says where it ends")
    return template.parents.index(bone)


def _extent(template: Template) -> str:
    return f"model shown ({len(template.original)} of its vertices, {template.original[0]} to {template.original[-1]})"
