"""A sweep: every schedule of a recipe as a Ray Tune trial on one fold set, resumable and recorded.

OUT/sweep.json says what is compared; OUT/trials/<schedule>.json is a finished trial, written in one step, and
OUT/trials/<schedule>.failed.json why one failed. What is there is not run again; failed trials are.
"""

import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs
from pydantic import TypeAdapter

from synth.domain.anatomy import anatomy_named
from synth.domain.storage import filesystem, has_files, write_bytes
from training.loop import EpochReport
from tuning.cases import check_network, read_cases
from tuning.folds import folds_text, make_folds
from tuning.schedule import SweepRecipe
from tuning.trial import Trial, TrialResult, from_json, run_fold, to_json

REPORT_S = 2.0  # a trial reports its epochs to the driver at most this often
OnEpochs = Callable[[int], object]
OnTrial = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep compares, as plain data. study, pretrained, out: URIs that every worker can reach."""

    anatomy: str
    study: str
    pretrained: str
    out: str
    recipe: SweepRecipe

    @property
    def trials_uri(self) -> str:
        """Where finished trials lie."""
        return within(self.out, "trials")

    @property
    def trials(self) -> dict[str, Trial]:
        """A trial per schedule, by name, in the recipe's order."""
        return {
            schedule.name: Trial(
                anatomy=self.anatomy,
                study=self.study,
                pretrained=self.pretrained,
                schedule=schedule,
                num_folds=self.recipe.folds,
                seed=self.recipe.seed,
            )
            for schedule in self.recipe.schedules
        }


def within(uri: str, folder: str) -> str:
    """The URI of a folder in another; what follows a ? (an object store's options) stays at the end."""
    base, mark, options = uri.partition("?") if "://" in uri else (uri, "", "")
    return f"{base.rstrip('/')}/{folder}{mark}{options}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A schedule without a result, and the reason in one line."""

    schedule: str
    reason: str


def open_sweep(sweep: Sweep) -> str:
    """The sweep's id: that of the sweep in OUT where it compares the same, else a new one, whose files are begun.

    Raises: ValueError where study or network do not fit the recipe, or OUT holds something else.
    """
    cases = read_cases(sweep.study, anatomy_named(sweep.anatomy), depth=False)
    folds = make_folds(cases.subjects, sweep.recipe.folds, sweep.recipe.seed)
    card = check_network(sweep.pretrained, cases)
    settings = {
        "anatomy": sweep.anatomy,
        "study": cases.digest,
        "pretrained": card.digest,
        "recipe": TypeAdapter(SweepRecipe).dump_python(sweep.recipe, mode="json"),
    }
    found = _read_json(sweep.out, "sweep.json")
    if found is None:
        if has_files(sweep.out):
            raise ValueError(f"output {sweep.out} holds files but no sweep; choose another --out")
        found = {"format": "synthmark sweep", "id": uuid.uuid4().hex, "settings": settings}
        write_bytes(sweep.out, "folds.csv", folds_text(cases.subjects, folds).encode())
        write_bytes(sweep.out, "sweep.json", (json.dumps(found, indent=1) + "\n").encode())
    if found.get("settings") != settings:
        raise ValueError(f"output {sweep.out} holds a sweep with other settings or data; choose another --out")
    return str(found["id"])


def finished_trials(sweep: Sweep) -> dict[str, TrialResult]:
    """The results there are in OUT, by schedule, in the recipe's order. A damaged file counts as none."""
    results = {}
    for name, trial in sweep.trials.items():
        entry = _read_json(sweep.trials_uri, f"{name}.json")
        try:
            result = from_json(entry) if entry is not None else None
        except (KeyError, TypeError, ValueError):
            continue
        if result is not None and result.schedule == trial.schedule and len(result.folds) == trial.num_folds:
            results[name] = result
    return results


def failures(sweep: Sweep, results: dict[str, TrialResult]) -> list[Failure]:
    """The schedules without a result and why, in the recipe's order."""
    found = []
    for name in sweep.trials:
        if name not in results:
            entry = _read_json(sweep.trials_uri, f"{name}.failed.json") or {}
            found.append(Failure(schedule=name, reason=str(entry.get("reason", "its process ended without a word"))))
    return found


def run_missing(sweep: Sweep, names: Sequence[str], workers: int, on_epochs: OnEpochs, on_trial: OnTrial) -> None:
    """None; runs the trials of these schedules, at most `workers` at a time, each on one core. Ray must be running.

    on_epochs is told in the driver how many more epochs are done; on_trial each schedule that ended, well or not.
    """
    from ray import tune

    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # its CSV, JSON and TensorBoard files are not wanted
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # Ray 2.60: the new output prints tables even when verbose is 0

    class Watch(tune.Callback):  # type: ignore[misc]
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
            on_epochs(result["more_epochs"])

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            on_trial(trial.config["schedule"])

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            on_trial(trial.config["schedule"])

    for name in names:  # an old reason must not stand for a process that is killed this time
        _forget(sweep.trials_uri, f"{name}.failed.json")
    with tempfile.TemporaryDirectory(prefix="synthmark-tune-") as storage:
        tune.Tuner(
            tune.with_resources(tune.with_parameters(tune_trial, sweep=sweep), {"cpu": 1}),
            param_space={"schedule": tune.grid_search(list(names))},
            tune_config=tune.TuneConfig(max_concurrent_trials=workers, reuse_actors=True),
            run_config=tune.RunConfig(name="sweep", storage_path=storage, verbose=0, callbacks=[Watch()]),
        ).fit()


def tune_trial(config: dict[str, Any], sweep: Sweep) -> None:
    """None; one trial: runs its folds and writes its result, or the reason of its failure, under OUT/trials."""
    from ray import tune

    def report(epochs: int) -> None:
        tune.report({"more_epochs": epochs})

    run_trial(sweep, config["schedule"], report)


def run_trial(sweep: Sweep, name: str, on_epochs: OnEpochs) -> None:
    """None; all folds of one schedule, one after the other; the result, or why there is none, goes to OUT/trials."""
    trial = sweep.trials[name]
    waiting, reported = 0, time.monotonic()

    def on_epoch(_: EpochReport) -> None:
        nonlocal waiting, reported
        waiting += 1
        if time.monotonic() - reported >= REPORT_S:
            on_epochs(waiting)
            waiting, reported = 0, time.monotonic()

    try:
        folds = tuple(run_fold(trial, number, on_epoch) for number in range(trial.num_folds))
        kept, entry = f"{name}.json", to_json(TrialResult(schedule=trial.schedule, folds=folds))
    except Exception as error:
        # the driver reports it and the other schedules go on; raised, Tune would print a page of traceback
        reason = " ".join(str(error).split())
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        kept, entry = f"{name}.failed.json", {"reason": f"{kind}{reason}"}
    write_bytes(sweep.trials_uri, kept, (json.dumps(entry, allow_nan=False) + "\n").encode())
    on_epochs(waiting)


def _forget(uri: str, name: str) -> None:
    fs, base = filesystem(uri)
    if fs.get_file_info(f"{base}/{name}").type == pafs.FileType.File:
        fs.delete_file(f"{base}/{name}")


def _read_json(uri: str, name: str) -> dict[str, Any] | None:
    """The object in a JSON file under `uri`, or None where it is missing or no such object."""
    fs, base = filesystem(uri)
    path = f"{base}/{name}"
    if fs.get_file_info(path).type != pafs.FileType.File:
        return None
    with fs.open_input_stream(path) as stream:
        raw = stream.read()
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
