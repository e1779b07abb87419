"""How near a virtual depth camera's view of bodies comes to their orthographic rendering; prints JSON.

  python -m tests.benchmarks.depth_camera [--count 10]

1024 x 768 px, 70 degrees across, 1.9 m above a couch of 0.7 x 2.1 m, the head at the image's left. `iou`: of the
silhouette with the body cast along parallel rays in the same pixels; `iou_observed`: where the camera saw something, so
without what hides behind the body's own sides; depth: surface against surface. With the sensor's noise and edges, and
without. Seconds: from the depth image to the projection.
"""

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray
from trimesh import Trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from synth.depth_camera import Sensor, depth_image
from synth.domain.cloud import Camera, depth_cloud
from synth.domain.overhead import overlook
from synth.domain.patch import apply_affine, invert_affine
from synth.domain.projection import Projection
from synth.domain.radiograph import Image
from synth.figure import BodyRange, Figure, RenderRecipe, sample_figure, template_of
from tests.benchmarks.surroundings import surroundings

RECIPE = RenderRecipe(anatomy="body", body=BodyRange())
CAMERA = Camera(fx=731, fy=731, cx=511.5, cy=383.5, width=1024, height=768, unit_mm=1.0)
AWAY_MM = 1900.0
COUCH = np.array([[-350.0, -1050, 0], [350, -1050, 0], [350, 1050, 0], [-350, 1050, 0]])
TURN = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # viewing mm -> camera mm: the head at the image's left
PERFECT = Sensor(noise_per_mm=0, lost=0, flying=0, dropped=0)


def seen(
    figure: Figure, triangles: NDArray[np.integer], sensor: Sensor, rng: np.random.Generator
) -> tuple[Image, NDArray[np.float64]]:
    """(the depth image, the body's vertices in the camera's frame)."""
    low, high = figure.vertices.min(0).astype(float), figure.vertices.max(0).astype(float)
    middle = np.array([*(low + high)[:2] / 2, np.quantile(figure.vertices[:, 2], 0.999)])
    vertices = (figure.vertices - middle) @ TURN.T + [0, 0, AWAY_MM]
    depth = depth_image(vertices, triangles, CAMERA, COUCH @ TURN.T + [0, 0, AWAY_MM], sensor, rng)
    return Image(pixels=depth.astype(np.float32), spacing_mm=None, to_viewer=np.eye(2, 3)), vertices


def agreement(view: Projection, vertices: NDArray[np.float64], triangles: NDArray[np.integer]) -> dict[str, float]:
    """A view against the body (vertices in the camera's frame) cast along parallel rays through the view's pixels."""
    assert view.observed is not None and view.depth_mm is not None and view.pixel_mm is not None
    mesh = Trimesh(apply_affine(invert_affine(view.to_patient), vertices), triangles, process=False)
    rows, cols = np.indices(view.silhouette.shape)
    origins = np.column_stack([cols.ravel() + 0.5, rows.ravel() + 0.5, np.full(rows.size, -3000.0)])
    places, rays, _ = RayMeshIntersector(mesh).intersects_location(
        origins, np.tile([0.0, 0, 1], (rows.size, 1)), multiple_hits=False
    )
    surface = np.full(rows.size, np.nan)
    surface[rays] = places[:, 2]
    surface = surface.reshape(rows.shape)
    true, found = np.isfinite(surface), view.silhouette
    error = view.depth_mm[true & found] - surface[true & found]
    return {
        "pixel_mm": view.pixel_mm[0],
        "iou": float((true & found).sum() / (true | found).sum()),
        "iou_observed": float((true & found & view.observed).sum() / ((true | found) & view.observed).sum()),
        "depth_median_mm": float(np.median(np.abs(error))),
        "depth_bias_mm": float(np.median(error)),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and extremes."""
    return {
        "median": round(float(np.median(values)), 4),
        "from": round(min(values), 4),
        "to": round(max(values), 4),
    }


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=10)
    count = options.parse_args().count
    template = template_of(RECIPE)
    result = {}
    for name, sensor in (("sensor", Sensor()), ("perfect", PERFECT)):
        rows = []
        for k in range(count):
            figure = sample_figure(RECIPE, template, np.random.default_rng([5, k]))
            image, vertices = seen(figure, template.triangles, sensor, np.random.default_rng([6, k]))
            start = time.perf_counter()
            view = overlook(depth_cloud(image, CAMERA), "left")
            seconds = time.perf_counter() - start
            rows.append(agreement(view, vertices, template.triangles) | {"seconds": seconds})
        result[name] = {key: spread([row[key] for row in rows]) for key in rows[0]}
    print(json.dumps({"bodies": count, **result, **surroundings()}, indent=1))


if __name__ == "__main__":
    main()
