"""One step of training: a worker's slice of a global batch, varied, its loss, and the weights moved."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.augment import change, draw_changes
from training.data import Batch, Patches
from training.execution import autocast, computed, laid_out, lay_out
from training.loss import depth_losses, landmark_losses
from training.models import LandmarkNet, Output
from training.recipe import TrainRecipe


def make_optimiser(model: nn.Module, recipe: TrainRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over the parameters that require a gradient, laid out in memory as the recipe says."""
    lay_out(model, recipe)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = recipe.fused or None  # None leaves the choice to torch, False would forbid it
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=fused
        )
    return torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.weight_decay, fused=fused)


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


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker's part of each step."""

    model: nn.Module
    recipe: TrainRecipe
    optimiser: torch.optim.Optimizer
    seed: int
    rank: int
    world: int

    @cached_property
    def compute(self) -> Callable[[Tensor], Output]:
        """The forward pass, compiled or not."""
        return computed(self.model, self.recipe)

    def mean(self, value: float) -> float:
        """The mean of a value over all workers."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=next(self.model.parameters()).device)
        torch.distributed.all_reduce(total)
        return float(total) / self.world

    def rows(self, batch: Patches) -> Tensor:
        """This worker's rows of a global batch; none where there are more workers than samples."""
        return torch.arange(self.rank, len(batch), self.world)

    def run_step(self, batch: Patches, rate: float, epoch: int, step: int) -> float:
        """This worker's loss for its slice of a global batch; the mean over workers is the batch's loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        mine = self.rows(batch)
        idle = len(mine) == 0  # a worker without a sample still takes part in the exchange of gradients
        mine = torch.zeros(1, dtype=torch.int64) if idle else mine
        shown, weights = self.varied(batch, mine, epoch, step)
        scale = 0.0 if idle else self.world / self.divisor(weights)
        weights = weights[mine.to(weights.device)]
        value, size = 0.0, self.recipe.micro_batch or len(mine)
        self.optimiser.zero_grad(set_to_none=True)
        with torch.random.fork_rng(devices=[batch.device] if batch.device.type == "cuda" else []):
            # dropout alone draws from torch's global generator
            torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch, step, self.rank]).generate_state(1)[0]))
            for start in range(0, len(mine), size):
                part = slice(start, start + size)
                with self.exchanging(start + size >= len(mine)):
                    loss = (self.losses(shown.part(part)) * weights[part]).sum() * scale
                    value += float(loss.detach())
                    _require_finite(value, batch.sample_id[mine[part].to(batch.device)], epoch, step, rate)
                    loss.backward()
        self.optimiser.step()
        return value

    def exchanging(self, exchange: bool) -> AbstractContextManager[None]:
        """A context whose backward passes exchange gradients between workers, or keep them to add to."""
        if exchange or not isinstance(self.model, DistributedDataParallel):
            return nullcontext()
        return cast(AbstractContextManager[None], self.model.no_sync())

    def varied(self, patches: Patches, mine: Tensor, epoch: int, step: int) -> tuple[Batch, Tensor]:
        """(this worker's part of a global batch, varied, (n, K) weights of all landmarks of the batch).

        What is drawn and the weights are those of the whole batch, so that they are the same on any number of workers.
        A landmark that is not seen keeps the nearest point of the patch as its target, and its own depth.
        """
        batch, recipe = patches.batch(mine), self.recipe
        weights = patches.valid.float()
        if recipe.augment == 0 and not recipe.views.changes:
            return batch, weights
        generator = np.random.default_rng([self.seed, epoch, step])
        changes = draw_changes(patches, torch.arange(len(patches)), recipe.augment, recipe.views, generator)
        weights = torch.where(changes.unseen, weights * recipe.views.outside, weights)
        changes = changes.select(mine)
        batch = change(batch, changes, patches.crop)
        height, width = patches.size
        edge = torch.tensor([width, height], dtype=torch.float32, device=batch.points.device)
        nearest = batch.points.clamp(torch.zeros_like(edge), edge)
        return replace(batch, points=torch.where(changes.unseen[..., None], nearest, batch.points)), weights

    def losses(self, batch: Batch) -> Tensor:
        """(n, K) losses of a forward pass."""
        network = unwrap(self.model)
        images = laid_out(batch.channels(network.inputs), self.recipe)
        with autocast(self.recipe.precision, images.device):
            output = self.compute(images)
        losses = landmark_losses(
            output,
            batch.points,
            network.unit,
            loss=self.recipe.loss,
            spread_px=self.recipe.spread_px,
            spread_weight=self.recipe.spread_weight,
        )
        if output.depth is None:
            return losses
        depth = depth_losses(output.depth, batch.landmark_depth(), loss=self.recipe.loss)
        return losses + self.recipe.depth_weight * depth

    def divisor(self, weights: Tensor) -> float:
        """What the sum of a global batch's losses is divided by, from its landmarks' weights (n, K)."""
        if self.recipe.loss_scale == "sum_outputs":
            return 2.0 * len(weights)
        return max(2.0 * float(weights.sum()), 1.0)


def _require_finite(loss: float, sample_ids: Tensor, epoch: int, step: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise ValueError(
            f"loss is {loss} in epoch {epoch}, step {step}, at learning rate {rate:.3g}, sample ids "
            f"{sample_ids.tolist()}; lower the learning rate or look at these samples"
        )
