"""Bone frames of posed bodies, and the rotations that aim bones.

Bones are aimed: each takes the direction it shall have in the frame of hand or body, so that an angle means the same
for every shape. All arrays have leading axes (bodies, limbs) over which each function works at once, each item by
itself: an item's bits do not depend on the others.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synth.template import Template

Vector = NDArray[np.float64]
Rows = NDArray[np.intp]
Range = tuple[float, float]
Record = TypeVar("Record")

_EYE = np.eye(3)
_NEXT = np.array([1, 2, 0])
_SKEW = np.array([[0, 2, 1], [2, 0, 0], [1, 0, 0]])  # which component of an axis stands where in its cross matrix
_SKEW_SIGN = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Skeleton:
    """Bone frames of N posed bodies: rotations (N, J, 3, 3) from rest, positions (N, J, 3) of the heads; heads
    (N, J, 3): these at rest."""

    heads: Vector
    rotations: Vector
    positions: Vector


def settle(template: Template, heads: Vector, bones: tuple[int, ...], rotations: Vector) -> Skeleton:
    """The rigs with rest heads (N, J, 3), turned: `bones` take the absolute rotations (N, B, 3, 3), all others that of
    their nearest ancestor which has one."""
    source, parents, ancestry = _rig(template, bones)
    still = np.broadcast_to(_EYE, (len(rotations), 1, 3, 3))
    turned = np.concatenate([rotations, still], axis=1)[:, source]
    steps = turn(turned[:, parents], heads - heads[:, parents])
    steps[:, 0] = heads[:, 0]
    flat = steps.swapaxes(0, 1).reshape(len(source), -1)
    positions = (ancestry @ flat).reshape(len(source), -1, 3).swapaxes(0, 1)
    return Skeleton(heads=heads, rotations=turned, positions=np.ascontiguousarray(positions))


@cache
def _rig(template: Template, given: tuple[int, ...]) -> tuple[Rows, Rows, sparse.csr_matrix]:
    """(J,) which of the `given` bones each bone turns with, len(given) where none; (J,) parents, the root's its own;
    (J, J) ancestry: 1 where a bone is the other, or an ancestor of it."""
    assert template.parents[0] < 0, "the root comes first"
    source: list[int] = []
    ancestry = np.eye(len(template.parents))
    for j, parent in enumerate(template.parents):
        inherited = source[parent] if parent >= 0 else len(given)
        source.append(given.index(j) if j in given else inherited)
        if parent >= 0:
            ancestry[j] += ancestry[parent]
    return np.array(source), np.maximum(template.parents, 0), sparse.csr_matrix(ancestry)


def rows_of(record: Record, rows: Rows | int) -> Record:
    """Some rows of a record: of all arrays that it holds; a dataclass, a dictionary, or an array itself."""
    chosen: Any
    if isinstance(record, np.ndarray):
        chosen = record[rows]
    elif isinstance(record, dict):
        chosen = {name: rows_of(value, rows) for name, value in record.items()}
    else:
        make: Any = type(record)
        chosen = make(**{name: rows_of(value, rows) for name, value in vars(record).items()})
    result: Record = chosen
    return result


def about(axis: list[float] | Vector, angle_rad: float | Vector) -> Vector:
    """(..., 3, 3) rotations about axes (..., 3) through the origin, right-handed, by angles (...)."""
    along = unit(np.asarray(axis, np.float64))
    cosine, sine = (function(angle_rad)[..., None, None] for function in (np.cos, np.sin))
    across = along.take(_SKEW, axis=-1) * _SKEW_SIGN
    outer = along[..., :, None] * along[..., None, :]
    return np.asarray(cosine * _EYE + sine * across + (1 - cosine) * outer)


def swing(source: Vector, target: Vector) -> Vector:
    """(..., 3, 3) smallest rotations that take the directions `source` (..., 3) to the directions `target`."""
    start, end = unit(source), unit(target)
    cosine = dot(start, end)
    assert (cosine > -0.9999).all(), "a bone may not be turned right round"
    across = cross(start, end).take(_SKEW, axis=-1) * _SKEW_SIGN
    return np.asarray(_EYE + across + across @ across / (1 + cosine)[..., None, None])


def frame(along: Vector, across: Vector) -> Vector:
    """(..., 3, 3) right-handed frames as columns: two directions at right angles, and the third."""
    return np.stack([along, across, cross(along, across)], axis=-1)


def turn(rotations: NDArray[Any], vectors: NDArray[Any]) -> NDArray[Any]:
    """(..., 3) vectors (..., 3), each turned by its rotation (..., 3, 3)."""
    return np.asarray((rotations * vectors[..., None, :]).sum(-1))


def dot(first: Vector, second: Vector) -> Vector:
    """(...) scalar products of vectors (..., 3)."""
    return np.asarray((first * second).sum(-1))


def cross(first: Vector, second: Vector) -> Vector:
    """(..., 3) cross products of vectors; numpy's own takes several times as long for a few."""
    turned = first * second.take(_NEXT, axis=-1) - first.take(_NEXT, axis=-1) * second
    return np.asarray(turned.take(_NEXT, axis=-1))


def length(vectors: Vector) -> Vector:
    """(...) lengths of vectors (..., 3)."""
    return np.asarray(np.sqrt((vectors * vectors).sum(-1)))


def unit(vectors: Vector) -> Vector:
    """The vectors (..., 3) at length 1."""
    return np.asarray(vectors / length(vectors)[..., None])


def across_from(vectors: Vector, axes: Vector) -> Vector:
    """(..., 3) unit vectors at right angles to the unit `axes`, nearest to `vectors`."""
    return unit(vectors - dot(vectors, axes)[..., None] * axes)


def check_ranges(name: str, ranges: Any) -> None:
    """Raise ValueError where a (low, high) field of the dataclass `ranges` is the wrong way round."""
    for field_name, value in vars(ranges).items():
        if isinstance(value, tuple) and not value[0] <= value[1]:
            raise ValueError(f"{name}.{field_name} is {value}; allowed: (low, high) with low <= high")


def check_shares(name: str, **shares: float) -> None:
    """Raise ValueError where shares of one whole are not each 0 or more and together 1 at most."""
    if min(shares.values()) < 0 or sum(shares.values()) > 1:
        given = ", ".join(f"{share} {value}" for share, value in shares.items())
        raise ValueError(f"{name}: the shares are {given}; allowed: 0 or more each, 1 at most together")
