"""What a shard costs beside its rendering, for tests/benchmarks/simulate.py; prints JSON.

  python -m tests.benchmarks.overheads [--shards 24] [--rows 2000]

Requests to an object store (moto's, on this machine, logs them) that one shard takes: of a worker that makes it, of the
driver that asks what is missing and that collects the manifest; those that write, and the rest. Milliseconds that Ray
Data's driver spends on a shard that takes no time. Seconds from a process's begin to its worker's first answer.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.cli import resolve
from synth.corpus import collect, missing_jobs
from synth.domain.storage import filesystem
from synth.worker import ShardWorker, plan_shards
from tests.benchmarks.surroundings import surroundings
from tests.commands import ROOT
from tests.faults.processes import answers, free_port, wait_for

WRITING = ("PUT", "POST", "DELETE")
SEED = 1


@contextmanager
def store() -> Iterator[tuple[str, Path]]:
    """(URI under an empty bucket, log of its requests) of a store that lives as long as this."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        os.environ[f"AWS_{name}"] = value
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests"
        command = [sys.executable, "-m", "tests.faults.store", "-H", "127.0.0.1", "-p", str(port)]
        with log.open("wb") as stream:
            running = subprocess.Popen(command, stderr=stream, stdout=stream, cwd=ROOT)
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
    recipe = resolve("hand_smoke", ["render.shard_rows=16"]).render
    jobs = plan_shards(16 * shards, recipe.shard_rows)
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


class Nothing:
    """A worker that does nothing."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, with the columns of a shard's answer."""
        return {"index": row["index"], "rows": row["rows"], "error": None}


def driver_ms(rows: int) -> float:
    """Milliseconds a shard that takes no time takes by Ray Data, as render.py uses it: two workers, two cores."""
    import ray

    from pipelines.cli import start_ray

    start_ray(2)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def seconds(count: int) -> float:
        begun = time.perf_counter()
        jobs = [{"index": i, "first_id": 512 * i, "rows": 512} for i in range(count)]
        made = ray.data.from_items(jobs, override_num_blocks=count).map(
            Nothing, compute=ray.data.ActorPoolStrategy(size=2), num_cpus=1
        )
        assert sum(row["rows"] for row in made.iter_rows()) == 512 * count
        return time.perf_counter() - begun

    seconds(8)
    return 1000 * (seconds(rows) - seconds(8)) / (rows - 8)


def worker_start_s() -> float:
    """Seconds until a fresh process has answered its first group of 16 figures."""
    code = (
        "from pipelines.cli import resolve; from synth.worker import ShardWorker, plan_shards\n"
        "if __name__ == '__main__':\n"
        "    worker = ShardWorker(resolve('hand', []).render, 1, '/nowhere')\n"
        "    worker.samples(plan_shards(16, 16)[0]); worker.close()\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "first.py"
        script.write_text(code)
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, str(script)], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        return time.perf_counter() - begun


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    report = {
        "requests": requests_of(options.shards),
        "worker_start_s": worker_start_s(),
        "driver_ms": driver_ms(options.rows),
        "surroundings": surroundings(),
    }
    print(json.dumps(report, indent=1))
