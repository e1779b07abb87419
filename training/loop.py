"""Training in plain torch: one recipe, one plan of samples, any number of workers."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.augment import change, draw_changes
from training.data import Batch, Patches, order
from training.loss import landmark_losses
from training.models import LandmarkNet
from training.recipe import Precision, TrainRecipe, paper_training

__all__ = ["EpochReport", "Predictions", "TrainRecipe", "fit", "make_optimiser", "paper_training", "predict"]


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """One epoch: its number from 0, mean loss over all workers, learning rate at its end, images/s over all workers."""

    epoch: int
    loss: float
    rate: float
    images_per_s: float


RateAt = Callable[[int, int], float]
OnEpoch = Callable[[EpochReport], None]
OnStep = Callable[[int, int], None]


def make_optimiser(model: nn.Module, recipe: TrainRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over the parameters that require a gradient."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    return torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.weight_decay)


def unwrap(model: nn.Module) -> LandmarkNet:
    """The LandmarkNet itself, or the one inside a DistributedDataParallel."""
    return cast(LandmarkNet, model.module if isinstance(model, DistributedDataParallel) else model)


def check_training(model: LandmarkNet, recipe: TrainRecipe) -> None:
    """Raise ValueError where the loss needs a heatmap's covariance and the network has none."""
    if not model.has_covariance and (recipe.loss == "nll" or recipe.spread_weight > 0):
        raise ValueError(
            f"train.loss {recipe.loss!r} with train.spread_weight {recipe.spread_weight} needs a heatmap; for the "
            "paper's network set train.loss=l2 and train.spread_weight=0"
        )


def fit(
    model: nn.Module,
    patches: Patches,
    recipe: TrainRecipe,
    *,
    seed: int,
    rank: int = 0,
    world: int = 1,
    start_epoch: int = 0,
    optimiser: torch.optim.Optimizer | None = None,
    rate_at: RateAt | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
) -> list[EpochReport]:
    """The reports of the epochs trained, start_epoch … recipe.epochs - 1; the model is trained in place.

    model: a LandmarkNet, or one wrapped in DistributedDataParallel; then rank and world say which slice of each
        global batch this process takes, and what is learnt does not depend on world
    optimiser: one whose state continues an earlier run; None makes the recipe's
    rate_at: learning rate from (whole epochs, whole steps) done; None follows the recipe's schedule
    on_step: called with (images done, images in all), over all workers
    Raises: ValueError without samples, or with the step and sample ids where the loss is not finite.
    """
    if len(patches) == 0:
        raise ValueError("there are no samples to train on")
    check_training(unwrap(model), recipe)
    trainer = _Trainer(
        model=model,
        patches=patches,
        recipe=recipe,
        optimiser=optimiser or make_optimiser(model, recipe),
        seed=seed,
        rank=rank,
        world=world,
        steps=math.ceil(len(patches) / recipe.batch),
    )
    reports = []
    model.train()
    for epoch in range(start_epoch, recipe.epochs):
        reports.append(trainer.run_epoch(epoch, rate_at, on_step))
        if on_epoch is not None:
            on_epoch(reports[-1])
    return reports


@dataclass(frozen=True, kw_only=True)
class _Trainer:
    """One worker's part of a training run."""

    model: nn.Module
    patches: Patches
    recipe: TrainRecipe
    optimiser: torch.optim.Optimizer
    seed: int
    rank: int
    world: int
    steps: int

    def run_epoch(self, epoch: int, rate_at: RateAt | None, on_step: OnStep | None) -> EpochReport:
        plan = order(self.seed, epoch, len(self.patches))
        size = self.recipe.batch
        total = torch.zeros((), dtype=torch.float64, device=self.patches.packed.device)
        start, rate = time.perf_counter(), 0.0
        devices = [self.patches.packed.device] if self.patches.packed.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            # dropout alone draws from torch's global generator
            torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch, self.rank]).generate_state(1)[0]))
            for step in range(self.steps):
                done = epoch * self.steps + step
                rate = rate_at(epoch, done) if rate_at else self.recipe.rate_at(epoch, done, self.steps)
                batch = plan[step * size : (step + 1) * size]
                total += self.run_step(batch, rate, epoch, step)
                if on_step is not None:
                    past = epoch * len(plan) + min((step + 1) * size, len(plan))
                    on_step(past, self.recipe.epochs * len(plan))
        if self.world > 1:
            torch.distributed.all_reduce(total)
        return EpochReport(
            epoch=epoch,
            loss=float(total) / self.steps / self.world,
            rate=rate,
            images_per_s=len(plan) / (time.perf_counter() - start),
        )

    def run_step(self, batch: NDArray[np.int64], rate: float, epoch: int, step: int) -> float:
        """This worker's loss for its slice of a global batch; the mean over workers is the batch's loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        mine = np.arange(self.rank, len(batch), self.world)
        idle = len(mine) == 0  # a worker without a sample still takes part in the exchange of gradients
        mine = np.zeros(1, np.int64) if idle else mine
        rows = torch.as_tensor(batch[mine])
        shown, weights = self.varied(torch.as_tensor(batch), torch.as_tensor(mine), epoch, step)
        losses = self.losses(shown) * weights[mine]
        loss = losses.sum() * (0.0 if idle else self.world / self.divisor(weights))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(
                f"loss is {value} in epoch {epoch}, step {step}, at learning rate {rate:.3g}, sample ids "
                f"{self.patches.sample_id[rows].tolist()}; lower the learning rate or look at these samples"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return value

    def varied(self, rows: Tensor, mine: Tensor, epoch: int, step: int) -> tuple[Batch, Tensor]:
        """(this worker's part of the global batch `rows`, varied, (len(rows), K) weights of all its landmarks).

        What is drawn and the weights are those of the whole batch, so that they are the same on any number of workers.
        A landmark that is not seen keeps the nearest point of the patch as its target.
        """
        batch, recipe = self.patches.batch(rows[mine]), self.recipe
        weights = self.patches.valid[rows].float()
        if recipe.augment == 0 and not recipe.views.changes:
            return batch, weights
        generator = np.random.default_rng([self.seed, epoch, step])
        changes = draw_changes(self.patches, rows, recipe.augment, recipe.views, generator)
        weights = torch.where(changes.unseen, weights * recipe.views.outside, weights)
        changes = changes.select(mine)
        batch = change(batch, changes, self.patches.crop)
        height, width = self.patches.size
        edge = torch.tensor([width, height], dtype=torch.float32, device=batch.points.device)
        nearest = batch.points.clamp(torch.zeros_like(edge), edge)
        return replace(batch, points=torch.where(changes.unseen[..., None], nearest, batch.points)), weights

    def losses(self, batch: Batch) -> Tensor:
        """(n, K) losses of a forward pass."""
        network = unwrap(self.model)
        images = batch.channels(network.inputs)
        with autocast(self.recipe.precision, images.device):
            output = self.model(images)
        return landmark_losses(
            output,
            batch.points,
            network.unit,
            loss=self.recipe.loss,
            spread_px=self.recipe.spread_px,
            spread_weight=self.recipe.spread_weight,
        )

    def divisor(self, weights: Tensor) -> float:
        """What the sum of a global batch's losses is divided by, from its landmarks' weights (n, K)."""
        if self.recipe.loss_scale == "sum_outputs":
            return 2.0 * len(weights)
        return max(2.0 * float(weights.sum()), 1.0)


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which convolutions and products run in that precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a network says of N patches, on the host.

    points: (N, K, 2) float32 patch px
    sigma: (N, K) float32 px, root mean of the heatmap's two variances, not calibrated; NaN for a network without
    """

    points: NDArray[np.float32]
    sigma: NDArray[np.float32]


def predict(model: LandmarkNet, patches: Patches, batch: int = 256) -> Predictions:
    """The network's landmarks of every patch, in float32; the model is left in its training or evaluation mode."""
    training = model.training
    model.eval()
    points, sigma = [], []
    with torch.no_grad():
        for rows in torch.arange(len(patches)).split(batch):
            output = model(patches.batch(rows).channels(model.inputs))
            points.append(output.points.cpu())
            if output.covariance is not None:
                sigma.append((output.covariance.diagonal(dim1=-2, dim2=-1).mean(-1)).sqrt().cpu())
    model.train(training)
    shape = (len(patches), model.num_landmarks)
    return Predictions(
        points=torch.cat(points).numpy() if points else np.zeros((*shape, 2), np.float32),
        sigma=torch.cat(sigma).numpy() if sigma else np.full(shape, np.nan, np.float32),
    )
