"""Training in plain torch: epochs by the plan, from any step on, on any number of workers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.data import Patches, Source
from training.execution import check_compiler
from training.models import LandmarkNet
from training.plan import Progress, num_steps
from training.recipe import TrainRecipe
from training.step import Worker, check_training, make_optimiser, unwrap


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """One epoch: its number from 0, mean loss over all workers, learning rate at its end.

    images_per_s: over all workers; wait_share: of this worker's time spent on waiting for samples. Of the part of the
        epoch that was trained now
    """

    epoch: int
    loss: float
    rate: float
    images_per_s: float
    wait_share: float


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """One step: how many of how many steps of the run are done, how many of how many images, over all workers.

    loss: this worker's share of the batch's; rate: the step's learning rate
    """

    step: int
    steps: int
    images: int
    images_in_all: int
    loss: float
    rate: float


RateAt = Callable[[int, int], float]
OnEpoch = Callable[[EpochReport], None]
OnStep = Callable[[StepReport], None]
OnSave = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a run calls on its way.

    on_epoch: after each epoch; on_step: after each step
    on_save: after each `save_steps` steps of an epoch but its last, on every worker; there the run can go on later
    """

    on_epoch: OnEpoch | None = None
    on_step: OnStep | None = None
    on_save: OnSave | None = None
    save_steps: int = 1000


BEGINNING, SILENT = Progress(), Hooks()


def fit(
    model: nn.Module,
    source: Source,
    recipe: TrainRecipe,
    *,
    seed: int,
    rank: int = 0,
    world: int = 1,
    start: Progress = BEGINNING,
    optimiser: torch.optim.Optimizer | None = None,
    rate_at: RateAt | None = None,
    hooks: Hooks = SILENT,
) -> list[EpochReport]:
    """The reports of the epochs that ended, up to recipe.epochs - 1; the model is trained in place.

    model: a LandmarkNet, or one wrapped in DistributedDataParallel; then rank and world say which slice of each
        global batch this process takes, and what is learnt does not depend on world
    start, optimiser: where an earlier run was, and the optimiser with its state; None makes the recipe's
    rate_at: learning rate from (whole epochs, whole steps) done; None follows the recipe's schedule
    Raises: ValueError without samples, without a compiler that the recipe needs, or with the step and sample ids where
        the loss is not finite.
    """
    if len(source) == 0:
        raise ValueError("there are no samples to train on")
    check_training(unwrap(model), recipe)
    check_compiler(recipe, source.device)
    optimiser = optimiser or make_optimiser(model, recipe)
    worker = Worker(model=model, recipe=recipe, optimiser=optimiser, seed=seed, rank=rank, world=world)
    reports = []
    model.train()
    while start.epoch < recipe.epochs:
        reports.append(run_epoch(worker, source, start, rate_at, hooks))
        start = Progress(epoch=start.epoch + 1)
        if hooks.on_epoch is not None:
            hooks.on_epoch(reports[-1])
    return reports


def run_epoch(worker: Worker, source: Source, start: Progress, rate_at: RateAt | None, hooks: Hooks) -> EpochReport:
    """The report of the epoch in which `start` lies, trained from there to its end. See fit."""
    recipe, epoch, count = worker.recipe, start.epoch, len(source)
    steps = num_steps(count, recipe.batch)
    loss, rate = start.loss, 0.0
    clock = Clock()
    batches = source.batches(worker.seed, epoch, recipe.batch, start.step)
    for step, batch in enumerate(clock.waiting(batches), start.step):
        past = epoch * steps + step
        rate = rate_at(epoch, past) if rate_at else recipe.rate_at(epoch, past, steps)
        own = worker.run_step(batch, rate, epoch, step)
        loss += own
        done = step + 1
        if hooks.on_step is not None:
            hooks.on_step(
                StepReport(
                    step=past + 1,
                    steps=recipe.epochs * steps,
                    images=epoch * count + min(done * recipe.batch, count),
                    images_in_all=recipe.epochs * count,
                    loss=own,
                    rate=rate,
                )
            )
        if hooks.on_save is not None and done % hooks.save_steps == 0 and done < steps:
            loss = worker.mean(loss)
            hooks.on_save(Progress(epoch=epoch, step=done, loss=loss))
    seconds = clock.seconds
    return EpochReport(
        epoch=epoch,
        loss=worker.mean(loss) / steps,
        rate=rate,
        images_per_s=(count - start.step * recipe.batch) / seconds,
        wait_share=clock.waited / seconds,
    )


class Clock:
    """Seconds since it was made, and those of them that went by while waiting for the next of something."""

    def __init__(self) -> None:
        self.start, self.waited = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def waiting(self, batches: Iterator[Patches]) -> Iterator[Patches]:
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a network says of N patches, on the host.

    points: (N, K, 2) float32 patch px
    sigma: (N, K) float32 px, root mean of the heatmap's two variances, not calibrated; NaN for a network without
    depth: (N, K) float32 in units of the normalised depth map; NaN for a network that does not regress it
    """

    points: NDArray[np.float32]
    sigma: NDArray[np.float32]
    depth: NDArray[np.float32]


def predict(model: LandmarkNet, patches: Patches, batch: int = 256) -> Predictions:
    """The network's landmarks of every patch, in float32; the model is left in its training or evaluation mode."""
    training = model.training
    model.eval()
    points, sigma, depth = [], [], []
    with torch.no_grad():
        for rows in torch.arange(len(patches)).split(batch):
            output = model(patches.batch(rows).channels(model.inputs))
            points.append(output.points.cpu())
            if output.covariance is not None:
                sigma.append((output.covariance.diagonal(dim1=-2, dim2=-1).mean(-1)).sqrt().cpu())
            if output.depth is not None:
                depth.append(output.depth.cpu())
    model.train(training)
    shape = (len(patches), model.num_landmarks)
    return Predictions(
        points=torch.cat(points).numpy() if points else np.zeros((*shape, 2), np.float32),
        sigma=torch.cat(sigma).numpy() if sigma else np.full(shape, np.nan, np.float32),
        depth=torch.cat(depth).numpy() if depth else np.full(shape, np.nan, np.float32),
    )
