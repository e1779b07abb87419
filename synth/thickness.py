"""How thick a figure is along each pixel's ray, from its mesh alone: no engine, no depth buffer.

A ray enters a closed mesh through triangles that face the viewer and leaves it through others. The depths of where it
leaves, less those of where it enters, add up to the way inside: air between limbs does not count, enclosed air is none.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CENTRE = 0.5 + 1.3e-6, 0.5 + 0.7e-6  # of a pixel: a hair off, so that none lies on an edge that two triangles share


def thickness_mm(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """(H, W) float32 mm inside a mesh, 0 = background: vertices (V, 3) as (x px, y px, depth mm).

    Where parts of the mesh reach into each other they count twice, but no more than from the first surface to the last.
    """
    height, width = size
    corners = vertices.astype(np.float64)[triangles]
    pixel, face, depth = _crossings(corners, size)
    along = np.bincount(pixel, np.where(face, -depth, depth), height * width)
    first, last = np.full(height * width, np.inf), np.full(height * width, -np.inf)
    np.minimum.at(first, pixel, depth)
    np.maximum.at(last, pixel, depth)
    reach = np.where(last > first, last - first, 0)
    return np.clip(along, 0, reach).astype(np.float32).reshape(size)


def _crossings(corners: Floats, size: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.bool_], Floats]:
    """(pixel, whether the triangle faces the viewer, depth) of each pair of a pixel's centre and a triangle over it."""
    height, width = size
    low, high = corners.min(1), corners.max(1)
    left, right = _centres(low[:, 0], high[:, 0], width)
    top, bottom = _centres(low[:, 1], high[:, 1], height)
    across, down = np.maximum(right - left, 0), np.maximum(bottom - top, 0)
    counts = across * down
    triangle = np.repeat(np.arange(len(corners)), counts)
    place = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
    column, row = left[triangle] + place % across[triangle], top[triangle] + place // across[triangle]
    a, b, c = corners[triangle].swapaxes(0, 1)
    at = np.stack([column + CENTRE[0], row + CENTRE[1]], -1)
    areas = np.stack([_area(at, b, c), _area(at, c, a), _area(at, a, b)], -1)
    whole = areas.sum(-1)
    over = (whole != 0) & ((areas >= 0).all(-1) | (areas <= 0).all(-1))
    depth = (areas[over] * np.stack([a[over, 2], b[over, 2], c[over, 2]], -1)).sum(-1) / whole[over]
    return (row * width + column)[over], whole[over] < 0, depth


def _centres(low: Floats, high: Floats, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(first, end) of the pixels whose centres lie within [low, high] along an axis of `count` pixels."""
    first, end = np.ceil(low - 0.5), np.floor(high - 0.5) + 1
    return np.clip(first, 0, count).astype(np.intp), np.clip(end, 0, count).astype(np.intp)


def _area(p: Floats, q: Floats, r: Floats) -> Floats:
    """Twice the signed areas of triangles in the image plane."""
    return np.asarray((q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0]))
