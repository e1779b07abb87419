"""Labels against the picture: 200 hands and 200 bodies, rendered, projected again in the test and held together."""

from functools import cache

import numpy as np
import pytest
from trimesh import Trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from synth.domain.anatomy import OUTLINE, Anatomy, anatomy_named
from synth.domain.schema import Samples, unpack_silhouettes
from synth.figure import BodyRange, Figure, HandRange, RenderRecipe, figure_of, parameter_names, template_of
from synth.worker import ShardJob, ShardWorker

pytestmark = pytest.mark.slow
COUNT, SEED = 200, 12
RECIPES = {
    "hand": RenderRecipe(anatomy="hand", hand=HandRange(), shard_rows=32),
    "body": RenderRecipe(anatomy="body", body=BodyRange(), shard_rows=16),
}
MARGIN = 0.04  # of the figure's box, on each side of it
ZERO_MM = 10.0  # from the plane of depth 0 to the nearest surface
FINER, WINDOW = 8, 6  # rays a pixel and axis instead of one, in a window of so many pixels around a landmark
LOOKED_AT = 50  # samples whose every landmark is looked at so, and any other that a pixel is too coarse for

both = pytest.mark.parametrize("base", RECIPES)


@cache
def _rendered(base: str) -> tuple[Samples, list[Figure]]:
    """The samples, and the figures that their stored parameters make."""
    recipe = RECIPES[base]
    worker = ShardWorker(recipe, SEED, "nowhere")
    samples = worker.samples(ShardJob(index=0, first_id=0, rows=COUNT))
    worker.close()
    anatomy, template = anatomy_named(base), template_of(recipe)
    names = parameter_names(recipe, template)
    rows = [dict(zip(names, map(float, values), strict=True)) for values in samples.parameters]
    return samples, [figure_of(anatomy, template, row) for row in rows]


def _project(points: np.ndarray, figure: Figure, anatomy: Anatomy) -> tuple[np.ndarray, float]:
    """(points (N, 3) in mm as (x px, y px, depth mm), mm a pixel) of a camera that sees the whole figure, centred."""
    low, high = figure.vertices.min(0).astype(float), figure.vertices.max(0).astype(float)
    patch = np.array([anatomy.width, anatomy.height])
    pixel_mm = ((high - low)[:2] * (1 + 2 * MARGIN) / patch).max()
    pixels = (points[:, :2] - (low + high)[:2] / 2) / pixel_mm + patch / 2
    return np.column_stack([pixels, points[:, 2] - low[2] + ZERO_MM]), pixel_mm


def _distance(point: np.ndarray, mask: np.ndarray, size: float = 1.0) -> float:
    """From a point (x, y) to the nearest tissue of a mask whose square pixels are of that size; 0 inside of one."""
    rows, cols = np.nonzero(mask)
    aside = np.abs(point[0] - (cols + 0.5) * size), np.abs(point[1] - (rows + 0.5) * size)
    return float(np.hypot(*(np.maximum(axis - size / 2, 0) for axis in aside)).min())


def _finely(figure: Figure, triangles: np.ndarray, anatomy: Anatomy, places: np.ndarray) -> list[float]:
    """Of each place (x, y): distance in px to the figure's silhouette, seen FINER times as finely around it."""
    mesh = RayMeshIntersector(Trimesh(_project(figure.vertices, figure, anatomy)[0], triangles, process=False))
    steps = (np.indices((WINDOW * FINER, WINDOW * FINER)).reshape(2, -1).T[:, ::-1] + 0.5) / FINER
    distances = []
    for place in places:
        corner = np.floor(place) - WINDOW // 2
        origins = np.column_stack([steps + corner, np.full(len(steps), -1.0)])
        hit = mesh.intersects_any(origins, np.tile([0.0, 0.0, 1.0], (len(origins), 1)))
        distances.append(_distance(place - corner, hit.reshape(WINDOW * FINER, -1), 1 / FINER))
    return distances


@both
def test_landmarks_and_points_are_the_projections_of_the_figures_own(base: str) -> None:
    anatomy = anatomy_named(base)
    samples, figures = _rendered(base)
    assert samples.points is not None
    for i, figure in enumerate(figures):
        for labels, own in ((samples.landmarks[i], figure.landmarks), (samples.points[i], figure.points)):
            wanted, pixel_mm = _project(own, figure, anatomy)
            assert np.abs(labels - wanted)[:, :2].max() < 0.05, f"sample {i}: px"
            assert np.abs(labels - wanted)[:, 2].max() < 0.05, f"sample {i}: depth in mm"
            assert samples.pixel_mm[i] == pytest.approx([pixel_mm, pixel_mm], rel=1e-5)


@both
def test_landmarks_lie_in_the_silhouette_or_within_a_pixel_of_it(base: str) -> None:
    """Those inside the body lie in the silhouette; those on the skin are vertices of it, and within a pixel.

    A body's finger is a pixel and a half wide: where its end is thinner than that, no pixel's ray may meet it. That is
    the patch's resolution and no error of the label: seen more finely, the silhouette ends at the landmark.
    """
    anatomy, triangles = anatomy_named(base), template_of(RECIPES[base]).triangles
    samples, figures = _rendered(base)
    masks = unpack_silhouettes(samples.packed, anatomy.size)
    on_skin = np.array([mark.kind == "extremum" for mark in anatomy.landmarks])
    for i, figure in enumerate(figures):
        places = samples.landmarks[i, :, :2]
        apart = np.array([_distance(place, masks[i]) for place in places])
        assert apart[~on_skin].max(initial=0) == 0, f"sample {i}"
        assert all((figure.vertices == mark).all(1).any() for mark in figure.landmarks[on_skin])
        if i < LOOKED_AT or apart.max() > 1:
            assert max(_finely(figure, triangles, anatomy, places[on_skin])) <= 1 / FINER, f"sample {i}: {apart} px"


@both
def test_visible_landmarks_lie_at_the_depth_that_was_rendered_there(base: str) -> None:
    anatomy = anatomy_named(base)
    samples, _ = _rendered(base)
    masks = unpack_silhouettes(samples.packed, anatomy.size)
    assert samples.depth_mm is not None
    rows, cols = np.indices(anatomy.size) + 0.5
    for i in range(COUNT):
        for k, (x, y, z) in enumerate(samples.landmarks[i]):
            if anatomy.landmarks[k].kind == "extremum" and samples.visible[i, k] == OUTLINE:
                near = (np.hypot(rows - y, cols - x) <= 2.0) & masks[i]
                assert np.abs(samples.depth_mm[i][near] - z).min() < anatomy.landmarks[k].cover_mm
