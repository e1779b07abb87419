"""What a second worker adds, with Ray and without; prints JSON.

  python -m tests.benchmarks.workers hand|body [--count 8192] [--repeats 3]

By render.py with one and with two workers: seconds of a run of three times --count images less those of a run of
--count, so that starting up is not counted. The limit: as many plain processes, each pinned to a core, that make
shards in a loop without Ray, all at once. Medians over the repeats; needs two idle cores.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from pipelines.cli import resolve
from synth.figure import GROUP
from synth.worker import ShardJob, ShardWorker, plan_shards
from tests.benchmarks.surroundings import ROOT, surroundings

SEED = 22


def by_render(anatomy: str, workers: int, count: int) -> float:
    """Images per second of render.py, start-up not counted."""
    short, long = (_seconds(anatomy, workers, images) for images in (count, 3 * count))
    return 2 * count / (long - short)


def _seconds(anatomy: str, workers: int, count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as folder:
        command = [sys.executable, str(ROOT / "pipelines" / "render.py"), anatomy, "--seed", str(SEED)]
        command += ["--count", str(count), "--workers", str(workers), "--out", f"{folder}/data"]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


def by_loops(anatomy: str, processes: int, count: int) -> float:
    """Images per second of plain loops at the same time, together; `count` images in all."""
    context = multiprocessing.get_context("spawn")
    together, spent = context.Barrier(processes), context.SimpleQueue()
    loops = [
        context.Process(target=_loop, args=(anatomy, core, count // processes, together, spent))
        for core in range(processes)
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    return count / max(spent.get() for _ in loops)


def _loop(anatomy: str, core: int, count: int, together: Any, spent: Any) -> None:
    os.sched_setaffinity(0, {core})
    recipe = resolve(anatomy, []).render
    assert recipe is not None
    with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as folder:
        worker = ShardWorker(recipe, SEED + core, folder)
        worker(vars(ShardJob(index=count, first_id=0, rows=GROUP)))  # Blender starts, modules are loaded
        together.wait()
        start = time.perf_counter()
        for job in plan_shards(count, recipe.shard_rows):
            worker(vars(job))
        spent.put(time.perf_counter() - start)
        worker.close()


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("anatomy", choices=["hand", "body"])
    options.add_argument("--count", type=int, default=8192, help="images of the shorter run and of the loops")
    options.add_argument("--repeats", type=int, default=3)
    arguments = options.parse_args()
    found: dict[str, list[float]] = {}
    for _ in range(arguments.repeats):
        for name, measure in (("render.py", by_render), ("loops", by_loops)):
            for workers in (1, 2):
                found.setdefault(f"{name} {workers}", []).append(measure(arguments.anatomy, workers, arguments.count))
    rates = {name: statistics.median(values) for name, values in found.items()}
    pairs = {name: zip(found[f"{name} 2"], found[f"{name} 1"], strict=True) for name in ("render.py", "loops")}
    ratios = {f"{name}, two over one": statistics.median(two / one for two, one in pairs[name]) for name in pairs}
    report = {"anatomy": arguments.anatomy, "images_per_s": rates, "ratios": ratios, "runs": found}
    print(json.dumps(report | surroundings(), indent=2))


if __name__ == "__main__":
    main()
