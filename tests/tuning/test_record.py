"""A sweep in MLflow: the same names at every level, and what was cut off is mended, never doubled, never running."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient

from tests.mlflow_stores import new_store
from tests.tuning.toy import made_up_result, toy_cases
from training.tracking import Run, children_of, find_runs, finish_run, open_experiment, recorded, start_run
from tuning.record import open_sweep_run, record_choice, record_failure, record_trial, schedule_params
from tuning.schedule import Schedule

CASES = toy_cases(6, 1, pixel_mm=2.0, depth=1.0)
GENTLE, BRISK = Schedule(name="gentle", epochs=3), Schedule(name="brisk", epochs=3, rate=1e-5, milestones=(1, 2))


class Cut(Exception):
    pass


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return new_store(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def experiment(store, request):
    return open_experiment(request.node.name, store)


def statuses(run: Run) -> Counter:
    """How many runs below this one have which status, by level."""
    found = Counter()
    for child, status in children_of(run):
        found["schedule", status] += 1
        found.update(("fold", status) for _, status in children_of(child))
    return found


def data(run: Run):
    return MlflowClient(run.experiment.uri).get_run(run.run_id).data


def test_sweep_schedule_and_fold_have_the_same_names(experiment):
    regressed = np.zeros((2, 5))
    result = made_up_result(CASES, GENTLE, 3, 1.5, depth=regressed)
    with recorded(open_sweep_run(experiment, "one", "/out", "sweep", {})) as sweep:
        record_trial(sweep, CASES, result)
        ((schedule, _),) = children_of(sweep)
        record_choice(sweep, CASES, [result], GENTLE, "/out/model")
    fold = children_of(schedule)[0][0]
    errors = {"error_px", "error_mm", "depth_error_mm", *(f"error_px_{name}" for name in CASES.anatomy.names)}
    for run in (sweep, schedule, fold):
        metrics = data(run).metrics
        assert errors <= set(metrics)
        assert metrics["error_px"] == pytest.approx(1.5, abs=1e-4) == metrics["error_px_thumb_tip"]
        assert metrics["error_mm"] == pytest.approx(3.0, abs=1e-4) and metrics["depth_error_mm"] > 0
    assert data(fold).params.items() >= data(schedule).params.items()
    for run in (schedule, fold):
        history = MlflowClient(experiment.uri).get_metric_history(run.run_id, "train_loss")
        assert [point.step for point in history] == [0, 1, 2]
        assert [point.value for point in history] == pytest.approx(result.folds[0].losses)
    info = MlflowClient(experiment.uri).get_run(fold.run_id).info
    assert info.end_time - info.start_time >= 1000 * result.folds[0].seconds, "a fold shows how long it was trained"


def test_numbers_of_a_schedule_are_plain():
    params = schedule_params(replace(BRISK, milestones=(5,)))
    assert float(params["rate"]) == 1e-5 and float(params["milestones"]) == 5 and params["schedule"] == "brisk"
    assert schedule_params(BRISK)["milestones"] == "1 2" and schedule_params(GENTLE)["milestones"] == "none"


def test_the_best_schedule_is_tagged_and_stays_one_when_another_is_better(experiment):
    results = [made_up_result(CASES, schedule, 3, error) for schedule, error in ((GENTLE, 2.0), (BRISK, 1.0))]
    sweep = open_sweep_run(experiment, "one", "/out", "sweep", {})
    for result in results:
        record_trial(sweep, CASES, result)
    for best in (GENTLE, BRISK, BRISK):
        runs = record_choice(sweep, CASES, results, best, "/out/model")
    assert [data(run).tags["synthmark.best"] for run in runs] == ["false", "true"]
    found = data(sweep)
    assert found.tags["synthmark.best"] == "brisk" and found.metrics["error_px"] == pytest.approx(1.0, abs=1e-4)
    rows = found.tags["mlflow.note.content"].splitlines()
    assert [row.split("]")[0] for row in rows[-2:]] == ["| [brisk", "| [gentle"] and "`/out/model`" in rows[0]
    client = MlflowClient(experiment.uri)
    assert len(client.get_metric_history(sweep.run_id, "error_px")) == 2, "the same number is not recorded twice"
    figures = {artifact.path for artifact in client.list_artifacts(sweep.run_id)}
    assert figures == {"errors.png", "learning_curves.png", "landmarks.png"}


@pytest.mark.parametrize("call", [2, 3, 4])  # of a fold's end, between two, and of the schedule's
def test_a_record_that_was_cut_off_runs_no_longer_and_is_made_anew(experiment, monkeypatch, call):
    sweep, result = open_sweep_run(experiment, "one", "/out", "sweep", {}), made_up_result(CASES, GENTLE, 3, 1.5)
    log, calls = Run.log, []

    def cut(run: Run, **what: object) -> None:
        calls.append(run)
        if len(calls) == call:
            raise Cut
        log(run, **what)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", cut)
        with pytest.raises(Cut):
            record_trial(sweep, CASES, result)
    assert not any(status == "RUNNING" for _, status in statuses(sweep))
    for _ in range(2):
        record_trial(open_sweep_run(experiment, "one", "/out", "sweep", {}), CASES, result)
    assert statuses(sweep) == {("schedule", "FINISHED"): 1, ("fold", "FINISHED"): 3}


def test_what_a_killed_process_left_running_is_replaced(experiment):
    sweep, result = open_sweep_run(experiment, "one", "/out", "sweep", {}), made_up_result(CASES, GENTLE, 3, 1.5)
    tags = {"synthmark.schedule": "gentle", "synthmark.kind": "schedule"}
    left = start_run(experiment, "gentle", parent=sweep.run_id, tags=tags)
    start_run(experiment, "gentle fold 0", parent=left.run_id)
    again = open_sweep_run(experiment, "one", "/out", "sweep", {})
    assert again == sweep
    record_trial(again, CASES, result)
    assert statuses(sweep) == {("schedule", "FINISHED"): 1, ("fold", "FINISHED"): 3}


def test_a_failure_is_replaced_by_a_result_and_never_the_other_way(experiment):
    sweep = open_sweep_run(experiment, "one", "/out", "sweep", {})
    for _ in range(2):
        record_failure(sweep, GENTLE, "loss is nan")
    assert statuses(sweep) == {("schedule", "FAILED"): 1}
    record_trial(sweep, CASES, made_up_result(CASES, GENTLE, 3, 1.5))
    record_failure(sweep, GENTLE, "late")
    assert statuses(sweep) == {("schedule", "FINISHED"): 1, ("fold", "FINISHED"): 3}


def test_parameters_that_were_cut_off_are_completed_and_those_there_stay(experiment, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tuning.record.flatten", lambda _: {"a": "1"})
        sweep = open_sweep_run(experiment, "one", "/out", "sweep", {"a": 1, "b": {"c": 2}})
    again = open_sweep_run(experiment, "one", "/out", "sweep", {"a": 5, "b": {"c": 2}})
    assert again == sweep and data(sweep).params == {"a": "1", "b.c": "2"}


def test_a_killed_sweep_whose_output_was_removed_runs_no_longer(experiment):
    lost = open_sweep_run(experiment, "lost", "/it's/out", "sweep", {})
    child = start_run(experiment, "gentle", parent=lost.run_id)
    elsewhere = open_sweep_run(experiment, "elsewhere", "/other", "sweep", {})
    done = open_sweep_run(experiment, "done", "/it's/done", "sweep", {})
    finish_run(done)
    new = open_sweep_run(experiment, "new", "/it's/out", "sweep", {})
    status = {run.run_id: status for run, status in find_runs(experiment, {})}
    assert status == {
        lost.run_id: "KILLED", child.run_id: "KILLED", elsewhere.run_id: "RUNNING", done.run_id: "FINISHED",
        new.run_id: "RUNNING",
    }  # fmt: skip
