"""Ray Train glue: the same pre-training on any number of workers, with progress on the driver."""

import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, cast

import ray
import torch
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.train.v2.api.exceptions import TrainingFailedError
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from synth.domain.storage import has_files
from training.job import PretrainJob
from training.models import LandmarkNet
from training.outcome import finish
from training.pretraining import OnEntry, train
from training.split import read_split
from training.stream import stream_split

OnProgress = Callable[[int, int], None]
RESTARTS = 2  # of the group of workers, from the last checkpoint, when one is lost


class _Board:
    """A small actor between the workers and the driver: images done, epochs done, and why training cannot go on."""

    def __init__(self) -> None:
        self.done, self.total = 0, 0
        self.entries: list[dict[str, float]] = []
        self.failure = ""

    def step(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def entry(self, entry: dict[str, float]) -> None:
        self.entries.append(entry)

    def fail(self, reason: str) -> None:
        self.failure = self.failure or reason

    def reason(self) -> str:
        return self.failure

    def news(self, seen: int) -> tuple[int, int, list[dict[str, float]]]:
        return self.done, self.total, self.entries[seen:]


def pretrain(job: PretrainJob, *, workers: int, gpu: bool = False, on_progress: OnProgress, on_entry: OnEntry) -> None:
    """None; when it returns, the job's model is written. Ray must be running; run it again to resume.

    on_progress: called in a thread with (images done, images in all); on_entry: with an epoch's figures
    Raises: ValueError with the reason where training cannot go on.
    """
    if has_files(job.model_uri):
        return
    board = ray.remote(num_cpus=0)(_Board).remote()
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(board, stop, on_progress, on_entry), daemon=True)
    watcher.start()
    try:
        for attempt in range(1 + RESTARTS):
            if _attempt(job, board, workers, gpu, last=attempt == RESTARTS):
                return
    finally:
        stop.set()
        watcher.join()


def _attempt(job: PretrainJob, board: Any, workers: int, gpu: bool, last: bool) -> bool:
    """Whether training came to its end. Raises ValueError where trying again would not help, or this was the last."""
    resources = {"CPU": 1, "GPU": 1} if gpu else {"CPU": 1}
    storage = tempfile.mkdtemp(prefix="synthmark-ray-")  # Ray's bookkeeping; our checkpoints lie in the job's output
    trainer = TorchTrainer(
        _work,
        train_loop_config={"job": job, "board": board, "gpu": gpu},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu, resources_per_worker=resources),
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
        # A finished name returns at once, so every attempt has its own; resuming is ours. Ray would also retry what
        # cannot be mended, so it retries nothing
        run_config=RunConfig(
            name=f"pretrain-{uuid.uuid4().hex[:12]}",
            storage_path=storage,
            failure_config=FailureConfig(max_failures=0),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        reason = ray.get(board.reason.remote())
        if reason or last:
            raise ValueError(
                reason or f"training failed: {_first_line(error)}; run the command again to resume"
            ) from error
        return False
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    return True


def _watch(board: Any, stop: threading.Event, on_progress: OnProgress, on_entry: OnEntry) -> None:
    seen = 0
    while True:
        last = stop.wait(0.5)
        try:
            done, total, entries = ray.get(board.news.remote(seen))
        except RayError:  # Ray is being shut down under us; fit() is where that is reported
            return
        seen += len(entries)
        if total:
            on_progress(done, total)
        for entry in entries:
            on_entry(entry)
        if last:
            return


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _work(config: dict[str, Any]) -> None:
    """What each worker does. A reason that trying again cannot mend goes to the board."""
    job, board = cast(PretrainJob, config["job"]), config["board"]
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // context.get_local_world_size()))
    device = get_device() if config["gpu"] else torch.device("cpu")
    try:
        split = stream_split(job, device) if job.mode == "stream" else read_split(job, device)
        model = train(
            job,
            split,
            lambda network: _wrap(network, device, world),
            rank=rank,
            world=world,
            on_step=_reporter(board) if rank == 0 else None,
            on_entry=(lambda entry: _tell(board, entry)) if rank == 0 else None,
        )
        if rank == 0:
            finish(job, model, split.held_out)
    except ValueError as error:
        ray.get(board.fail.remote(str(error)))
        raise


def _wrap(model: LandmarkNet, device: torch.device, world: int) -> nn.Module:
    model.to(device)
    if world == 1:
        return model
    return DistributedDataParallel(
        model, device_ids=[device.index] if device.type == "cuda" else None, broadcast_buffers=False
    )


def _tell(board: Any, entry: dict[str, float]) -> None:
    ray.get(board.entry.remote(entry))


def _reporter(board: Any) -> OnProgress:
    """An on_step callback that tells the board at most twice a second."""
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.5 or done == total:
            last = now
            board.step.remote(done, total)

    return report
