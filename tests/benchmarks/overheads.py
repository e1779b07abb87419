"""What a shard costs beside its rendering, for tests/benchmarks/simulate.py; prints JSON.

  python -m tests.benchmarks.overheads [--shards 8] [--entries 256] [--rows 2000]

Requests to an object store (moto's, on this machine, logs them) that one shard takes: of a worker that makes it, of the
driver that asks what is missing and that collects the manifest; those that write, and the rest. Seconds of a core (they
depend little on what else runs) of Ray Data's driver for a shard and of a worker from its begin to its first answer.
Seconds until the entries of --entries shards are read from a store that lets each answer wait for 30 ms: one after
another, and as corpus.py does it.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import synth.corpus
from pipelines.cli import resolve
from synth.corpus import collect, missing_jobs
from synth.domain.shards import shard_name
from synth.domain.storage import filesystem, write_bytes
from synth.worker import ShardWorker, plan_shards
from tests.benchmarks.surroundings import surroundings
from tests.commands import ROOT
from tests.faults.processes import answers, free_port, wait_for

WRITING = ("PUT", "POST", "DELETE")
SEED = 1
LATENCY_S = 0.03


@contextmanager
def store(delay_s: float = 0.0) -> Iterator[tuple[str, Path]]:
    """(URI under an empty bucket, log of its requests) of a store that lives as long as this."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        os.environ[f"AWS_{name}"] = value
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests"
        command = [sys.executable, "-m", "tests.faults.store", "-H", "127.0.0.1", "-p", str(port)]
        with log.open("wb") as stream:
            environment = {**os.environ, "SYNTHMARK_TEST_DELAY_S": str(delay_s)}
            running = subprocess.Popen(command, stderr=stream, stdout=stream, cwd=ROOT, env=environment)
        try:
            wait_for(lambda: answers(port), 30, "the store starts")
            uri = f"s3://bench/hands?scheme=http&endpoint_override=127.0.0.1:{port}&allow_bucket_creation=true"
            filesystem(uri)[0].create_dir("bench")
            yield uri, log
        finally:
            running.kill()
            running.wait()


def requests_of(shards: int) -> dict[str, Any]:
    """Requests a shard: of the worker, of what is missing (nothing there; all there) and of the manifest."""
    recipe = resolve("hand", []).render
    jobs = plan_shards(recipe.shard_rows * shards, recipe.shard_rows)
    with store() as (uri, log):
        worker = ShardWorker(recipe, SEED, uri, "run")

        def counted(work: Callable[[], Any]) -> dict[str, float]:
            before = len(log.read_text())
            work()
            verbs = Counter(re.findall(r'"(GET|HEAD|PUT|POST|DELETE) ', log.read_text()[before:]))
            writing = sum(verbs[verb] for verb in WRITING)
            return {"writing": writing / shards, "reading": (verbs.total() - writing) / shards}

        try:
            return {
                "missing_none_there": counted(lambda: missing_jobs(recipe, SEED, jobs, uri)),
                "worker": counted(lambda: [worker.make(job) for job in jobs]),
                "missing_all_there": counted(lambda: missing_jobs(recipe, SEED, jobs, uri)),
                "manifest": counted(lambda: collect(recipe, SEED, jobs, uri, tolerance=0)),
            }
        finally:
            worker.close()


def reading_s(entries: int) -> dict[str, float]:
    """Seconds until the driver knows `entries` shards, by how many it asks about at a time."""
    recipe = resolve("hand_smoke", ["render.shard_rows=16"]).render
    jobs = plan_shards(16 * entries, recipe.shard_rows)
    took_s = {}
    with tempfile.TemporaryDirectory() as folder, store(LATENCY_S) as (uri, _):
        worker = ShardWorker(recipe, SEED, folder)
        worker.make(jobs[0])
        worker.close()
        shard = (Path(folder) / shard_name(0)).read_bytes()
        with ThreadPoolExecutor(synth.corpus.READERS) as pool:
            list(pool.map(lambda job: write_bytes(uri, shard_name(job.index), shard), jobs))
        for readers in (1, synth.corpus.READERS):
            synth.corpus.READERS = readers
            begun = time.perf_counter()
            assert all(synth.corpus._entries(uri, jobs).values())
            took_s[str(readers)] = time.perf_counter() - begun
    return took_s


class Nothing:
    """A worker that does nothing."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, with the columns of a shard's answer."""
        return {"index": row["index"], "rows": row["rows"], "error": None}


def driver_ms(rows: int) -> float:
    """Milliseconds of a core, of the driver alone, for a shard that takes no time, as render.py has Ray Data do it."""
    import ray

    from pipelines.cli import start_ray

    start_ray(2)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def seconds(count: int) -> float:
        begun = time.process_time()
        jobs = [{"index": i, "first_id": 512 * i, "rows": 512} for i in range(count)]
        made = ray.data.from_items(jobs, override_num_blocks=count).map(
            Nothing, compute=ray.data.ActorPoolStrategy(size=2), num_cpus=1
        )
        assert sum(row["rows"] for row in made.iter_rows()) == 512 * count
        return time.process_time() - begun

    seconds(8)
    return 1000 * (seconds(rows) - seconds(8)) / (rows - 8)


def worker_start_s() -> float:
    """Seconds of a core until a fresh process has the answer to its first group of 16 figures."""
    code = (
        "from pipelines.cli import resolve; from synth.worker import ShardWorker, plan_shards\n"
        "if __name__ == '__main__':\n"
        "    worker = ShardWorker(resolve('hand', []).render, 1, '/nowhere')\n"
        "    worker.samples(plan_shards(16, 16)[0]); worker.close()\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "first.py"
        script.write_text(code)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, str(script)], check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=256)
    options = parser.parse_args()
    report = {
        "requests": requests_of(options.shards),
        "worker_start_s": worker_start_s(),
        "reading_s": reading_s(options.entries),
        "driver_ms": driver_ms(options.rows),
        "surroundings": surroundings(),
    }
    print(json.dumps(report, indent=1))
