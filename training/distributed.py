"""Ray Train glue: the same pre-training on any number of workers, with progress on the driver."""

import os
import shutil
import tempfile
import uuid
from typing import Any, cast

import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.train.v2.api.exceptions import TrainingFailedError
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from synth.domain.storage import has_files
from training.board import Listener, Reporter, listening
from training.checkpoint import newest_progress
from training.job import PretrainJob
from training.models import LandmarkNet
from training.outcome import finish
from training.pretraining import train
from training.split import read_split
from training.stream import stream_split

RESTARTS = 2  # of the group of workers, when one is lost, in a row without a state that is newer than the last


def pretrain(job: PretrainJob, *, workers: int, gpu: bool = False, listener: Listener) -> None:
    """None; when it returns, the job's model is written. Ray must be running; run it again to resume.

    Raises: ValueError with the reason where training cannot go on.
    """
    if has_files(job.model_uri):
        return
    with listening(listener) as board:
        failures = 0
        while True:
            before = newest_progress(job.checkpoints_uri)
            lost = _attempt(job, board, workers, gpu)
            if not lost:
                return
            failures = failures + 1 if newest_progress(job.checkpoints_uri) == before else 0
            if failures > RESTARTS:
                raise ValueError(f"training failed: {lost}; run the command again to resume")


def _attempt(job: PretrainJob, board: Any, workers: int, gpu: bool) -> str:
    """Empty at the end of training, else how its workers were lost. Raises ValueError where that would recur."""
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
        if reason := ray.get(board.reason.remote()):
            raise ValueError(reason) from error
        return _last_line(error)
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    return ""


def _last_line(error: Exception) -> str:
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
            on_step=Reporter(board) if rank == 0 else None,
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
