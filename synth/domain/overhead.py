"""A body on a couch, seen by a depth camera, re-projected orthographically across the couch's plane."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from synth.domain.cloud import Cloud
from synth.domain.couch_plane import Plane, find_plane
from synth.domain.patch import Matrix
from synth.domain.projection import ZERO_PLANE_MM, Projection, fill_nearest, largest_component

Head = Literal["up", "down", "left", "right"]
FEET: dict[Head, tuple[int, int]] = {"up": (0, 1), "down": (0, -1), "left": (1, 0), "right": (-1, 0)}  # in image x, y
COARSER = 1.2  # a pixel is so many times as large as the points lie apart: most pixels hold one
ABOVE_MM, ABOVE_SIGMA = 6.0, 2.0  # a point this far above the plane, or so many times the noise, is no couch
MOST_PX = 2000
BESIDE_MM = 300.0  # around the body
BRIDGED = 2  # px of missing points that are bridged
SURFACE_MM = 20.0  # in a pixel, points this far behind the nearest one are of the same surface
SMOOTH_PX, INSIDE_PX, HALF = 1.1, 5, 0.45
HOLE_MM = 60.0  # a larger hole, a square of that side, is more than a sensor loses: black cloth, glass
JUMP_MM = 40.0  # a hole whose rim spans more lies in a shadow: what is there is not known
SECOND = 0.4  # a part of this share of the largest one may be the one that is meant

Mask = NDArray[np.bool_]


def overlook(cloud: Cloud, head: Head, plane: Plane | None = None) -> Projection:
    """The silhouette and depth of what lies on the couch, seen across it, the head (a hand's fingers) up.

    head: where it lies in the camera's image; plane: of the couch, None looks for it. `to_patient` and `to_viewer` lead
    to the camera's own frame, mm. Pixels that nothing was seen of are not `observed`.
    Raises: ValueError where no plane is found, nothing lies on it, or two things do.
    """
    plane = find_plane(cloud.points) if plane is None else plane
    turn = _turn(plane, head)
    points = cloud.points @ turn.T.astype(np.float32)
    couch_mm = -plane.offset_mm  # along the view, whose direction is that against the plane's normal
    lowest = max(ABOVE_MM, ABOVE_SIGMA * plane.noise_mm)
    pixel, window = _window(points, couch_mm - lowest)
    nearest, seen = _rasterised(points, pixel, window)
    mended, known = _mended(nearest, seen, pixel)
    above = points[points[:, 2] < couch_mm - lowest]
    covered = _covered(above, pixel, window, (seen.shape[0], seen.shape[1]))
    # what the sensor lost inside of it
    missing = known & ~seen & (mended < couch_mm - lowest) & ndimage.binary_fill_holes(covered)
    silhouette = _one(covered | missing)
    zero = float(mended[silhouette & known].min()) - ZERO_PLANE_MM
    depth = fill_nearest(mended - zero, known & silhouette, silhouette)
    placed: Matrix = np.array([[pixel, 0, 0, window[0, 0]], [0, pixel, 0, window[0, 1]], [0, 0, 1, zero]])
    to_camera = np.column_stack([turn.T @ placed[:, :3], turn.T @ placed[:, 3]])
    return Projection(
        silhouette=silhouette,
        depth_mm=depth,
        thickness_mm=None,
        to_patient=to_camera,
        to_viewer=to_camera,
        pixel_mm=(pixel, pixel),
        threshold=lowest,
        observed=known | silhouette,
    )


def _turn(plane: Plane, head: Head) -> Matrix:
    """(3, 3) rotation of camera mm to viewing mm: x right, y from head to feet, z into the couch."""
    away = -plane.normal
    feet = np.array([*FEET[head], 0.0])
    down = feet - away * (feet @ away)
    down /= np.linalg.norm(down)
    return np.array([np.cross(down, away), down, away])


def _window(points: NDArray[np.float32], above: float) -> tuple[float, Matrix]:
    """(size of a square pixel in mm, (2, 2) low and high corners in mm of the picture around what lies above)."""
    body = points[points[:, 2] < above]
    if len(body) < 50:
        raise ValueError("shows nothing that lies on the couch's plane; is the plane the couch?")
    some = body[:: max(1, len(body) // 20_000), :2]
    apart = cKDTree(body[:, :2]).query(some, 2)[0][:, 1]
    low, high = np.quantile(body[:, :2], (0.001, 0.999), axis=0) + np.array([[-BESIDE_MM], [BESIDE_MM]])
    low, high = np.maximum(low, points[:, :2].min(0)), np.minimum(high, points[:, :2].max(0))
    pixel = max(COARSER * float(np.median(apart)), float((high - low).max()) / MOST_PX)
    return pixel, np.array([low, high], np.float64)


def _pixels(
    points: NDArray[np.float32], pixel: float, window: Matrix, size: tuple[int, int]
) -> tuple[NDArray[np.intp], Mask]:
    """(flat index of the pixel of each point that lies in the picture, which points do)."""
    height, width = size
    cols, rows = np.floor((points[:, :2] - window[0]) / pixel).astype(np.intp).T
    inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    return rows[inside] * width + cols[inside], inside


def _rasterised(points: NDArray[np.float32], pixel: float, window: Matrix) -> tuple[NDArray[np.float32], Mask]:
    """((H, W) mm along the view of the first surface in each pixel, where there is one).

    It is the mean of what lies within SURFACE_MM of the nearest point: the nearest one alone is that with most noise.
    """
    width, height = (int(n) for n in np.ceil((window[1] - window[0]) / pixel))
    at, inside = _pixels(points, pixel, window, (height, width))
    z = points[inside, 2]
    nearest = np.full(height * width, np.inf, np.float32)
    np.minimum.at(nearest, at, z)
    first = z < nearest[at] + SURFACE_MM
    total = np.bincount(at[first], z[first], height * width)
    count = np.bincount(at[first], minlength=height * width)
    known = count > 0
    surface = np.divide(total, count, out=np.zeros(height * width), where=known).astype(np.float32)
    return surface.reshape(height, width), known.reshape(height, width)


def _covered(above: NDArray[np.float32], pixel: float, window: Matrix, size: tuple[int, int]) -> Mask:
    """(H, W) bool: pixels around whose centre points lie at least half as densely as farther inside.

    A pixel that merely holds a point of the body would make every edge half a pixel wider.
    """
    at, _ = _pixels(above, pixel, window, size)
    count = np.bincount(at, minlength=size[0] * size[1]).reshape(size)
    usual = float(np.median(count[count > 0]))  # more of them lie on sides that face the camera: no wider for that
    dense = ndimage.gaussian_filter(np.minimum(count, usual).astype(np.float32), SMOOTH_PX)
    inside = ndimage.maximum_filter(dense, INSIDE_PX)
    return np.asarray((dense >= HALF * inside) & (inside > 0.25 * usual))


def _mended(nearest: NDArray[np.float32], known: Mask, pixel: float) -> tuple[NDArray[np.float32], Mask]:
    """The same, small gaps bridged, and small holes filled whose rim is one surface."""
    ring = np.ones((3, 3))
    padded = np.pad(known, BRIDGED, mode="edge")
    closed = ndimage.binary_closing(padded, ring, BRIDGED)[BRIDGED:-BRIDGED, BRIDGED:-BRIDGED] | known
    bridged = fill_nearest(np.where(known, nearest, 0), known, closed)
    holes, count = ndimage.label(~closed)
    if count:
        around = ndimage.maximum_filter(holes, 3) * closed
        index = np.arange(1, count + 1)
        span = ndimage.maximum(bridged, around, index) - ndimage.minimum(bridged, around, index)
        edge = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
        fill = np.concatenate(
            [[False], (np.asarray(span) < JUMP_MM) & (np.bincount(holes.ravel())[1:] * pixel**2 < HOLE_MM**2)]
        )
        fill[edge] = False
        closed = closed | fill[holes]
    return fill_nearest(np.where(known, nearest, 0), known, closed), closed


def _one(mask: Mask) -> Mask:
    """The largest part. Raises ValueError where a second one is nearly as large."""
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.sort(np.bincount(labels.ravel())[1:])
    if len(sizes) > 1 and sizes[-2] >= SECOND * sizes[-1]:
        raise ValueError(f"shows two parts, one {sizes[-2] / sizes[-1]:.0%} of the size of the other; leave one alone")
    return largest_component(mask)
