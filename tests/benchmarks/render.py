"""Speed of rendering on one core, where the time goes, and how far that is from the limits; prints JSON.

  python -m tests.benchmarks.render hand|body [--count 1024] [--core 0] [--plain 64] [--memory 50000]

One process, with its Blender child, is pinned to one core. Every figure is an average over the images of this run, and
ratios compare parts of it. Seen: end to end (sampling to Parquet) and its stages; engines alone, pipe included; bare
Embree casting the same whole meshes; a plain Cycles loop, one whole figure per render call. --memory N: what the
Blender child holds after a tenth of N images and after N.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import synth.figure
import synth.worker
from pipelines.cli import resolve
from synth.domain.anatomy import anatomy_named
from synth.figure import GROUP, RenderRecipe, draw, template_of
from synth.worker import Blender, ShardJob, ShardWorker
from tests.benchmarks.surroundings import surroundings

SEED = 20

# stage: the functions it is spent in, as (owner, name); `pose` holds `shape`, which is subtracted
STAGES: dict[str, tuple[Any, str]] = {
    "shape": (synth.figure, "sample_person"),
    "pose": (synth.figure, "sample_figure"),
    "frame": (synth.figure, "frame_figure"),
    "blender": (Blender, "isolate"),
    "label": (ShardWorker, "_label"),
    "write": (synth.worker, "write_shard"),
}


@contextmanager
def stages_timed() -> Iterator[dict[str, float]]:
    """Seconds spent in each stage while the context is open."""
    spent: dict[str, float] = defaultdict(float)
    kept = {stage: getattr(owner, name) for stage, (owner, name) in STAGES.items()}

    def timed(stage: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return kept[stage](*args, **kwargs)
            finally:
                spent[stage] += time.perf_counter() - start

        return call

    for stage, (owner, name) in STAGES.items():
        setattr(owner, name, timed(stage))
    try:
        yield spent
    finally:
        for stage, (owner, name) in STAGES.items():
            setattr(owner, name, kept[stage])
    spent["pose"] -= spent["shape"]


def end_to_end(recipe: RenderRecipe, count: int) -> dict[str, Any]:
    """Images per second from nothing to shards on disk, milliseconds per image of its stages, bytes per image."""
    folder = Path(tempfile.mkdtemp(prefix="synthmark-benchmark-"))
    try:
        worker = ShardWorker(recipe, SEED, str(folder))
        worker.make(ShardJob(index=count, first_id=0, rows=GROUP))  # Blender starts, modules are loaded
        for path in folder.rglob("*.parquet"):
            path.unlink()
        with stages_timed() as spent:
            start = time.perf_counter()
            for index, first in enumerate(range(0, count, recipe.shard_rows)):
                worker.make(ShardJob(index=index, first_id=first, rows=min(recipe.shard_rows, count - first)))
            seconds = time.perf_counter() - start
        worker.close()
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    finally:
        shutil.rmtree(folder)
    stages = {stage: 1e3 * spent[stage] / count for stage in STAGES}
    stages["other"] = 1e3 * seconds / count - sum(stages.values())
    return {"images_per_s": count / seconds, "ms_per_image": stages, "bytes_per_image": size / count}


def rates(recipe: RenderRecipe, vertices: NDArray[np.float32], plain: int) -> dict[str, float]:
    """Images per second of each engine alone, pipe included, of bare Embree, and of the plain Cycles loop."""
    size, triangles = anatomy_named(recipe.anatomy).size, template_of(recipe).triangles
    groups = [vertices[start : start + GROUP] for start in range(0, len(vertices), GROUP)]
    found = {}
    for name, engine, group, parts in (
        ("raycast", "raycast", GROUP, groups),
        ("cycles", "cycles", GROUP, groups),
        ("plain_cycles_loop", "cycles", 1, list(vertices[:plain, None])),
    ):
        blender = Blender(engine, size, vertices.shape[1], triangles, group)
        blender.render(parts[0])
        start = time.perf_counter()
        for part in parts:
            blender.render(part)
        found[name] = sum(map(len, parts)) / (time.perf_counter() - start)
        blender.close()
    return found | {"embree": embree_rate(vertices, triangles, size)}


def embree_rate(vertices: NDArray[np.float32], triangles: NDArray[np.int32], size: tuple[int, int]) -> float:
    """Images per second of bare Embree: a scene per figure, one ray per pixel centre, distances alone."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    rows, cols = np.indices(size, np.float32) + np.float32(0.5)
    origins = np.stack([cols, rows, np.full_like(rows, -1)], -1).reshape(-1, 3)
    along = np.tile(np.float32([0, 0, 1]), (len(origins), 1))
    start = time.perf_counter()
    for figure in vertices:
        scene = EmbreeScene()
        TriangleMesh(scene, figure[triangles])
        scene.run(origins, along, query="DISTANCE")
    return len(vertices) / (time.perf_counter() - start)


def memory(recipe: RenderRecipe, vertices: NDArray[np.float32], images: int) -> dict[str, float]:
    """Resident MiB of a Blender child after a tenth of `images` and after all of them, and the growth between."""
    template = template_of(recipe)
    blender = Blender(recipe.engine, anatomy_named(recipe.anatomy).size, vertices.shape[1], template.triangles)
    groups = [vertices[start : start + GROUP] for start in range(0, len(vertices), GROUP)]
    held = {}
    for call in range(1, images // GROUP + 1):
        blender.render(groups[call % len(groups)])
        if call in (images // GROUP // 10, images // GROUP):
            held[call * GROUP] = resident_mib(blender.pid)
    blender.close()
    early, late = held.values()
    return {f"mib_after_{images}": mib for images, mib in held.items()} | {"growth": late / early - 1}


def resident_mib(pid: int) -> float:
    """Resident set size of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("anatomy", choices=["hand", "body"])
    options.add_argument("--count", type=int, default=1024, help="images of the end-to-end run")
    options.add_argument("--core", type=int, default=0)
    options.add_argument("--plain", type=int, default=64, help="images of the plain loop")
    options.add_argument("--memory", type=int, help="images of the memory run; default: none")
    arguments = options.parse_args()
    if arguments.memory is not None and arguments.memory < 10 * GROUP:
        options.error(f"--memory {arguments.memory} is too few; give {10 * GROUP} or more")
    os.sched_setaffinity(0, {arguments.core})
    recipe = resolve(arguments.anatomy, []).render
    assert recipe is not None
    with threadpool_limits(1):
        template = template_of(recipe)
        vertices = np.stack([draw(recipe, template, SEED, i).vertices for i in range(256)])
        found = end_to_end(recipe, arguments.count)
        alone = rates(recipe, vertices, arguments.plain)
        report: dict[str, Any] = {
            "anatomy": arguments.anatomy,
            "triangles": len(template.triangles),
            "end_to_end": found,
            "alone_images_per_s": alone,
            "ratios": {
                "end_to_end over plain Cycles loop": found["images_per_s"] / alone["plain_cycles_loop"],
                "engine over plain Cycles loop": alone[recipe.engine] / alone["plain_cycles_loop"],
                "engine over bare Embree": alone[recipe.engine] / alone["embree"],
                "end_to_end over bare Embree": found["images_per_s"] / alone["embree"],
            },
        }
        if arguments.memory:
            report["memory"] = memory(recipe, vertices, arguments.memory)
    print(json.dumps(report | surroundings(), indent=2, default=float))


if __name__ == "__main__":
    main()
