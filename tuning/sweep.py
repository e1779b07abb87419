"""A sweep: every schedule of a recipe as a Ray Tune trial on one fold set, resumable and recorded.

OUT/sweep.json says what is compared, OUT/folds.csv on which folds, OUT/search.json what a search has proposed;
store.py keeps the trials. What is there is not run again; failed trials are.
"""

import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from synth.domain.storage import has_files, write_bytes
from training.loop import EpochReport
from tuning.cases import Cases, check_network
from tuning.folds import count_folds, parse_folds
from tuning.schedule import Schedule, SweepRecipe
from tuning.search import propose
from tuning.store import TrialStore, read_json, within
from tuning.trial import Trial, TrialResult, fold_seed, read_material, run_fold

REPORT_S = 2.0  # a trial reports its epochs to the driver at most this often
OnEpochs = Callable[[int], object]
OnTrial = Callable[[str], object]
SCHEDULES = TypeAdapter(tuple[Schedule, ...])


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep compares, as plain data. study, pretrained, out: URIs that every worker can reach.

    folds: the text of folds.csv; proposed: the schedules that the recipe's search has proposed so far
    """

    anatomy: str
    study: str
    pretrained: str
    out: str
    recipe: SweepRecipe
    folds: str
    proposed: tuple[Schedule, ...] = ()

    @property
    def store(self) -> TrialStore:
        """Where trials are kept."""
        return TrialStore(uri=within(self.out, "trials"))

    @property
    def num_folds(self) -> int:
        """The number of (outer) folds."""
        return count_folds(self.folds)

    @property
    def trials(self) -> dict[str, Trial]:
        """A trial per schedule, by name, in the recipe's order."""
        return {
            schedule.name: Trial(
                anatomy=self.anatomy,
                study=self.study,
                pretrained=self.pretrained,
                schedule=schedule,
                num_folds=self.num_folds,
                seed=self.recipe.seed,
                folds=self.folds,
            )
            for schedule in (*self.recipe.schedules, *self.proposed)
        }

    @property
    def jobs(self) -> dict[str, Trial]:
        """All trials by the name under which they are kept: those above, and of nested cross-validation the inner ones.

        Those are, for every outer fold, a trial per schedule on inner folds of its training subjects alone.
        """
        jobs = self.trials
        num_inner = self.recipe.inner_folds
        if num_inner is None:
            return jobs
        for number in range(self.num_folds):
            seed = fold_seed(self.recipe.seed, number)
            for name, trial in self.trials.items():
                jobs[inner_name(number, name)] = replace(trial, num_folds=num_inner, inside=number, seed=seed)
        return jobs


def inner_name(number: int, schedule: str) -> str:
    """The name of a schedule's trial on the inner folds of an outer fold."""
    return f"inner-{number:03d}/{schedule}"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """How many trials run at a time, and what share of a core and of a GPU Ray sets aside for each.

    A trial has one thread, and is trained on the GPU where it has a share of one.
    """

    workers: int
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A trial without a result, and the reason in one line."""

    trial: str
    reason: str


def open_sweep(sweep: Sweep, cases: Cases) -> str:
    """The sweep's id: that of the sweep in OUT where it compares the same, else a new one, whose files are begun.

    Raises: ValueError where network or folds do not fit the study, or OUT holds something else.
    """
    card = check_network(sweep.pretrained, cases)
    _check_inner(sweep, cases)
    settings = {
        "anatomy": sweep.anatomy,
        "study": cases.digest,
        "pretrained": card.digest,
        "recipe": TypeAdapter(SweepRecipe).dump_python(sweep.recipe, mode="json"),
        "folds": sweep.folds,
    }
    found = read_json(sweep.out, "sweep.json")
    if found is None:
        if has_files(sweep.out):
            raise ValueError(f"output {sweep.out} holds files but no sweep; choose another --out")
        found = {"format": "synthmark sweep", "id": uuid.uuid4().hex, "settings": settings}
        write_bytes(sweep.out, "sweep.json", (json.dumps(found, indent=1) + "\n").encode())
    if found.get("settings") != settings:
        raise ValueError(f"output {sweep.out} holds a sweep with other settings, folds or data; choose another --out")
    write_bytes(sweep.out, "folds.csv", sweep.folds.encode())
    return str(found["id"])


def _check_inner(sweep: Sweep, cases: Cases) -> None:
    for number, fold in enumerate(parse_folds(sweep.folds, cases.subjects)):
        trained = len({cases.subjects[i] for i in fold.train})
        if trained < (sweep.recipe.inner_folds or 0):
            raise ValueError(
                f"fold {number} trains on {trained} subject(s), too few for {sweep.recipe.inner_folds} inner folds; "
                "lower sweep.inner_folds, or set it to null for the plain protocol"
            )


def extended(sweep: Sweep) -> Sweep:
    """The sweep with the next batch of schedules that its search proposes, and all before; itself where there is none.

    They are kept before they are tried: whatever happens meanwhile, a trial's name stands for one schedule.
    """
    search = sweep.recipe.search
    if search is None:
        return sweep
    if not sweep.proposed:
        entry = read_json(sweep.out, "search.json") or {"schedules": []}
        if kept := SCHEDULES.validate_python(entry["schedules"]):
            return replace(sweep, proposed=kept)
    errors = {name: result.error_px for name, result in finished(sweep, sweep.trials).items()}
    new = propose(search, sweep.proposed, errors)
    if not new:
        return sweep
    longer = replace(sweep, proposed=(*sweep.proposed, *new))
    entry = {"schedules": SCHEDULES.dump_python(longer.proposed, mode="json")}
    write_bytes(sweep.out, "search.json", (json.dumps(entry, indent=1) + "\n").encode())
    return longer


def finished(sweep: Sweep, names: Iterable[str]) -> dict[str, TrialResult]:
    """The results there are of these trials, by name, in order."""
    jobs = sweep.jobs
    found = {name: sweep.store.read(name, jobs[name]) for name in names}
    return {name: result for name, result in found.items() if result is not None}


def finished_inner(sweep: Sweep) -> list[dict[str, TrialResult]]:
    """For each outer fold of nested cross-validation the results on its inner folds, by schedule name."""
    found = []
    for number in range(sweep.num_folds):
        names = {inner_name(number, name): name for name in sweep.trials}
        found.append({names[name]: result for name, result in finished(sweep, names).items()})
    return found


def failures(sweep: Sweep, results: Iterable[str]) -> list[Failure]:
    """The trials that are not among the results, in order, and why."""
    known = set(results)
    return [
        Failure(trial=name, reason=sweep.store.reason(name) or "its process ended without a word")
        for name in sweep.jobs
        if name not in known
    ]


def run_missing(
    sweep: Sweep, names: Sequence[str], resources: Resources, on_epochs: OnEpochs, on_trial: OnTrial
) -> None:
    """None; runs these trials. Ray must be running.

    on_epochs is told in the driver how many more epochs are done; on_trial each trial that ended, well or not.
    Raises: ValueError where no GPU is there to share.
    """
    import ray
    from ray import tune

    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # its CSV, JSON and TensorBoard files are not wanted
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # Ray 2.60: the new output prints tables even when verbose is 0
    if resources.gpus > ray.cluster_resources().get("GPU", 0):  # Tune would wait for ever
        raise ValueError(f"--gpus-per-trial {resources.gpus:g} cannot be had: Ray sees no such GPU; leave it out")

    class Watch(tune.Callback):  # type: ignore[misc]
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
            on_epochs(result["more_epochs"])

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            on_trial(trial.config["trial"])

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            on_trial(trial.config["trial"])

    for name in names:
        sweep.store.forget_reason(name)
    device = "cuda" if resources.gpus > 0 else "cpu"
    trainable = tune.with_parameters(tune_trial, sweep=sweep, device=device)
    with tempfile.TemporaryDirectory(prefix="synthmark-tune-") as storage:
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
            param_space={"trial": tune.grid_search(list(names))},
            tune_config=tune.TuneConfig(max_concurrent_trials=resources.workers, reuse_actors=True),
            run_config=tune.RunConfig(name="sweep", storage_path=storage, verbose=0, callbacks=[Watch()]),
        ).fit()


def tune_trial(config: dict[str, Any], sweep: Sweep, device: str) -> None:
    """What a Tune worker runs: one trial."""
    from ray import tune

    run_trial(sweep, config["trial"], lambda count: tune.report({"more_epochs": count}), device)


def run_trial(sweep: Sweep, name: str, on_epochs: OnEpochs, device: str = "cpu") -> None:
    """None; every fold of the trial that is not kept yet is trained and kept, then its result, or why it failed."""
    trial, waiting, reported = sweep.jobs[name], 0, time.monotonic()

    def on_epoch(report: EpochReport) -> None:
        nonlocal waiting, reported
        waiting += 1
        if time.monotonic() - reported >= REPORT_S:
            on_epochs(waiting)
            waiting, reported = 0, time.monotonic()

    try:
        material, folds = read_material(trial, device), []
        for number in range(trial.num_folds):
            kept = sweep.store.read_fold(name, trial, number)
            if kept is None:
                kept = run_fold(trial, number, on_epoch, material)
                sweep.store.write_fold(name, trial, kept)
                waiting += trial.schedule.epochs - len(kept.losses)  # it has none where no layer learns
            else:
                waiting += trial.schedule.epochs
            folds.append(kept)
        sweep.store.write(name, TrialResult(schedule=trial.schedule, folds=tuple(folds)))
    except Exception as error:
        # the driver reports it and the other trials go on; raised, Tune would print a page of traceback
        reason = " ".join(str(error).split())
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        sweep.store.write_reason(name, f"{kind}{reason}")
    on_epochs(waiting)
