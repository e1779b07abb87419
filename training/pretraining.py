"""One pre-training run, from its newest state to its last epoch. No Ray."""

from collections.abc import Callable

import torch
from torch import nn

from training.checkpoint import latest_state, restore_state, save_state
from training.execution import lay_out
from training.held_out import held_out_error
from training.job import PretrainJob, anatomy_of
from training.loop import EpochReport, Hooks, OnStep, fit
from training.models import LandmarkNet, build_model
from training.plan import Progress
from training.split import Split
from training.step import make_optimiser

OnEntry = Callable[[dict[str, float]], None]


def new_model(job: PretrainJob) -> LandmarkNet:
    """The job's network with fresh weights, a function of its seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        return build_model(job.model, anatomy_of(job))


def train(
    job: PretrainJob,
    split: Split,
    wrap: Callable[[LandmarkNet], nn.Module],
    *,
    rank: int = 0,
    world: int = 1,
    on_step: OnStep | None = None,
    on_entry: OnEntry | None = None,
) -> LandmarkNet:
    """The trained network, continued from the newest state of the job's output; rank 0 keeps one as the job says.

    wrap: puts the network on its device, and into DistributedDataParallel where there are several workers
    on_entry: called on every rank with an epoch's figures
    Raises: ValueError where depth or thickness is needed and the data have none.
    """
    _check_planes(job, split)
    model = new_model(job)
    lay_out(model, job.train)
    wrapped = wrap(model)
    optimiser = make_optimiser(wrapped, job.train)
    start, history = _restored(job, model, optimiser)

    def save(progress: Progress) -> None:
        if rank == 0:
            save_state(job.checkpoints_uri, model, optimiser, progress, {"history": history})

    def close_epoch(report: EpochReport) -> None:
        history.append(vars(report) | {"held_out_px": held_out_error(model, split.held_out, rank, world)})
        save(Progress(epoch=report.epoch + 1))
        if on_entry is not None:
            on_entry(history[-1])

    hooks = Hooks(on_epoch=close_epoch, on_step=on_step, on_save=save, save_steps=job.save_steps)
    fit(
        wrapped, split.train, job.train, seed=job.seed, rank=rank, world=world, start=start, optimiser=optimiser,
        hooks=hooks,
    )  # fmt: skip
    return model


def _check_planes(job: PretrainJob, split: Split) -> None:
    for name, plane, remedy in (
        ("depth", split.held_out.depth, "leave it out of model.inputs, with model.regress_depth=false"),
        ("thickness", split.held_out.thickness, "render it with --set render.thickness=true"),
    ):
        if name in job.model.reads and plane is None:
            raise ValueError(f"the network needs {name}, and {job.data_uri} has none; {remedy}")


def _restored(
    job: PretrainJob, model: LandmarkNet, optimiser: torch.optim.Optimizer
) -> tuple[Progress, list[dict[str, float]]]:
    """(how far the job was, the figures of its epochs), with model and optimiser as they were then."""
    state = latest_state(job.checkpoints_uri)
    if state is None:
        return Progress(), []
    restore_state(state, model, optimiser)
    return state.progress, state.notes["history"]
