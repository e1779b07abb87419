"""A sweep resumes: what is finished is not run again, a failing schedule stops nobody, MLflow shows each run once."""

import json
from collections import Counter

import pytest

from tests.commands import verb
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.tracking import Experiment, children_of, find_runs, open_experiment
from tuning.record import KIND_TAG
from tuning.schedule import Schedule, SweepRecipe
from tuning.sweep import Sweep, failures, finished_trials, open_sweep, run_trial, within

SCHEDULES = (
    Schedule(name="quick", epochs=2, rate=1e-3),
    Schedule(name="boom", epochs=4, rate=1e30, optimiser="sgd"),
    Schedule(name="head", epochs=2, rate=1e-3, freeze="features"),
)


@pytest.fixture
def sweep(tmp_path):
    write_toy(toy_samples(12, 1, per_subject=1, pixel_mm=2.0), str(tmp_path / "study"))
    write_network(str(tmp_path / "network"))
    return Sweep(
        anatomy="hand",
        study=str(tmp_path / "study"),
        pretrained=str(tmp_path / "network"),
        out=str(tmp_path / "out"),
        recipe=SweepRecipe(schedules=SCHEDULES, folds=2),
    )


def test_opening_a_sweep_again_is_the_same_sweep(sweep, tmp_path):
    first = open_sweep(sweep)
    assert open_sweep(sweep) == first
    other = SweepRecipe(schedules=SCHEDULES, folds=3)
    with pytest.raises(ValueError, match="other settings"):
        open_sweep(Sweep(**{**vars(sweep), "recipe": other}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="no sweep"):
        open_sweep(Sweep(**{**vars(sweep), "out": str(tmp_path / "mine")}))


def test_nothing_is_written_where_the_study_has_too_few_subjects(sweep, tmp_path):
    many = SweepRecipe(schedules=SCHEDULES, folds=13)
    with pytest.raises(ValueError, match="fewer than the 13 folds"):
        open_sweep(Sweep(**{**vars(sweep), "recipe": many}))
    assert not (tmp_path / "out").exists()


def test_trials_are_kept_and_failures_say_why(sweep, tmp_path):
    open_sweep(sweep)
    epochs = []
    for schedule in SCHEDULES[:2]:
        run_trial(sweep, schedule.name, epochs.append)
    assert sum(epochs) == 2 * 2 + 1  # all of the trial that finished, and one before the other failed
    results = finished_trials(sweep)
    assert list(results) == ["quick"]
    why = {failure.schedule: failure.reason for failure in failures(sweep, results)}
    assert "lower the learning rate" in why["boom"] and "without a word" in why["head"]
    path = tmp_path / "out" / "trials" / "quick.json"
    path.write_text(path.read_text()[:100])
    assert finished_trials(sweep) == {}, "a damaged result counts as none"


def test_results_keep_the_order_of_the_recipe(sweep):
    open_sweep(sweep)
    for name in ("head", "quick"):
        run_trial(sweep, name, lambda _: None)
    assert list(finished_trials(sweep)) == ["quick", "head"]


def test_options_of_an_object_store_stay_at_the_end():
    assert within("s3://bucket/a?region=x", "model") == "s3://bucket/a/model?region=x"
    assert within("/data/a/", "model") == "/data/a/model"
    assert within("/data/a?b", "model") == "/data/a?b/model"


def runs_by_status(home) -> tuple[Counter, Experiment]:
    experiment = open_experiment("sweep", f"sqlite:///{home}/mlflow.db")
    found = Counter()
    for kind in ("sweep", "schedule", "fold"):
        found.update((kind, status) for _, status in find_runs(experiment, {KIND_TAG: kind}))
    return found, experiment


@pytest.mark.slow
def test_a_rerun_repeats_no_finished_trial_and_leaves_no_run_twice(sweep, tmp_path):
    def command(schedules):
        plain = [{"name": s.name, "epochs": s.epochs, "rate": s.rate, "optimiser": s.optimiser, "freeze": s.freeze}
                 for s in schedules]  # fmt: skip
        return verb(
            "sweep", "hand_smoke", "--study", sweep.study, "--pretrained", sweep.pretrained, "--out", sweep.out,
            "--set", f"sweep.schedules={json.dumps(plain)}", "--set", "sweep.folds=2", home=tmp_path,
        )  # fmt: skip

    first = command(SCHEDULES)
    assert first.returncode == 0, first.stderr[-3000:]
    assert "schedule boom failed: loss is" in first.stdout
    assert "Traceback" not in first.stdout + first.stderr
    assert "out/model: schedule " in first.stdout.strip().splitlines()[-1]
    expected = {
        ("sweep", "FINISHED"): 1, ("schedule", "FINISHED"): 2, ("schedule", "FAILED"): 1, ("fold", "FINISHED"): 4,
    }  # fmt: skip
    runs, experiment = runs_by_status(tmp_path)
    assert runs == expected
    ((parent, _),) = find_runs(experiment, {KIND_TAG: "sweep"})
    assert len(children_of(parent)) == 3

    out = tmp_path / "out"
    kept = {path: path.stat().st_mtime_ns for path in (out / "trials" / "quick.json", out / "model" / "model.json")}
    chosen = (out / "schedule.json").read_bytes()
    (out / "trials" / "head.json").unlink()
    head_runs = runs_by_status(tmp_path)[0]
    second = command(SCHEDULES)
    assert second.returncode == 0, second.stderr[-3000:]
    assert (out / "trials" / "head.json").is_file()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (out / "schedule.json").read_bytes() == chosen
    assert runs_by_status(tmp_path)[0] == expected == head_runs
