"""Which triangles of a closed mesh a pixel's ray can meet first: a seventh of a body's, found by arithmetic."""

import numpy as np
from numpy.typing import NDArray

SLACK = np.float32(1e-4)  # px²: rounding of the areas below, from above


class Seen:
    """Finds them for meshes of one topology. triangles (T, 3), counter-clockwise seen from outside."""

    def __init__(self, triangles: NDArray[np.int32]) -> None:
        self._corners = [np.ascontiguousarray(corner) for corner in triangles.T]

    def by_pixels(self, vertices: NDArray[np.float32]) -> NDArray[np.intp]:
        """Ascending indices of the triangles, of vertices (V, 3: px, px, depth), that may be first on a pixel's ray.

        Left out are triangles that face away (on a closed surface one that faces the viewer lies before them) and those
        whose shadow, or the box around it where that holds several pixel centres, holds none.
        """
        plane = np.ascontiguousarray(vertices[:, :2].T) - np.float32(0.5)  # pixel centres are whole numbers here
        first, last = self._boxes(plane)
        near = np.flatnonzero((first <= last).all(0))
        first, last = first[:, near], last[:, near]
        x, y = plane
        a, b, c = (corner[near] for corner in self._corners)
        abx, aby, acx, acy = x[b] - x[a], y[b] - y[a], x[c] - x[a], y[c] - y[a]
        area = aby * acx - abx * acy  # twice the shadow; positive towards the viewer, since y runs down
        px, py = first[0] - x[a], first[1] - y[a]
        by_b, by_c = py * acx - px * acy, aby * px - abx * py
        holds = (by_b >= -SLACK) & (by_c >= -SLACK) & (by_b + by_c <= area + SLACK)
        return np.asarray(near[(area > 0) & (holds | (first < last).any(0))])

    def _boxes(self, plane: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(first, last), each (2, T): the whole numbers in each triangle's box, across and down; none: first > last."""
        low, high = np.ceil(plane).astype(np.int32), np.floor(plane).astype(np.int32)
        a, b, c = self._corners
        first = [np.minimum(np.minimum(axis[a], axis[b]), axis[c]) for axis in low]
        last = [np.maximum(np.maximum(axis[a], axis[b]), axis[c]) for axis in high]
        return np.stack(first), np.stack(last)
