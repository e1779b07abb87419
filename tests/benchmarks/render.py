"""Speed of rendering on one core, where the time goes, and how far that is from the limits; prints JSON.

  python -m tests.benchmarks.render hand|body [--count 1024] [--repeats 5] [--core 0] [--memory 50000]

One process, with its Blender child, is pinned to one core. Every figure is a median over the repeats, every ratio of
two parts of the same run. Seen: end to end (sampling to Parquet) and its stages; engines alone, pipe included; bare
Embree casting the same whole meshes; Cycles with one whole figure per render call, as Blender is set (plain) and with
the settings of the engine "cycles" (tuned). --memory N: what the Blender child holds after a tenth of N images and
after N.
"""

import argparse
import json
import os
import shutil
import statistics
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
from synth.figure import GROUP, RenderRecipe, draw_several, template_of
from synth.supervisor import Blender
from synth.worker import ShardJob, ShardWorker
from tests.benchmarks.engines import embree_rate, engine_rate, plain_rate
from tests.benchmarks.surroundings import surroundings

SEED = 20

# stage: the functions it is spent in, as (owner, name); `pose` holds `shape`, which is subtracted
STAGES: dict[str, tuple[Any, str]] = {
    "shape": (synth.figure, "sample_people"),
    "pose": (synth.figure, "sample_figures"),
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
    """Images per second of each engine alone, of bare Embree, and of loops with one figure per render call."""
    size, triangles = anatomy_named(recipe.anatomy).size, template_of(recipe).triangles
    return {
        "raycast": engine_rate("raycast", vertices, triangles, size),
        "cycles": engine_rate("cycles", vertices, triangles, size),
        "tuned_cycles_loop": engine_rate("cycles", vertices[:plain], triangles, size, group=1),
        "plain_cycles_loop": plain_rate(vertices[:plain], triangles, size),
        "embree": embree_rate(vertices, triangles, size),
    }


def measure(recipe: RenderRecipe, vertices: NDArray[np.float32], count: int, plain: int) -> dict[str, Any]:
    """One run of everything but memory, and the ratios within it."""
    found = end_to_end(recipe, count)
    alone = rates(recipe, vertices, plain)
    whole, engine = found["images_per_s"], alone[recipe.engine]
    ratios = {
        "end to end over plain Cycles loop": whole / alone["plain_cycles_loop"],
        "end to end over tuned Cycles loop": whole / alone["tuned_cycles_loop"],
        "engine over plain Cycles loop": engine / alone["plain_cycles_loop"],
        "engine over bare Embree": engine / alone["embree"],
        "end to end over bare Embree": whole / alone["embree"],
    }
    return {"end_to_end": found, "alone_images_per_s": alone, "ratios": ratios}


def medians(runs: list[Any]) -> Any:
    """The median of each figure over runs of the same (nested) names."""
    if isinstance(runs[0], dict):
        return {name: medians([run[name] for run in runs]) for name in runs[0]}
    return statistics.median(runs)


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
    options.add_argument("--plain", type=int, default=64, help="images of the loops with one figure a call")
    options.add_argument("--repeats", type=int, default=5, help="runs, of which the medians are printed")
    options.add_argument("--memory", type=int, help="images of the memory run; default: none")
    arguments = options.parse_args()
    if arguments.memory is not None and arguments.memory < 10 * GROUP:
        options.error(f"--memory {arguments.memory} is too few; give {10 * GROUP} or more")
    os.sched_setaffinity(0, {arguments.core})
    recipe = resolve(arguments.anatomy, []).render
    assert recipe is not None
    with threadpool_limits(1):
        template = template_of(recipe)
        vertices = np.stack([framed.vertices for framed in draw_several(recipe, template, SEED, range(256))])
        runs = [measure(recipe, vertices, arguments.count, arguments.plain) for _ in range(arguments.repeats)]
        report = {"anatomy": arguments.anatomy, "triangles": len(template.triangles), "repeats": len(runs)}
        report |= medians(runs)
        report["images_per_s_of_each_run"] = [run["end_to_end"]["images_per_s"] for run in runs]
        if arguments.memory:
            report["memory"] = memory(recipe, vertices, arguments.memory)
    print(json.dumps(report | surroundings(), indent=2, default=float))


if __name__ == "__main__":
    main()
