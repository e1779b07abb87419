"""`render.py` on RAY_ADDRESS, or a Ray of its own, with faulty workers: python -m tests.faults.trapped FAULT …"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import synth.supervisor
from synth.worker import ShardJob, ShardWorker
from tests.faults import blenders

FATAL_SHARD = 1
SLOW_S = 1.0


def crash() -> None:
    """Blender segfaults on the trapped sample, whenever it comes (blenders.py)."""
    synth.supervisor.serve = blenders.crash_always


def die() -> None:
    """The worker itself is killed whenever it begins FATAL_SHARD."""
    render = ShardWorker.render

    def fatal(worker: ShardWorker, job: ShardJob) -> Any:
        if job.index == FATAL_SHARD:
            os.kill(os.getpid(), signal.SIGKILL)
        return render(worker, job)

    ShardWorker.render = fatal  # type: ignore[method-assign]


def slow() -> None:
    """Every shard takes SLOW_S more, so that things can happen meanwhile, until `hurry` lies in blenders.FOLDER."""
    render = ShardWorker.render

    def patient(worker: ShardWorker, job: ShardJob) -> Any:
        if not (Path(os.environ[blenders.FOLDER]) / "hurry").exists():
            time.sleep(SLOW_S)
        return render(worker, job)

    ShardWorker.render = patient  # type: ignore[method-assign]


if __name__ == "__main__":
    import ray

    from pipelines.cli import run
    from pipelines.render import main

    hook = f"tests.faults.trapped.{sys.argv.pop(1)}"
    cluster = os.environ.get("RAY_ADDRESS")
    ray.init(
        cluster or "local", num_cpus=None if cluster else 2, include_dashboard=None if cluster else False,
        log_to_driver=False, logging_level="ERROR", runtime_env={"worker_process_setup_hook": hook},
    )  # fmt: skip
    run(main)
