"""`render.py` on a Ray whose workers have a fault: python -m tests.faults.trapped FAULT RECIPE --count …"""

import os
import signal
import sys
from typing import Any

import synth.supervisor
from synth.worker import ShardJob, ShardWorker
from tests.faults import blenders

FATAL_SHARD = 1


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


if __name__ == "__main__":
    import ray

    from pipelines.cli import run
    from pipelines.render import main

    hook = f"tests.faults.trapped.{sys.argv.pop(1)}"
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        runtime_env={"worker_process_setup_hook": hook},
    )  # fmt: skip
    run(main)
