"""Rendering: Blender against an independent ray cast, labels against pixels, and equal bits whatever happens."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from trimesh import Trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from synth.domain.anatomy import BODY, HAND, Anatomy, anatomy_named
from synth.domain.schema import unpack_silhouettes
from synth.domain.shards import VERSIONS, read_shard_entry
from synth.figure import BodyRange, Framed, HandRange, RenderRecipe, draw, template_of
from synth.seen import Seen
from synth.supervisor import Blender, BlenderFailed
from synth.versions import rendering_versions
from synth.worker import ShardJob, ShardWorker, masked, plan_shards

HANDS = RenderRecipe(anatomy="hand", hand=HandRange(), shard_rows=32)
BODIES = RenderRecipe(anatomy="body", body=BodyRange(), shard_rows=16)


def _cast(framed: Framed, triangles: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Depth (H, W) by Embree of the whole mesh: a ray along z through every pixel's centre; 0 where it hits nothing."""
    rows, cols = np.indices(anatomy.size)
    origins = np.column_stack([cols.ravel() + 0.5, rows.ravel() + 0.5, np.zeros(rows.size)])
    mesh = Trimesh(framed.vertices, triangles, process=False)
    hits, rays, _ = RayMeshIntersector(mesh).intersects_location(
        origins, np.tile([0.0, 0.0, 1.0], (len(origins), 1)), multiple_hits=False
    )
    depth = np.zeros(rows.size)
    depth[rays] = hits[:, 2]
    return depth.reshape(anatomy.size)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HANDS, BODIES], ids=["hand", "body"])
def test_200_silhouettes_and_depths_equal_an_independent_ray_cast(recipe: RenderRecipe, tmp_path: Path) -> None:
    anatomy, template = anatomy_named(recipe.anatomy), template_of(recipe)
    samples = ShardWorker(recipe, 11, str(tmp_path)).samples(ShardJob(index=0, first_id=0, rows=200))
    masks = unpack_silhouettes(samples.packed, anatomy.size)
    assert samples.depth_mm is not None
    overlap, apart = [], []
    for i in range(200):
        cast = _cast(draw(recipe, template, 11, i), template.triangles, anatomy)
        both = masks[i] & (cast > 0)
        overlap.append(both.sum() / (masks[i] | (cast > 0)).sum())
        apart.append(np.abs(samples.depth_mm[i] - cast)[both])
    assert min(overlap) >= 0.999
    assert (np.concatenate(apart) < 0.1).mean() >= 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HANDS, BODIES], ids=["hand", "body"])
def test_triangles_left_out_of_figures_change_nothing(recipe: RenderRecipe) -> None:
    """Figures are not quite closed, and skin folds at bent joints: what faces away still never comes first.

    A ray along an edge may meet either of its triangles, at depths that differ in their last bits.
    """
    anatomy, template = anatomy_named(recipe.anatomy), template_of(recipe)
    seen = Seen(template.triangles)
    for i in range(32):
        framed = draw(recipe, template, 16, i)
        some = template.triangles[seen.by_pixels(framed.vertices)]
        whole, seen_alone = (_cast(framed, triangles, anatomy) for triangles in (template.triangles, some))
        assert np.array_equal(whole > 0, seen_alone > 0) and np.abs(whole - seen_alone).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HANDS, BODIES], ids=["hand", "body"])
def test_both_engines_make_the_same_pictures(recipe: RenderRecipe, tmp_path: Path) -> None:
    job = ShardJob(index=0, first_id=0, rows=16)
    by_cycles, by_rays = (
        ShardWorker(replace(recipe, engine=engine), 11, str(tmp_path)).samples(job) for engine in ("cycles", "raycast")
    )
    masks = [unpack_silhouettes(samples.packed, anatomy_named(recipe.anatomy).size) for samples in (by_cycles, by_rays)]
    assert (masks[0] != masks[1]).sum() <= 16, "at most a pixel a figure, on an edge that passes through its centre"
    assert by_cycles.depth_mm is not None and by_rays.depth_mm is not None
    assert np.abs(by_cycles.depth_mm - by_rays.depth_mm)[masks[0] & masks[1]].max() < 0.05


@pytest.mark.slow
@pytest.mark.alone
def test_a_killed_blender_changes_nothing(tmp_path: Path) -> None:
    job = ShardJob(index=0, first_id=0, rows=512)
    calm = ShardWorker(HANDS, 13, str(tmp_path / "calm")).make(job)
    worker = ShardWorker(HANDS, 13, str(tmp_path / "killed"))
    killed = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            process = worker._blender._process
            if (
                process is not None
                and process.pid
                and Path(f"/proc/{process.pid}/comm").read_text() == "synth-blender\n"
            ):
                time.sleep(0.3)  # in the middle of its work
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    shard = worker.make(job)
    killer.join()
    assert killed and worker._blender._process is not None
    assert worker._blender._process.pid != killed[0], "a fresh Blender finished the shard"
    assert shard.content_hash == calm.content_hash


@pytest.mark.slow
def test_a_sample_does_not_depend_on_the_shard_it_is_in(tmp_path: Path) -> None:
    worker = ShardWorker(HANDS, 14, str(tmp_path))
    long = worker.samples(ShardJob(index=0, first_id=16, rows=32))
    short = worker.samples(ShardJob(index=0, first_id=32, rows=5))
    assert np.array_equal(long.packed[16:21], short.packed)
    assert long.depth_mm is not None and short.depth_mm is not None
    assert np.array_equal(long.depth_mm[16:21], short.depth_mm)
    assert np.array_equal(long.landmarks[16:21], short.landmarks)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HANDS, BODIES], ids=["hand", "body"])
def test_thickness_lies_beside_the_same_pictures(recipe: RenderRecipe, tmp_path: Path) -> None:
    job = ShardJob(index=0, first_id=0, rows=16)
    plain = ShardWorker(recipe, 14, str(tmp_path)).samples(job)
    thick = ShardWorker(replace(recipe, thickness=True), 14, str(tmp_path)).samples(job)
    assert plain.thickness_mm is None and thick.thickness_mm is not None and plain.depth_mm is not None
    assert thick.depth_mm is not None and np.array_equal(plain.depth_mm, thick.depth_mm)
    seen = plain.depth_mm > 0
    assert (thick.thickness_mm[~seen] == 0).all() and (thick.thickness_mm[seen] > 0).mean() > 0.999
    hidden = masked(thick, [3])
    assert hidden.thickness_mm is not None and (hidden.thickness_mm[3] == 0).all() and hidden.thickness_mm[2].any()


@pytest.mark.slow
def test_a_mesh_blender_cannot_take_is_reported_after_three_tries(tmp_path: Path) -> None:
    template = template_of(HANDS)
    blender = Blender("cycles", HAND.size, len(template.vertices), template.triangles)
    with pytest.raises(BlenderFailed, match="ended with code"):
        blender.render(np.zeros((1, 5, 3), np.float32))
    blender.close()
    worker = ShardWorker(HANDS, 15, str(tmp_path))
    worker._blender = Blender("cycles", HAND.size, 5, template.triangles[:0])
    answer = worker({"index": 0, "first_id": 0, "rows": 16})
    assert answer["rows"] == 0 and "samples 0 to 15" in answer["error"] and answer["error"].endswith(", 3 times")
    assert read_shard_entry(str(tmp_path), 0) is None, "nothing is written for a failed shard"


@pytest.mark.slow
def test_shards_say_what_rendered_them_and_another_version_does_not_render_them_again(tmp_path: Path) -> None:
    worker, job = ShardWorker(HANDS, 17, str(tmp_path)), ShardJob(index=0, first_id=0, rows=5)
    shard = worker.make(job)
    found = read_shard_entry(str(tmp_path), 0)
    assert found is not None
    told = json.loads(found[1][VERSIONS])
    assert told["bpy"] == version("bpy") and set(told) == {"synthmark", "bpy", "numpy", "template"}
    template = template_of(HANDS)
    assert told["template"] == rendering_versions(template)["template"]
    moved = replace(template, vertices=template.vertices + np.float32(1e-6))
    assert told["template"] != rendering_versions(moved)["template"]
    worker._versions = "{}"
    written = (tmp_path / shard.name).stat().st_mtime_ns
    assert worker.make(job) == shard and (tmp_path / shard.name).stat().st_mtime_ns == written
    worker.close()


def test_the_plan_covers_every_id_once() -> None:
    jobs = plan_shards(1000, 512)
    assert [(job.index, job.first_id, job.rows) for job in jobs] == [(0, 0, 512), (1, 512, 488)]
    assert BODY.num_landmarks == 9 and HAND.num_landmarks == 5
