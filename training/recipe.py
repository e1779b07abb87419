"""How a network is trained: plain data, validated."""

import math
from dataclasses import dataclass, field
from typing import Literal

from training.loss import Loss
from training.views import Views

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class TrainRecipe:
    """How a network is trained from scratch. The defaults suit the heatmap network; paper_training() the paper's.

    rate: highest learning rate; `schedule` says how it falls: "decay" multiplies it by `decay` after each epoch,
        "cosine" lets it fall to 0 over the run after a linear rise over the first `warmup` of the steps
    momentum: of SGD; AdamW ignores it
    loss: "l2" squared, "l1" absolute, "nll" the negative log likelihood under the heatmap's covariance
    loss_scale: "sum_outputs" is 1/(2 batch) times the sum over outputs; "mean_outputs" the mean over outputs
    spread_px, spread_weight: the heatmap's deviation is drawn to spread_px along both axes; weight 0 leaves it
    depth_weight: of a landmark's depth beside its point, where the network regresses it; a unit of normalised depth
        counts as a px of the heatmap network, or as a unit of eq. (1)
    augment: strength of the geometric augmentation, 0 is none
    views: fields of view and artefacts that are varied; Views() varies nothing
    precision: "bfloat16" computes convolutions and products in it, where the device has it; weights and the loss stay
        float32
    channels_last: images and weights lie in memory with the channels of a pixel side by side
    fused: the optimiser moves all weights in one go
    compile: the network is compiled at its first step, which pays in long runs; fine-tuning does not
    micro_batch: a worker computes at most so many images of its part of a batch at once, and adds up their gradients;
        None: all of them. A batch thus need not fit into memory. Dropout then draws other units
    """

    epochs: int = 10
    batch: int = 32
    optimiser: Literal["sgd", "adamw"] = "adamw"
    rate: float = 3e-3
    schedule: Literal["decay", "cosine"] = "cosine"
    warmup: float = 0.05
    decay: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    loss: Loss = "l1"
    loss_scale: Literal["sum_outputs", "mean_outputs"] = "mean_outputs"
    spread_px: float = 1.5
    spread_weight: float = 0.1
    depth_weight: float = 1.0
    augment: float = 0.0
    views: Views = field(default_factory=Views)
    precision: Precision = "bfloat16"
    channels_last: bool = False
    fused: bool = False
    compile: bool = False
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        _require("epochs", self.epochs, self.epochs >= 1, ">= 1")
        _require("batch", self.batch, self.batch >= 1, ">= 1")
        _require("rate", self.rate, 0 < self.rate < math.inf, "> 0")
        _require("warmup", self.warmup, 0 <= self.warmup < 1, "0 <= warmup < 1")
        _require("decay", self.decay, 0 < self.decay <= 1, "0 < decay <= 1")
        _require("momentum", self.momentum, 0 <= self.momentum < 1, "0 <= momentum < 1")
        _require("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, ">= 0")
        _require("spread_px", self.spread_px, 0 < self.spread_px < math.inf, "> 0")
        _require("spread_weight", self.spread_weight, 0 <= self.spread_weight < math.inf, ">= 0")
        _require("micro_batch", self.micro_batch, self.micro_batch is None or self.micro_batch >= 1, ">= 1, or null")
        _require("depth_weight", self.depth_weight, 0 <= self.depth_weight < math.inf, ">= 0")
        _require("augment", self.augment, 0 <= self.augment < math.inf, ">= 0")

    def rate_at(self, epoch: int, step: int, steps_per_epoch: int) -> float:
        """Learning rate of the step after `epoch` whole epochs and `step` steps in all, both counted from 0."""
        if self.schedule == "decay":
            return self.rate * self.decay**epoch
        done = (step + 0.5) / (self.epochs * steps_per_epoch)
        if done < self.warmup:
            return self.rate * done / self.warmup
        return self.rate * 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))


def _require(field: str, value: object, allowed: bool, what: str) -> None:
    if not allowed:
        raise ValueError(f"train.{field} is {value}; allowed: {what}")


def paper_training() -> TrainRecipe:
    """The published pre-training: SGD, 30 epochs, batch 100, rate 0.01, momentum 0.9, x0.7943 after each epoch.

    Source: Riegler et al. 2015, section 4. The scale of the loss is an open point: with a mean over outputs the
    published rate is K times smaller than with 1/(2 batch) times the sum.
    """
    return TrainRecipe(
        epochs=30,
        batch=100,
        optimiser="sgd",
        rate=0.01,
        schedule="decay",
        decay=0.7943,
        momentum=0.9,
        weight_decay=0.0,
        loss="l2",
        loss_scale="sum_outputs",
        spread_weight=0.0,
        precision="float32",
    )
