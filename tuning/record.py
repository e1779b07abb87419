"""A sweep in MLflow: sweep -> schedule -> fold runs, with the same metric names at each, the schedule as parameters.

A run is found again by its tags, so that a rerun continues the sweep's run, leaves what is finished, and replaces
what an interrupted attempt left behind.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from training.mlflow_ui import compare_link, run_link
from training.tracking import (
    Experiment,
    Run,
    at_step,
    children_of,
    delete_run,
    end_lost_run,
    find_runs,
    finish_run,
    flatten,
    recorded,
    resume_run,
    start_run,
)
from tuning.cases import Cases
from tuning.schedule import Schedule
from tuning.sweep_figures import curve_figure, error_figure, landmark_figure
from tuning.trial import FoldResult, TrialResult

SWEEP_TAG, OUT_TAG = "synthmark.sweep", "synthmark.out"
SCHEDULE_TAG, KIND_TAG, BEST_TAG = "synthmark.schedule", "synthmark.kind", "synthmark.best"


def open_sweep_run(experiment: Experiment, sweep_id: str, out: str, name: str, params: dict[str, Any]) -> Run:
    """The run of the sweep with that id: the one of an earlier attempt, running again, or a new one.

    out: where the sweep writes. A killed sweep whose files there were removed can never go on: its runs are ended.
    """
    place = hashlib.sha256(out.encode()).hexdigest()
    for other, status in find_runs(experiment, {OUT_TAG: place, KIND_TAG: "sweep"}):
        if status == "RUNNING":
            end_lost_run(other)
    found = find_runs(experiment, {SWEEP_TAG: sweep_id, KIND_TAG: "sweep"})
    run = resume_run(experiment, found[0][0].run_id) if found else None
    if run is None:
        run = start_run(experiment, name, tags={SWEEP_TAG: sweep_id, OUT_TAG: place, KIND_TAG: "sweep"})
    known, _ = run.values()  # an attempt may have been cut off before it had recorded all of them
    run.log(params={key: text for key, text in flatten(params).items() if key not in known})
    return run


def record_trial(parent: Run, cases: Cases, result: TrialResult) -> None:
    """None; the schedule's run with a run per fold under it, unless it is already there and finished."""
    schedule = result.schedule
    if not _make_room(parent, schedule):
        return
    params = schedule_params(schedule)
    with recorded(_start(parent, schedule, sum(fold.seconds for fold in result.folds))) as run:
        for fold in result.folds:
            _record_fold(run, cases, params, fold)
        metrics = {**fold_metrics(cases, result.folds), "error_px_sd": result.error_px_sd}
        losses = np.mean([fold.losses for fold in result.folds], axis=0)
        run.log(params=params, curves={**at_step(metrics), "train_loss": enumerate(losses)})


def record_failure(parent: Run, schedule: Schedule, reason: str) -> None:
    """None; the schedule's run, failed, with the reason as a tag; it replaces what an earlier attempt left."""
    if not _make_room(parent, schedule):
        return
    run = _start(parent, schedule)
    run.log(params=schedule_params(schedule), tags={"synthmark.reason": reason[:5000]})
    finish_run(run, "FAILED")


def record_choice(parent: Run, cases: Cases, results: Sequence[TrialResult], best: Schedule, model: str) -> list[Run]:
    """The schedules' runs, the best one tagged; the sweep's run gets its metrics, the table, and the figures.

    model: where the network is that was refitted with the best schedule
    """
    runs = {result.schedule.name: _schedule_run(parent, result.schedule) for result in results}
    for name, run in runs.items():
        run.log(tags={BEST_TAG: str(name == best.name).lower()})
    (chosen,) = (result for result in results if result.schedule == best)
    metrics = {**fold_metrics(cases, chosen.folds), "error_px_sd": chosen.error_px_sd}
    known = parent.values()[1]
    parent.log_metrics({name: value for name, value in metrics.items() if known.get(name) != value})
    parent.log(tags={BEST_TAG: best.name, "mlflow.note.content": sweep_note(runs, results, best, model)})
    figures = {
        "errors.png": error_figure(results, best),
        "learning_curves.png": curve_figure(results, best),
        "landmarks.png": landmark_figure(
            {result.schedule.name: landmark_errors_px(cases, result.folds) for result in results}, cases.anatomy.names
        ),
    }
    for name, figure in figures.items():
        parent.log_figure(figure, name)
    return list(runs.values())


def sweep_note(runs: dict[str, Run], results: Sequence[TrialResult], best: Schedule, model: str) -> str:
    """Markdown: the schedules from the best to the worst, each linked to its run, and where the model is."""
    rows = [
        f"| [{name}]({run_link(runs[name])}) | {result.error_px:.3f} ± {result.error_px_sd:.3f} "
        f"| {_mean([fold.error_mm for fold in result.folds]):.2f} |"
        for result in sorted(results, key=lambda result: result.error_px)
        for name in [result.schedule.name]
    ]
    return "\n".join(
        [
            f"Chosen: **{best.name}**. [Compare the schedules]({compare_link(list(runs.values()))}). "
            f"Model, refitted on every case: `{model}`",
            "",
            f"| schedule | patch px, mean ± deviation over {len(results[0].folds)} folds | mm |",
            "|---|---|---|",
            *rows,
        ]
    )


def schedule_params(schedule: Schedule) -> dict[str, str]:
    """The schedule as parameters: numbers are plain, several are joined by a space, none at all is "none".

    MLflow draws a parameter on a scale of numbers only where every run's is one.
    """
    fields = {("schedule" if key == "name" else key): value for key, value in vars(schedule).items()}
    return {
        key: " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
        for key, value in fields.items()
    }


def fold_metrics(cases: Cases, folds: Sequence[FoldResult]) -> dict[str, float]:
    """Means over these folds: error_px, error_px_<landmark>, seconds, and where known error_mm, depth_error_mm."""
    metrics = {
        "error_px": _mean([fold.error_px for fold in folds]),
        "error_mm": _mean([fold.error_mm for fold in folds]),
        "depth_error_mm": _mean([_depth_error_mm(cases, fold) for fold in folds]),
        "seconds": _mean([fold.seconds for fold in folds]),
    }
    errors = landmark_errors_px(cases, folds)
    return metrics | {f"error_px_{name}": error for name, error in zip(cases.anatomy.names, errors, strict=True)}


def landmark_errors_px(cases: Cases, folds: Sequence[FoldResult]) -> list[float]:
    """(K,) patch px: every landmark's mean over folds of its mean error in a fold; NaN where it is never annotated."""
    by_fold = []
    for fold in folds:
        everywhere = np.full(cases.points.shape, np.nan)
        everywhere[fold.test] = fold.points
        by_fold.append([_mean(column.tolist()) for column in cases.errors_px(everywhere).T])
    return [_mean(column) for column in zip(*by_fold, strict=True)]


def _depth_error_mm(cases: Cases, fold: FoldResult) -> float:
    everywhere = np.full(cases.points.shape[:2], np.nan)
    everywhere[fold.test] = fold.depth
    return _mean(cases.depth_errors_mm(everywhere).ravel().tolist()) if np.isfinite(fold.depth).any() else float("nan")


def _record_fold(parent: Run, cases: Cases, params: dict[str, str], fold: FoldResult) -> None:
    name, tags = f"{params['schedule']} fold {fold.fold}", {KIND_TAG: "fold"}
    run = start_run(parent.experiment, name, parent=parent.run_id, tags=tags, seconds_ago=fold.seconds)
    with recorded(run):
        run.log(
            params={**params, "fold": fold.fold, "train_cases": fold.num_train},
            curves={**at_step(fold_metrics(cases, [fold])), "train_loss": enumerate(fold.losses)},
        )


def _make_room(parent: Run, schedule: Schedule) -> bool:
    """Whether the schedule has yet to be recorded; what is there and did not finish is deleted."""
    for run, status in children_of(parent, {SCHEDULE_TAG: schedule.name}):
        if status == "FINISHED":
            return False
        delete_run(run)
    return True


def _schedule_run(parent: Run, schedule: Schedule) -> Run:
    recorded_ones = children_of(parent, {SCHEDULE_TAG: schedule.name})
    return next(run for run, status in recorded_ones if status == "FINISHED")


def _start(parent: Run, schedule: Schedule, seconds_ago: float = 0.0) -> Run:
    tags = {SCHEDULE_TAG: schedule.name, KIND_TAG: "schedule"}
    return start_run(parent.experiment, schedule.name, parent=parent.run_id, tags=tags, seconds_ago=seconds_ago)


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
