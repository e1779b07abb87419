"""Left-out triangles: whatever the mesh, what is seen of it from the pixels' centres stays the same."""

import numpy as np
import pytest
from trimesh import Trimesh
from trimesh.creation import icosphere
from trimesh.ray.ray_pyembree import RayMeshIntersector

from synth.seen import Seen

SIZE = 40


def _seen_from_front(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Depth (SIZE, SIZE) by Embree, 0 where nothing is hit."""
    rows, cols = np.indices((SIZE, SIZE)) + 0.5
    origins = np.column_stack([cols.ravel(), rows.ravel(), np.full(rows.size, -100.0)])
    caster = RayMeshIntersector(Trimesh(vertices, triangles, process=False))
    hits, rays, _ = caster.intersects_location(origins, np.tile([0.0, 0, 1], (len(origins), 1)), multiple_hits=False)
    depth = np.zeros(rows.size)
    depth[rays] = hits[:, 2]
    return depth


def _dented_ball(finer: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed, bumpy surface somewhere in the picture, its triangles counter-clockwise seen from outside."""
    rng = np.random.default_rng(seed)
    ball = icosphere(subdivisions=finer)
    radius = 1 + 0.3 * np.sin(ball.vertices @ rng.normal(0, 4, (3, 4))).sum(1)[:, None] / 4
    vertices = ball.vertices * radius * rng.uniform(4, 14) + [*rng.uniform(15, 25, 2), 30]
    return vertices.astype(np.float32), ball.faces.astype(np.int32)


@pytest.mark.parametrize("finer", [1, 3, 5])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_triangles_left_out_change_nothing(finer: int, seed: int) -> None:
    vertices, triangles = _dented_ball(finer, seed)
    chosen = Seen(triangles).by_pixels(vertices)
    assert 0 < len(chosen) < 0.6 * len(triangles)
    everything, seen = (_seen_from_front(vertices, faces) for faces in (triangles, triangles[chosen]))
    assert (everything > 0).any() and np.array_equal(everything, seen)


def test_what_no_pixel_sees_is_left_out() -> None:
    vertices, triangles = _dented_ball(3, 4)
    seen = Seen(triangles)
    assert len(seen.by_pixels(vertices * np.float32(0.001))) == 0, "smaller than a pixel and off its centre"
    assert len(seen.by_pixels(np.full_like(vertices, 1e4))) == 0, "a quarantined figure: a single point"
    assert len(Seen(triangles[:, ::-1].copy()).by_pixels(vertices)) > 0, "inside out: the far wall is what faces us"
