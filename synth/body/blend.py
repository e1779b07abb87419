"""Rest points of people, mixed from those of extreme people: what synth.mesh.rest_mesh gives, with a third of its work.

Between two anchors the body model is linear in each phenotype, and height and proportions do not act on each other. So
a person is a weighted mean of 16 extreme people (both sexes, two ages, two grades of muscle, two of weight), to each of
whom height and proportions add their part: 48 rows of a table, where the model has 136 shapes for its phenotypes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from synth.mesh import ANCHORS, Array, Parameters, coefficients
from synth.template import Template

_MIXED = ("muscle", "weight", "gender", "age")  # the extremes that people are mixed from, in the order of the table
_ADDED = ("height", "proportions")  # linear from 0 to 1 in every extreme person
_EACH = 1 + len(_ADDED)  # rows of an extreme person: with both at 0, and what either adds
_BLOCK = 2 * 2 * _EACH  # rows of one grade of muscle and of weight: both sexes, two ages


@dataclass(frozen=True, kw_only=True, eq=False)  # compared by identity, so that its tables can be kept
class Blend:
    """Q points of a template. index (Q,): into its V vertices followed by its J joints; side (Q,): what x is times."""

    template: Template
    index: NDArray[np.intp]
    side: Array

    def rest(self, people: Sequence[Parameters]) -> Array:
        """(N, 3, Q) float32 x, y, z in metres of the points of N people at rest; nobody's depend on the others.

        People are synth.mesh.PHENOTYPES and local changes by name; a phenotype that is not given is 0.5, a change 0.
        """
        cells, weights = _mixtures(people)
        points = np.empty((len(people), 3 * len(self.index)), np.float32)
        for row, person, (muscle, weight, _, age), mixed in zip(points, people, cells.tolist(), weights, strict=True):
            names = tuple(name for name in self.template.changes if name in person)
            signed = [max(sign * person[name], 0.0) for name in names for sign in (1, -1)]
            np.dot(np.array(signed, np.float32), _changes(self, names), out=row)
            first = weight * _BLOCK
            extremes = _extremes(self, age)[muscle : muscle + 2, first : first + 2 * _BLOCK]
            for part, table in zip(mixed, extremes, strict=True):
                row += part @ table
        return points.reshape(len(people), 3, -1)


def _mixtures(people: Sequence[Parameters]) -> tuple[NDArray[np.intp], Array]:
    """((N, 4) lower anchors between which people lie, (N, 2, 2 * _BLOCK) float32 weights of the rows around them)."""
    cells = np.empty((len(people), len(_MIXED)), np.intp)
    weights = np.ones((len(people), 1))
    for column, name in enumerate(_MIXED):
        anchors = np.array(ANCHORS[name])
        value = np.clip([person.get(name, 0.5) for person in people], anchors[0], anchors[-1])
        below = np.clip(np.searchsorted(anchors, value) - 1, 0, len(anchors) - 2)
        share = (value - anchors[below]) / (anchors[below + 1] - anchors[below])
        cells[:, column] = below
        weights = _times(weights, np.stack([1 - share, share], axis=1))
    added = np.clip([[person.get(name, 0.5) for name in _ADDED] for person in people], 0, 1)
    weights = _times(weights, np.concatenate([np.ones((len(people), 1)), added], axis=1))
    return cells, weights.reshape(len(people), 2, -1).astype(np.float32)


def _times(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return (first[:, :, None] * second[:, None]).reshape(len(first), -1)


@lru_cache(maxsize=16)
def _extremes(blend: Blend, age: int) -> Array:
    """(3, 3 * _BLOCK, 3 Q) points of extreme people of two neighbouring ages; rows by muscle, then weight, sex, age."""
    rows = []
    for extreme in product(*(ANCHORS[name] for name in _MIXED[:-1]), ANCHORS["age"][age : age + 2]):
        person = dict(zip(_MIXED, extreme, strict=True)) | dict.fromkeys(_ADDED, 0.0)
        rows.append(coefficients(blend.template, person))
        rows += [coefficients(blend.template, person | {name: 1.0}) - rows[-1] for name in _ADDED]
    table = _moved(blend, np.array(rows))
    base = np.concatenate([blend.template.vertices, blend.template.heads])[blend.index]
    table[::_EACH] += (base * np.stack([blend.side, *np.ones((2, len(base)))], axis=1)).T.ravel()
    return table.astype(np.float32).reshape(3, 3 * _BLOCK, -1)


@lru_cache(maxsize=16)
def _changes(blend: Blend, names: tuple[str, ...]) -> Array:
    """(2 C, 3 Q) by how much C local changes move the points, each in its two directions."""
    changes, count = blend.template.changes, len(blend.template.shapes)
    first = count - 2 * len(changes)
    rows = [first + 2 * changes.index(name) + direction for name in names for direction in (0, 1)]
    return _moved(blend, np.eye(count)[rows]).astype(np.float32)


def _moved(blend: Blend, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(R, 3 Q) what rows (R, B) of coefficients move the points by, folded."""
    shapes = np.concatenate([blend.template.shapes, blend.template.head_shapes], axis=1)[:, blend.index]
    shapes = shapes.transpose(0, 2, 1).astype(np.float64)
    shapes[:, 0] *= blend.side
    with threadpool_limits(1):  # a table's bits must not depend on who asks first
        return np.asarray(rows @ shapes.reshape(len(shapes), -1))
