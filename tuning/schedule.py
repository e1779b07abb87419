"""Fine-tuning schedules and what a sweep over them is made of: plain data, no torch, no Ray."""

import math
import re
from dataclasses import dataclass
from typing import Literal


def _require(schedule: str, field: str, value: object, allowed: bool, what: str) -> None:
    if not allowed:
        raise ValueError(f"schedule {schedule}: {field} is {value}; allowed: {what}")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How one network is trained on the training cases of a fold.

    epochs: passes over the training cases
    batch: cases per step; the last step of an epoch takes what is left
    rate: learning rate, multiplied by `factor` at each of `milestones`, counted in `unit`
    momentum: of SGD; AdamW takes no notice of it
    freeze: "features" keeps everything but the last layers as pre-trained; a network trained from scratch ignores it
    augment: strength of the geometric augmentation; 0 is none
    """

    name: str = "default"
    epochs: int = 60
    batch: int = 100
    optimiser: Literal["sgd", "adamw"] = "adamw"
    rate: float = 3e-4
    momentum: float = 0.9
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    unit: Literal["epochs", "iterations"] = "epochs"
    weight_decay: float = 0.0
    freeze: Literal["none", "features"] = "none"
    augment: float = 0.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", self.name):
            raise ValueError(
                f"schedule name {self.name!r} cannot be a file name; use up to 61 letters, digits, dots, - and _"
            )
        _require(self.name, "epochs", self.epochs, self.epochs >= 1, ">= 1")
        _require(self.name, "batch", self.batch, self.batch >= 1, ">= 1")
        _require(self.name, "rate", self.rate, 0 < self.rate < math.inf, "> 0")
        _require(self.name, "momentum", self.momentum, 0 <= self.momentum < 1, "0 <= momentum < 1")
        _require(self.name, "factor", self.factor, 0 < self.factor <= 1, "0 < factor <= 1")
        _require(self.name, "weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, ">= 0")
        _require(self.name, "augment", self.augment, 0 <= self.augment < math.inf, ">= 0")
        rising = all(a < b for a, b in zip((0, *self.milestones), self.milestones, strict=False))
        _require(self.name, "milestones", self.milestones, rising, "positive and rising")

    def rate_at(self, epoch: int, iteration: int) -> float:
        """Learning rate after `epoch` whole passes and `iteration` steps, both counted from 0."""
        done = epoch if self.unit == "epochs" else iteration
        return self.rate * self.factor ** sum(done >= milestone for milestone in self.milestones)


def paper_schedule(unit: Literal["epochs", "iterations"] = "iterations") -> Schedule:
    """The published schedule: SGD, 700 epochs, rate 0.01, momentum 0.9, x0.1 once after 500.

    Source: Riegler et al. 2015, section 4: "after 500 iterations" beside "700 epochs"; `unit` chooses the reading.
    The two are equal for 19 images at batch 100, not for 176.
    """
    return Schedule(
        name=f"paper_{unit}",
        epochs=700,
        batch=100,
        optimiser="sgd",
        rate=0.01,
        momentum=0.9,
        milestones=(500,),
        unit=unit,
    )


@dataclass(frozen=True, kw_only=True)
class SweepRecipe:
    """Which schedules compete on which folds.

    folds: number of folds by subject; as many as there are subjects is leave one subject out
    seed: of the folds and of every network's training
    scratch: schedule of CNN(study), the network trained from scratch; null takes the fine-tuning schedule
    """

    schedules: tuple[Schedule, ...] = (Schedule(),)
    folds: int = 3
    seed: int = 1
    scratch: Schedule | None = None

    def __post_init__(self) -> None:
        if not self.schedules:
            raise ValueError("sweep.schedules is empty; give at least one schedule")
        names = [schedule.name for schedule in self.schedules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"sweep.schedules has {twice[0]!r} more than once; give every schedule its own name")
        if self.folds < 2:
            raise ValueError(f"sweep.folds is {self.folds}; allowed: at least 2")
        if self.seed < 0:
            raise ValueError(f"sweep.seed is {self.seed}; allowed: 0 or more")
