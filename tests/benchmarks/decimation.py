"""What fewer triangles would cost and gain: the curve that the whole mesh was chosen from; prints JSON.

  python -m tests.benchmarks.decimation hand|body [--count 64] [--core 0] [--figure curve.png]

The template is decimated by Blender's own modifier ("collapse"), each vertex that is left taking the place of the
nearest one of the whole mesh, so that the same poses can be seen with fewer triangles. Held against Embree's pictures
of the whole mesh: IoU of the silhouettes, and the share of pixels in both whose depth is within 1 and 3 mm. Speed: of
the raycast engine alone and of bare Embree, on the same triangles, on one core.
"""

import argparse
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from pipelines.cli import resolve
from synth.domain.anatomy import anatomy_named
from synth.figure import draw, template_of
from synth.template import Template
from tests.benchmarks.engines import embree_distance, embree_rate, engine_rate, pixel_rays
from tests.benchmarks.surroundings import surroundings

SEED = 21
SHARES = (0.1, 0.2, 0.4, 0.6, 0.75, 0.9)


def decimated(template: Template, share: float) -> NDArray[np.int32]:
    """(T, 3) triangles of about that share of the template's, between vertices of the template."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # Blender keeps a process of its own
        vertices, triangles = pool.apply(_collapse, (template.vertices, template.triangles, share))
    nearest = cKDTree(template.vertices).query(vertices)[1][triangles].astype(np.int32)
    a, b, c = nearest.T
    return np.ascontiguousarray(nearest[(a != b) & (b != c) & (c != a)])


def _collapse(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], share: float
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    import bpy

    mesh = bpy.data.meshes.new("whole")
    mesh.from_pydata(vertices.tolist(), [], triangles.tolist())
    whole = bpy.data.objects.new("whole", mesh)
    bpy.context.scene.collection.objects.link(whole)
    modifier = whole.modifiers.new("fewer", "DECIMATE")
    modifier.ratio, modifier.use_collapse_triangulate = share, True
    fewer = whole.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    left = np.empty(3 * len(fewer.vertices), np.float32)
    fewer.vertices.foreach_get("co", left)
    fewer.calc_loop_triangles()
    corners = np.empty(3 * len(fewer.loop_triangles), np.int32)
    fewer.loop_triangles.foreach_get("vertices", corners)
    return left.reshape(-1, 3), corners.reshape(-1, 3)


def accuracy(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], whole: NDArray[np.int32], size: tuple[int, int]
) -> dict[str, float]:
    """Means over figures (N, V, 3) of what `triangles` show against what the `whole` mesh does."""
    rays, rows = pixel_rays(size), []
    for figure in vertices:
        fewer, exact = (embree_distance(figure[corners], rays) for corners in (triangles, whole))
        seen, truth = fewer < 1e30, exact < 1e30
        both = seen & truth
        apart = np.abs(fewer - exact)[both]
        rows.append([both.sum() / (seen | truth).sum(), (apart < 1).mean(), (apart < 3).mean()])
    return dict(zip(("iou", "within_1_mm", "within_3_mm"), np.mean(rows, axis=0), strict=True))


def curve(anatomy: str, count: int) -> list[dict[str, float]]:
    """Accuracy and images per second by number of triangles, the whole mesh last."""
    recipe = resolve(anatomy, []).render
    assert recipe is not None
    template, size = template_of(recipe), anatomy_named(recipe.anatomy).size
    vertices = np.stack([draw(recipe, template, SEED, i).vertices for i in range(count)])
    rows = []
    for share in (*SHARES, 1.0):
        triangles = template.triangles if share == 1 else decimated(template, share)
        rates = {
            "raycast": engine_rate("raycast", vertices, triangles, size),
            "embree": embree_rate(vertices, triangles, size),
        }
        rows.append({"triangles": len(triangles)} | accuracy(vertices, triangles, template.triangles, size) | rates)
    return rows


def draw_curve(rows: list[dict[str, float]], anatomy: str, path: Path) -> None:
    """A PNG of it: accuracy on the left, speed on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    triangles = [row["triangles"] for row in rows]
    for name, label in (("iou", "IoU"), ("within_1_mm", "depth < 1 mm"), ("within_3_mm", "depth < 3 mm")):
        left.plot(triangles, [row[name] for row in rows], "o-", label=label)
    for name, label in (("raycast", "raycast engine"), ("embree", "bare Embree")):
        right.plot(triangles, [row[name] for row in rows], "o-", label=label)
    left.set(xlabel="triangles", ylabel="against the whole mesh", title=anatomy)
    right.set(xlabel="triangles", ylabel="images/s, one core", ylim=(0, None))
    for axes in (left, right):
        axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, print, draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("anatomy", choices=["hand", "body"])
    options.add_argument("--count", type=int, default=64, help="figures")
    options.add_argument("--core", type=int, default=0)
    options.add_argument("--figure", type=Path, help="PNG to draw the curve into; default: none")
    arguments = options.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    with threadpool_limits(1):
        rows = curve(arguments.anatomy, arguments.count)
    if arguments.figure:
        draw_curve(rows, arguments.anatomy, arguments.figure)
    report: dict[str, Any] = {"anatomy": arguments.anatomy, "curve": rows}
    print(json.dumps(report | surroundings(), indent=2, default=float))


if __name__ == "__main__":
    main()
