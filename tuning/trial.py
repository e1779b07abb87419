"""One trial: a schedule on every fold, one after the other, one thread each; and one network trained by a schedule.

In lockstep, one step of all folds at a time by torch.func over stacked weights, a trial takes longer on a CPU
(tests/benchmarks/lockstep.py): cores are shared between trials instead.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from synth.domain.anatomy import anatomy_named
from training.checkpoint import LoadedModel, load_model
from training.data import Patches
from training.held_out import true_points
from training.loop import EpochReport, Hooks, Predictions, fit, predict
from training.metrics import summarise
from training.models import LandmarkNet, build_model
from training.recipe import TrainRecipe
from tuning.cases import Cases, read_cases
from tuning.corrections import convention
from tuning.folds import Fold, inner_folds, make_folds, parse_folds, traits_of
from tuning.schedule import Schedule

Start = Literal["pretrained", "scratch"]
OnEpoch = Callable[[EpochReport], None]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one trial is made of, as plain data, so that any process can run it.

    study, pretrained: URIs; start: "scratch" takes the network's architecture from `pretrained` and fresh weights
    folds: the text of folds.csv; None makes num_folds folds from the seed
    inside: the fold whose training subjects alone are divided again, into num_folds folds; None: no fold
    """

    anatomy: str
    study: str
    pretrained: str
    schedule: Schedule
    num_folds: int
    seed: int
    start: Start = "pretrained"
    folds: str | None = None
    inside: int | None = None

    @property
    def trains_by(self) -> Schedule:
        """The schedule as a network that starts so is trained by it."""
        return self.schedule if self.start == "pretrained" else self.schedule.fresh()


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What every fold of a trial shares, read once: the network, the cases and their patches, and the folds."""

    loaded: LoadedModel
    cases: Cases
    patches: Patches
    folds: list[Fold]


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldResult:
    """What a network says of the cases of one fold, none of whose subjects it was trained on.

    test: (n,) case indices; points (n, K, 2) patch px
    sigma: (n, K) px; depth: (n, K) in units of the normalised depth map; each NaN for a network without
    error_px, error_mm: means over all annotated landmarks; losses: one per epoch; num_train: training cases
    """

    fold: int
    test: NDArray[np.int64]
    points: NDArray[np.float64]
    sigma: NDArray[np.float64]
    depth: NDArray[np.float64]
    error_px: float
    error_mm: float
    losses: tuple[float, ...]
    num_train: int
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialResult:
    """Predictions of every case by networks that had not seen its subject."""

    schedule: Schedule
    folds: tuple[FoldResult, ...]

    @property
    def points(self) -> NDArray[np.float64]:
        """(N, K, 2) patch px in case order."""
        return _in_case_order(self.folds, [fold.points for fold in self.folds])

    @property
    def sigma(self) -> NDArray[np.float64]:
        """(N, K) px in case order."""
        return _in_case_order(self.folds, [fold.sigma for fold in self.folds])

    @property
    def depth(self) -> NDArray[np.float64]:
        """(N, K) normalised, in case order; NaN where it is not regressed."""
        return _in_case_order(self.folds, [fold.depth for fold in self.folds])

    @property
    def error_px(self) -> float:
        """Mean over folds of their mean errors in patch px: what schedules are chosen by."""
        return summarise(self._errors()).overall_mean

    @property
    def error_px_sd(self) -> float:
        """Sample standard deviation over folds of their mean errors in patch px."""
        return summarise(self._errors()).overall_sd

    def _errors(self) -> NDArray[np.float64]:
        return np.array([[fold.error_px] for fold in self.folds])


def fine_tune(
    model: LandmarkNet,
    patches: Patches,
    schedule: Schedule,
    train: TrainRecipe,
    *,
    seed: int,
    on_epoch: OnEpoch | None = None,
) -> tuple[float, ...]:
    """The mean loss of every epoch; the model is trained in place by `schedule`, () where it keeps all layers.

    train: how the network was pre-trained; its loss, precision and memory layout are kept.
    Raises: ValueError where no landmark is annotated or the loss does not stay finite.
    """
    if not bool(patches.valid.any()):
        raise ValueError(f"none of the {len(patches)} training cases has an annotated landmark")
    if schedule.convention:
        shift = convention(predict(model, patches).points, true_points(patches))
        model.move(torch.as_tensor(shift, dtype=torch.float32, device=patches.device))
    if schedule.freeze == "all":
        return ()
    recipe = replace(
        train,
        epochs=schedule.epochs,
        batch=schedule.batch,
        optimiser=schedule.optimiser,
        rate=schedule.rate,
        momentum=schedule.momentum,
        weight_decay=schedule.weight_decay,
        augment=schedule.augment,
        compile=False,  # takes longer than to tune
    )
    learns = {id(parameter) for parameter in _learning(model, schedule)}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in learns)
    try:
        reports = fit(model, patches, recipe, seed=seed, rate_at=schedule.rate_at, hooks=Hooks(on_epoch=on_epoch))
    finally:
        model.requires_grad_(True)
    return tuple(report.loss for report in reports)


def _learning(model: LandmarkNet, schedule: Schedule) -> list[nn.Parameter]:
    if schedule.freeze == "features":
        return model.head_parameters()
    return model.decoder_parameters() if schedule.freeze == "encoder" else list(model.parameters())


def starting_network(loaded: LoadedModel, start: Start, seed: int) -> LandmarkNet:
    """A copy of the loaded network, or one of its architecture with fresh weights drawn from `seed`."""
    if start == "pretrained":
        return copy.deepcopy(loaded.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(loaded.card.model, loaded.card.anatomy)


def read_material(trial: Trial, device: str = "cpu") -> Material:
    """What the trial's folds share, its patches on `device`. Raises: ValueError where study or network do not fit."""
    loaded = load_model(trial.pretrained)
    reads = loaded.card.model.reads
    shown = not {"depth", "thickness"}.isdisjoint(reads)
    cases = read_cases(trial.study, anatomy_named(trial.anatomy), depth=shown)
    patches = Patches.from_samples(cases.samples, cases.anatomy, device, inputs=reads, crop=loaded.card.crop)
    return Material(loaded=loaded, cases=cases, patches=patches, folds=trial_folds(trial, cases))


def trial_folds(trial: Trial, cases: Cases) -> list[Fold]:
    """The trial's folds, in case indices of the whole study."""
    traits = traits_of(cases.attributes)
    if trial.folds is None:
        assert trial.inside is None, "inner folds are made inside given ones"
        return make_folds(cases.subjects, trial.num_folds, trial.seed, traits)
    folds = parse_folds(trial.folds, cases.subjects)
    if trial.inside is None:
        return folds
    return inner_folds(cases.subjects, folds[trial.inside], trial.num_folds, trial.seed, traits)


def run_fold(
    trial: Trial, number: int, on_epoch: OnEpoch | None = None, material: Material | None = None
) -> FoldResult:
    """Train on one fold's training subjects and predict its test cases. Sets this process's torch threads to 1.

    material: the trial's, where it was read before; the network is trained where its patches are.
    """
    torch.set_num_threads(1)
    material = material or read_material(trial)
    loaded, patches, fold = material.loaded, material.patches, material.folds[number]
    start = time.perf_counter()
    seed = fold_seed(trial.seed, number)
    model = starting_network(loaded, trial.start, seed).to(patches.device)
    train, test = (patches.select(torch.as_tensor(rows)) for rows in (fold.train, fold.test))
    losses = fine_tune(model, train, trial.trains_by, loaded.card.train, seed=seed, on_epoch=on_epoch)
    return fold_result(material.cases, fold, number, predict(model, test), losses, time.perf_counter() - start)


def fold_seed(seed: int, number: int) -> int:
    """The seed of a fold's training. The refit on all cases takes the number after the last fold's."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def fold_result(
    cases: Cases,
    fold: Fold,
    number: int,
    predictions: Predictions,
    losses: tuple[float, ...],
    seconds: float,
) -> FoldResult:
    """The FoldResult of the predictions of a fold's test cases."""
    everywhere = np.full(cases.points.shape, np.nan)
    everywhere[fold.test] = predictions.points
    return FoldResult(
        fold=number,
        test=fold.test,
        points=np.asarray(predictions.points, np.float64),
        sigma=np.asarray(predictions.sigma, np.float64),
        depth=np.asarray(predictions.depth, np.float64),
        error_px=summarise(cases.errors_px(everywhere)).overall_mean,
        error_mm=summarise(cases.errors_mm(everywhere)).overall_mean,
        losses=losses,
        num_train=len(fold.train),
        seconds=seconds,
    )


def to_json(result: TrialResult) -> dict[str, Any]:
    """A trial's result as JSON types; NaN becomes null."""
    return {
        "schedule": vars(result.schedule),
        "folds": [
            {name: _plain(value) for name, value in vars(fold).items()} for fold in result.folds
        ],
    }  # fmt: skip


def from_json(entry: dict[str, Any]) -> TrialResult:
    """The result of such an entry. Raises KeyError, TypeError or ValueError for anything else."""
    schedule = entry["schedule"]
    folds = tuple(
        FoldResult(
            fold=int(fold["fold"]),
            test=np.asarray(fold["test"], np.int64),
            points=np.asarray(fold["points"], np.float64),
            sigma=np.asarray(fold["sigma"], np.float64),
            depth=np.asarray(fold["depth"], np.float64),
            error_px=_number(fold["error_px"]),
            error_mm=_number(fold["error_mm"]),
            losses=tuple(fold["losses"]),
            num_train=int(fold["num_train"]),
            seconds=float(fold["seconds"]),
        )
        for fold in entry["folds"]
    )
    return TrialResult(
        schedule=Schedule(**{**schedule, "milestones": tuple(schedule["milestones"])}), folds=folds
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return np.where(np.isfinite(value), value.astype(object), None).tolist()  # type: ignore[call-overload]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _in_case_order(folds: Sequence[FoldResult], values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    together = np.concatenate([fold.test for fold in folds])
    return np.asarray(np.concatenate(values)[np.argsort(together)])
