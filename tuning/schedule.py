"""Fine-tuning schedules and what a sweep over them is made of: plain data, no torch, no Ray."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tuning.folds import NumFolds

MOST_NESTED = 8  # schedules of a nested sweep: each is trained inner_folds + 1 times for every outer fold


Freeze = Literal["none", "encoder", "features", "all"]
Optimiser = Literal["sgd", "adamw"]


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
    freeze: "features" keeps everything but the last layers as pre-trained, "encoder" the layers before the decoder,
        which is all but the fully connected ones of the paper's network, as "features"; "all" keeps every layer, so
        that the labels' convention alone is learnt; a network trained from scratch ignores it
    augment: strength of the geometric augmentation; 0 is none
    convention: whether a pre-trained network first learns where this study's labels lie beside those of the
        renderings: each landmark is moved by the mean residual of the training cases, see corrections.convention
    """

    name: str = "default"
    epochs: int = 60
    batch: int = 100
    optimiser: Optimiser = "adamw"
    rate: float = 3e-4
    momentum: float = 0.9
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    unit: Literal["epochs", "iterations"] = "epochs"
    weight_decay: float = 0.0
    freeze: Freeze = "none"
    augment: float = 0.0
    convention: bool = True

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

    def fresh(self) -> "Schedule":
        """The same for a network of fresh weights: all of it learns, and it has no convention to leave."""
        return replace(self, freeze="none", convention=False)

    def rate_at(self, epoch: int, iteration: int) -> float:
        """Learning rate after `epoch` whole passes and `iteration` steps, both counted from 0."""
        done = epoch if self.unit == "epochs" else iteration
        return self.rate * self.factor ** sum(done >= milestone for milestone in self.milestones)


def paper_schedule(unit: Literal["epochs", "iterations"] = "iterations") -> Schedule:
    """The published schedule: SGD, 700 epochs, rate 0.01, momentum 0.9, x0.1 once after 500.

    No step of its own learns the labels' convention.
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
        convention=False,
    )


def grid(base: Schedule, axes: Mapping[str, Sequence[Any]]) -> tuple[Schedule, ...]:
    """The base with every combination of these fields' values, named after them: rate-0.001_freeze-encoder."""
    made = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        words = (f"{field}-{'-'.join(map(str, v)) if isinstance(v, tuple) else v}" for field, v in chosen.items())
        made.append(replace(base, name="_".join(words), **chosen))
    return tuple(made)


def around(base: Schedule, axes: Mapping[str, Sequence[Any]]) -> tuple[Schedule, ...]:
    """The base, and with one field changed at a time to each of its values: a grid's arms without its corners."""
    arms = (grid(base, {field: values}) for field, values in axes.items())
    return (base, *itertools.chain(*arms))


@dataclass(frozen=True, kw_only=True)
class Search:
    """Schedules that Optuna proposes, one batch after another, told of the errors of those before.

    Of two numbers the first is the lower end of a range, both included; of words each is a choice. Epochs, rate,
    weight_decay and factor are drawn on a logarithmic scale; momentum of SGD alone.

    num_trials, seed: of schedules and of their draws
    at_a_time: schedules of a batch, which know nothing of each other: they can run side by side
    batch: cases per step of all of them
    milestone: share of the epochs after which the rate is multiplied by `factor`, once
    """

    num_trials: int = 20
    seed: int = 1
    at_a_time: int = 4
    batch: int = 100
    epochs: tuple[int, int] = (20, 80)
    rate: tuple[float, float] = (1e-4, 3e-3)
    momentum: tuple[float, float] = (0.8, 0.98)
    milestone: tuple[float, float] = (0.5, 0.9)
    factor: tuple[float, float] = (0.03, 0.5)
    weight_decay: tuple[float, float] = (1e-6, 1e-2)
    augment: tuple[float, float] = (0.0, 1.0)
    freeze: tuple[Freeze, ...] = ("none", "encoder", "features")
    optimiser: tuple[Optimiser, ...] = ("sgd", "adamw")

    def __post_init__(self) -> None:
        for name, value in (("num_trials", self.num_trials), ("at_a_time", self.at_a_time)):
            if value < 1:
                raise ValueError(f"sweep.search.{name} is {value}; allowed: at least 1")
        if self.seed < 0:
            raise ValueError(f"sweep.search.seed is {self.seed}; allowed: 0 or more")
        for name in ("epochs", "rate", "momentum", "milestone", "factor", "weight_decay", "augment"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"sweep.search.{name} is {low} to {high}; the lower end comes first")
        if not (self.milestone[0] > 0 and self.milestone[1] <= 1):
            raise ValueError(f"sweep.search.milestone is {self.milestone}; allowed: shares above 0, up to 1")
        if not (self.freeze and self.optimiser and self.weight_decay[0] > 0):
            raise ValueError("sweep.search needs a choice of freeze and of optimiser, and weight_decay above 0")
        for end in (0, 1):  # a schedule checks the rest
            Schedule(
                name="search", batch=self.batch, epochs=self.epochs[end], rate=self.rate[end],
                momentum=self.momentum[end], factor=self.factor[end], weight_decay=self.weight_decay[end],
                augment=self.augment[end],
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SweepRecipe:
    """Which schedules compete on which folds.

    schedules: at least one; the first is what evaluate.py takes where no other is chosen
    search: further schedules, trial-000 ..., which compete with those
    folds: number of folds by subject, or "leave_one_out"
    inner_folds: None is the paper's plain protocol: the schedule is chosen by the very errors that are reported. A
        number is nested cross-validation: for every outer fold, which is then tested, it is chosen on so many inner
        folds of the outer fold's training subjects alone, every schedule with its own epochs
    seed: of the folds and of every network's training
    scratch: schedule of CNN(study), the network trained from scratch; null takes the fine-tuning schedule
    """

    schedules: tuple[Schedule, ...] = (Schedule(),)
    search: Search | None = None
    folds: NumFolds = 3
    inner_folds: int | None = None
    seed: int = 1
    scratch: Schedule | None = None

    def __post_init__(self) -> None:
        if not self.schedules:
            raise ValueError("sweep.schedules is empty; give at least one schedule")
        names = [schedule.name for schedule in self.schedules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"sweep.schedules has {twice[0]!r} more than once; give every schedule its own name")
        taken = [name for name in names if re.fullmatch(r"trial-\d+", name)]
        if self.search is not None and taken:
            raise ValueError(f"sweep.schedules has {taken[0]!r}, a name that the search gives; choose another")
        if self.folds != "leave_one_out" and self.folds < 2:
            raise ValueError(f"sweep.folds is {self.folds}; allowed: at least 2, or leave_one_out")
        if self.seed < 0:
            raise ValueError(f"sweep.seed is {self.seed}; allowed: 0 or more")
        self._check_nested()

    def _check_nested(self) -> None:
        if self.inner_folds is None:
            return
        if self.inner_folds < 2:
            raise ValueError(f"sweep.inner_folds is {self.inner_folds}; allowed: at least 2, or null")
        if self.search is not None:
            raise ValueError("sweep.search learns from the outer folds, so that sweep.inner_folds must be null with it")
        if len(self.schedules) > MOST_NESTED:
            raise ValueError(f"sweep.inner_folds takes up to {MOST_NESTED} schedules; there are {len(self.schedules)}")
