"""A sweep in MLflow: sweep -> schedule -> fold runs, with the same metric names and the schedule as parameters.

A run is found again by its tags, so that a rerun continues the sweep's run, leaves what is finished, and replaces
what an interrupted attempt left behind.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.tracking import Experiment, Run, children_of, delete_run, find_runs, finish_run, resume_run, start_run
from tuning.cases import Cases
from tuning.schedule import Schedule
from tuning.trial import FoldResult, TrialResult

SWEEP_TAG, SCHEDULE_TAG, KIND_TAG = "synthmark.sweep", "synthmark.schedule", "synthmark.kind"


def open_sweep_run(experiment: Experiment, sweep_id: str, name: str, params: dict[str, Any]) -> Run:
    """The run of the sweep with that id: the one of an earlier attempt, running again, or a new one."""
    found = find_runs(experiment, {SWEEP_TAG: sweep_id, KIND_TAG: "sweep"})
    resumed = resume_run(experiment, found[0][0].run_id) if found else None
    if resumed is not None:
        return resumed
    run = start_run(experiment, name, tags={SWEEP_TAG: sweep_id, KIND_TAG: "sweep"})
    run.log_params(params)
    return run


def record_trial(parent: Run, cases: Cases, result: TrialResult) -> None:
    """None; the schedule's run with a run per fold under it, unless it is already there and finished."""
    schedule = result.schedule
    if not _make_room(parent, schedule):
        return
    run = _start(parent, schedule)
    for fold in result.folds:
        child = start_run(
            run.experiment, f"{schedule.name} fold {fold.fold}", parent=run.run_id, tags={KIND_TAG: "fold"}
        )
        child.log_params({**vars(schedule), "fold": fold.fold, "train_cases": fold.num_train})
        child.log_metrics(fold_metrics(cases, [fold]))
        child.log_curves({"train_loss": list(enumerate(fold.losses))})
        finish_run(child)
    run.log_metrics({**fold_metrics(cases, result.folds), "error_px_sd_over_folds": result.error_px_sd})
    run.log_curves({"train_loss": list(enumerate(np.mean([fold.losses for fold in result.folds], axis=0)))})
    finish_run(run)


def record_failure(parent: Run, schedule: Schedule, reason: str) -> None:
    """None; the schedule's run, failed, with the reason as a tag; it replaces what an earlier attempt left."""
    if not _make_room(parent, schedule):
        return
    run = _start(parent, schedule)
    run.log_tags({"synthmark.reason": reason[:5000]})
    finish_run(run, "FAILED")


def fold_metrics(cases: Cases, folds: Sequence[FoldResult]) -> dict[str, float]:
    """Means over these folds: error_px, error_mm where the spacing is known, error_px_<landmark>, seconds."""
    metrics = {
        "error_px": _mean([fold.error_px for fold in folds]),
        "error_mm": _mean([fold.error_mm for fold in folds]),
        "seconds": _mean([fold.seconds for fold in folds]),
    }
    by_landmark = []
    for fold in folds:
        everywhere = np.full(cases.points.shape, np.nan)
        everywhere[fold.test] = fold.points
        errors = cases.errors_px(everywhere)
        by_landmark.append([_mean(column.tolist()) for column in errors.T])
    for k, landmark in enumerate(cases.anatomy.names):
        metrics[f"error_px_{landmark}"] = _mean([values[k] for values in by_landmark])
    return metrics


def _make_room(parent: Run, schedule: Schedule) -> bool:
    """Whether the schedule has yet to be recorded; what is there and did not finish is deleted."""
    for run, status in children_of(parent, {SCHEDULE_TAG: schedule.name}):
        if status == "FINISHED":
            return False
        delete_run(run)
    return True


def _start(parent: Run, schedule: Schedule) -> Run:
    tags = {SCHEDULE_TAG: schedule.name, KIND_TAG: "schedule"}
    run = start_run(parent.experiment, schedule.name, parent=parent.run_id, tags=tags)
    run.log_params(vars(schedule))
    return run


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
