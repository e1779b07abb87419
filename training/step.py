"""One step of training: a worker's slice of a global batch, varied, its loss, and the weights moved."""

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.augment import change, draw_changes
from training.data import Batch, Patches
from training.loss import depth_losses, landmark_losses
from training.models import LandmarkNet
from training.recipe import Precision, TrainRecipe


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


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker's part of each step."""

    model: nn.Module
    recipe: TrainRecipe
    optimiser: torch.optim.Optimizer
    seed: int
    rank: int
    world: int

    def mean(self, value: float) -> float:
        """The mean of a value over all workers."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=next(self.model.parameters()).device)
        torch.distributed.all_reduce(total)
        return float(total) / self.world

    def run_step(self, batch: Patches, rate: float, epoch: int, step: int) -> float:
        """This worker's loss for its slice of a global batch; the mean over workers is the batch's loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        mine = torch.arange(self.rank, len(batch), self.world)
        idle = len(mine) == 0  # a worker without a sample still takes part in the exchange of gradients
        mine = torch.zeros(1, dtype=torch.int64) if idle else mine
        shown, weights = self.varied(batch, mine, epoch, step)
        with torch.random.fork_rng(devices=[batch.device] if batch.device.type == "cuda" else []):
            # dropout alone draws from torch's global generator
            torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch, step, self.rank]).generate_state(1)[0]))
            losses = self.losses(shown) * weights[mine.to(weights.device)]
        loss = losses.sum() * (0.0 if idle else self.world / self.divisor(weights))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(
                f"loss is {value} in epoch {epoch}, step {step}, at learning rate {rate:.3g}, sample ids "
                f"{batch.select(mine).sample_id.tolist()}; lower the learning rate or look at these samples"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return value

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
        images = batch.channels(network.inputs)
        with autocast(self.recipe.precision, images.device):
            output = self.model(images)
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


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which convolutions and products run in that precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
