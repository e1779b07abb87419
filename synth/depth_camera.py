"""A virtual depth camera above a couch: what a posed body looks like to one, with noise, edges and holes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.cloud import Camera
from synth.mesh import Array

EDGE_MM = 30.0  # a step of more between neighbouring pixels is an edge of depth
PER_PX = 2.0  # points a pixel that a triangle's sides are sampled with


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """What a real sensor does to depth.

    noise_per_mm: one deviation in mm is this times z² in mm²; 2.5 mm at 1.9 m, set by hand
    lost, flying: shares of pixels at edges of depth that see nothing, or something between the two surfaces
    dropped: share of all pixels that see nothing
    """

    noise_per_mm: float = 7e-7
    lost: float = 0.3
    flying: float = 0.3
    dropped: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.noise_per_mm < 1e-4:
            raise ValueError(f"sensor.noise_per_mm is {self.noise_per_mm}; allowed: 0 <= noise_per_mm < 1e-4")
        for name in ("lost", "flying", "dropped"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ValueError(f"sensor.{name} is {getattr(self, name)}; allowed: 0 to 0.5")


def depth_image(
    vertices: Array,
    triangles: NDArray[np.integer[Any]],
    camera: Camera,
    couch: NDArray[np.float64],
    sensor: Sensor,
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """(H, W) uint16 in units of the camera, 0 = nothing seen: a body, a couch, and a floor 700 mm below it.

    vertices: (V, 3) mm in the camera's frame; triangles: (T, 3); couch: (4, 3) its corners in order, mm
    """
    depth = z_buffer(vertices, triangles, camera)
    normal = np.cross(couch[1] - couch[0], couch[3] - couch[0])
    normal /= np.linalg.norm(normal) * np.sign(normal[2])
    for lower, bounded in ((0.0, True), (700.0, False)):
        depth = np.minimum(depth, _plane(camera, couch + lower * normal, normal, bounded=bounded))
    return _sensed(depth, camera, sensor, rng)


def z_buffer(vertices: Array, triangles: NDArray[np.integer[Any]], camera: Camera) -> NDArray[np.float64]:
    """(H, W) z of the nearest surface in each pixel, mm; infinite where there is none: triangles sampled densely."""
    corners = np.asarray(vertices, np.float64)[triangles]
    pixels = _project(corners.reshape(-1, 3), camera).reshape(-1, 3, 2)
    longest = np.linalg.norm(pixels - np.roll(pixels, 1, 1), axis=2).max(1)
    steps = np.maximum(1, np.ceil(PER_PX * longest)).astype(int)
    depth = np.full(camera.height * camera.width, np.inf)
    for count in np.unique(steps):
        i, j = np.triu_indices(count + 1)
        weights = np.column_stack([i, j - i, count - j]) / count
        points = np.einsum("pk,tkc->tpc", weights, corners[steps == count]).reshape(-1, 3)
        cols, rows = np.rint(_project(points, camera)).astype(int).T
        inside = (cols >= 0) & (cols < camera.width) & (rows >= 0) & (rows < camera.height) & (points[:, 2] > 0)
        np.minimum.at(depth, rows[inside] * camera.width + cols[inside], points[inside, 2])
    return depth.reshape(camera.height, camera.width)


def _project(points: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    x, y, z = points.T
    return np.column_stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy])


def _plane(
    camera: Camera, corners: NDArray[np.float64], normal: NDArray[np.float64], *, bounded: bool
) -> NDArray[np.float64]:
    """(H, W) z where each ray meets a plane, infinite beyond its corners where it is bounded."""
    rows, cols = np.indices((camera.height, camera.width))
    rays = np.dstack([(cols - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(rows.shape)])
    z = (normal @ corners[0]) / (rays @ normal)
    z[z <= 0] = np.inf
    if bounded:
        along, across = corners[1] - corners[0], corners[3] - corners[0]
        place = rays * z[..., None] - corners[0]
        u, v = place @ along / (along @ along), place @ across / (across @ across)
        z[(u < 0) | (u > 1) | (v < 0) | (v > 1)] = np.inf
    return np.asarray(z)


def _sensed(depth: NDArray[np.float64], camera: Camera, sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint16]:
    """What the sensor says of true depths."""
    near, far = ndimage.minimum_filter(depth, 3), ndimage.maximum_filter(depth, 3)
    edge = far - near > EDGE_MM
    draw = rng.random(depth.shape)
    between = near + (far - near) * rng.random(depth.shape)
    seen = np.where(edge & (draw < sensor.flying), between, depth)
    noise = rng.standard_normal(depth.shape)
    seen = seen + sensor.noise_per_mm * seen**2 * noise
    lost = edge & (draw > 1 - sensor.lost) | (rng.random(depth.shape) < sensor.dropped) | ~np.isfinite(depth)
    values = np.where(lost, 0, np.rint(np.where(lost, 0, seen) / camera.unit_mm))
    return np.clip(values, 0, 65535).astype(np.uint16)
