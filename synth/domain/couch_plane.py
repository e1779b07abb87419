"""The plane of the couch among the points of a depth camera: the nearest large one with the body before it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TRIES, SOME = 400, 15_000  # planes tried, points they are tried on
NEAR_MM, NEAR = 6.0, 0.004  # points this close to a plane, or this share of their distance, lie on it
LARGE = 0.12  # share of the points that a couch holds
STEEP = 0.5  # cosine: the camera looks down on the couch, not along it
ALIKE = 0.985  # cosine between the couch and the floor below it


@dataclass(frozen=True, kw_only=True)
class Plane:
    """normal @ p = offset_mm; the normal (3,) points to the camera, so the offset is negative.

    noise_mm: one deviation of the points that lie on it
    """

    normal: NDArray[np.float64]
    offset_mm: float
    noise_mm: float


def plane_of(coefficients: tuple[float, float, float, float], noise_mm: float = 0.0) -> Plane:
    """The plane a x + b y + c z + d = 0 (mm, the camera's frame), whichever way its normal is given."""
    normal, offset = np.array(coefficients[:3], np.float64), -float(coefficients[3])
    sign = -1.0 if offset > 0 else 1.0
    return Plane(normal=sign * normal, offset_mm=sign * offset, noise_mm=noise_mm)


def find_plane(points: NDArray[np.float32]) -> Plane:
    """The couch's plane, of points (N, 3) in mm in the camera's frame; the same for the same points.

    The largest plane may be the floor: where a large one lies before it, that is the couch.
    Raises: ValueError where there is none.
    Source: Fischler and Bolles 1981 (RANSAC), then least squares on what lies on it.
    """
    rng = np.random.default_rng([points.shape[0], 1])
    some = points[rng.permutation(len(points))[:SOME]].astype(np.float64)
    near = max(NEAR_MM, NEAR * float(np.median(some[:, 2])))
    found: Plane | None = None
    left = some
    while len(left) >= LARGE * len(some) and len(left) > 3:
        plane = _largest(left, near, rng)
        inside = np.abs(left @ plane.normal - plane.offset_mm) < near
        if inside.sum() < LARGE * len(some) or -plane.normal[2] < STEEP:
            break
        if found is not None and plane.normal @ found.normal < ALIKE:
            break
        found = plane
        left = left[left @ plane.normal - plane.offset_mm > near]
    if found is None:
        raise ValueError('shows no plane of a couch behind the body; give it as "plane" in the camera\'s file')
    return found


def _largest(points: NDArray[np.float64], near: float, rng: np.random.Generator) -> Plane:
    """The plane that most of the points lie on."""
    best, most = None, -1
    for _ in range(TRIES):
        a, b, c = points[rng.integers(0, len(points), 3)]
        normal = np.cross(b - a, c - a)
        length = float(np.linalg.norm(normal))
        if length < 1e-6:
            continue
        count = int((np.abs((points - a) @ (normal / length)) < near).sum())
        if count > most:
            best, most = (normal / length, a), count
    if best is None:
        raise ValueError("has all its points on one line; export it again")
    normal, offset = best[0], float(best[0] @ best[1])
    for _ in range(3):
        on = points[np.abs(points @ normal - offset) < near]
        centre = on.mean(0)
        normal = np.linalg.svd(on - centre, full_matrices=False)[2][2]
        offset = float(normal @ centre)
    sign = -1.0 if offset > 0 else 1.0
    apart = np.abs(points @ normal - offset)
    noise = 1.4826 * float(np.median(apart[apart < near]))
    return Plane(normal=sign * normal, offset_mm=sign * offset, noise_mm=noise)
