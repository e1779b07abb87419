"""A sweep resumes: what is finished is not run again, a failing schedule stops nobody, MLflow shows each run once."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from synth.domain.anatomy import HAND
from tests.in_process import perform
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.tracking import Experiment, children_of, find_runs, open_experiment
from tuning.cases import read_cases
from tuning.folds import folds_text, make_folds
from tuning.record import KIND_TAG
from tuning.schedule import Schedule, Search, SweepRecipe
from tuning.store import within
from tuning.sweep import Sweep, extended, failures, finished, open_sweep, run_trial
from tuning.trial import run_fold, to_json

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
        folds=toy_folds(2),
    )


def toy_folds(k):
    subjects = [f"subject{i:02d}" for i in range(12)]
    return folds_text(subjects, make_folds(subjects, k, 1))


def opened(sweep):
    return open_sweep(sweep, read_cases(sweep.study, HAND, depth=False))


def run(sweep, name, on_epochs=lambda _: None):
    run_trial(sweep, name, on_epochs)


def test_opening_a_sweep_again_is_the_same_sweep(sweep, tmp_path):
    first = opened(sweep)
    assert opened(sweep) == first
    assert (tmp_path / "out" / "folds.csv").read_text() == sweep.folds
    for other in (
        replace(sweep, recipe=SweepRecipe(schedules=SCHEDULES[:1], folds=2)),
        replace(sweep, folds=toy_folds(3)),
    ):
        with pytest.raises(ValueError, match="other settings"):
            opened(other)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="no sweep"):
        opened(replace(sweep, out=str(tmp_path / "mine")))


def test_inner_folds_need_subjects_to_divide(sweep, tmp_path):
    nested = SweepRecipe(schedules=SCHEDULES, folds=2, inner_folds=6)
    opened(replace(sweep, recipe=nested))
    with pytest.raises(ValueError, match=r"fold 0 trains on 6 subject\(s\), too few for 7 inner folds"):
        opened(replace(sweep, recipe=replace(nested, inner_folds=7), out=str(tmp_path / "other")))
    assert not (tmp_path / "other").exists()


def test_trials_are_kept_and_failures_say_why(sweep, tmp_path):
    epochs = []
    for schedule in SCHEDULES[:2]:
        run(sweep, schedule.name, epochs.append)
    assert sum(epochs) == 2 * 2 + 1  # all of the trial that finished, and one before the other failed
    results = finished(sweep, sweep.trials)
    assert list(results) == ["quick"]
    why = {failure.trial: failure.reason for failure in failures(sweep, results)}
    assert "lower the learning rate" in why["boom"] and "without a word" in why["head"]
    path = tmp_path / "out" / "trials" / "quick.json"
    path.write_text(path.read_text()[:100])
    assert finished(sweep, sweep.trials) == {}, "a damaged result counts as none"


def test_a_trial_in_which_no_layer_learns_is_done_in_all_its_epochs(sweep, tmp_path):
    still = Schedule(name="still", epochs=3, freeze="all")
    other = replace(sweep, recipe=SweepRecipe(schedules=(still,), folds=2), out=str(tmp_path / "still"))
    opened(other)
    epochs = []
    run(other, "still", epochs.append)
    assert sum(epochs) == 2 * 3
    assert [fold.losses for fold in finished(other, other.trials)["still"].folds] == [(), ()]


def test_results_keep_the_order_of_the_recipe(sweep):
    for name in ("head", "quick"):
        run(sweep, name)
    assert list(finished(sweep, sweep.trials)) == ["quick", "head"]


def test_a_trial_that_was_cut_off_goes_on_after_its_last_finished_fold(sweep, tmp_path, monkeypatch):
    run(sweep, "quick")
    whole = to_json(finished(sweep, ["quick"])["quick"])
    (tmp_path / "out" / "trials" / "quick.json").unlink()

    numbers, cut_off = [], True

    def watched(trial, number, *others):
        numbers.append(number)
        if number == 1 and cut_off:
            raise KeyboardInterrupt
        return run_fold(trial, number, *others)

    monkeypatch.setattr("tuning.sweep.run_fold", watched)
    with pytest.raises(KeyboardInterrupt):
        run(sweep, "quick")
    assert finished(sweep, ["quick"]) == {} and (tmp_path / "out" / "trials" / "quick" / "fold-000.json").is_file()
    cut_off, epochs = False, []
    run(sweep, "quick", epochs.append)
    assert numbers == [0, 1, 1] and sum(epochs) == 4
    again = to_json(finished(sweep, ["quick"])["quick"])
    for entry in (whole, again):
        for fold in entry["folds"]:
            del fold["seconds"]
    assert whole == again, "a kept fold is as good as a trained one"
    assert not (tmp_path / "out" / "trials" / "quick").exists()


def test_a_kept_fold_of_another_schedule_counts_as_none(sweep):
    trial = sweep.trials["quick"]
    sweep.store.write_fold("quick", trial, run_fold(trial, 0))
    assert sweep.store.read_fold("quick", trial, 0) is not None
    assert sweep.store.read_fold("quick", replace(trial, schedule=replace(SCHEDULES[0], epochs=3)), 0) is None
    assert sweep.store.read_fold("quick", trial, 1) is None


def test_a_search_that_was_cut_off_proposes_what_it_would_have(sweep, tmp_path):
    search = Search(num_trials=3, at_a_time=2, epochs=(1, 2))
    searching = replace(sweep, recipe=SweepRecipe(schedules=SCHEDULES[:1], folds=2, search=search))
    first = extended(searching)
    assert list(first.trials) == ["quick", "trial-000", "trial-001"]
    assert extended(searching) == first, "what was proposed before it was cut off comes first"
    run(first, "trial-000")
    run(first, "trial-001")
    last = extended(first)
    assert list(last.trials) == [*first.trials, "trial-002"] and extended(last) == last
    assert extended(searching) == last
    (tmp_path / "out" / "search.json").unlink()
    assert extended(extended(searching)) == last, "the same errors give the same schedules"


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
@pytest.mark.alone
@pytest.mark.usefixtures("local_ray")
def test_a_rerun_repeats_no_finished_trial_and_leaves_no_run_twice(sweep, tmp_path, capfd):
    def command(schedules):
        plain = [{"name": s.name, "epochs": s.epochs, "rate": s.rate, "optimiser": s.optimiser, "freeze": s.freeze}
                 for s in schedules]  # fmt: skip
        return perform(
            "sweep", "hand_smoke", "--study", sweep.study, "--pretrained", sweep.pretrained, "--out", sweep.out,
            "--set", f"sweep.schedules={json.dumps(plain)}", "--set", "sweep.folds=2", home=tmp_path,
        )  # fmt: skip

    assert "out/model: schedule " in command(SCHEDULES)
    said = capfd.readouterr()
    assert "schedule boom failed: loss is" in said.out
    assert "Traceback" not in said.out + said.err
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
    command(SCHEDULES)
    assert (out / "trials" / "head.json").is_file()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (out / "schedule.json").read_bytes() == chosen
    assert runs_by_status(tmp_path)[0] == expected == head_runs
