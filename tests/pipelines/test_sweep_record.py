"""A sweep that is cut off at any of its steps goes on as the one run it was, and ends with everything recorded once."""

from collections import Counter

import pytest
from mlflow import MlflowClient

from pipelines import sweep as verb
from tests.mlflow_stores import new_store
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.tracking import find_runs, open_experiment
from tuning.sweep import run_trial

SCHEDULES = '[{"name": "quick", "epochs": 1}, {"name": "head", "epochs": 1, "freeze": "features"}]'
WHOLE = {("sweep", "FINISHED"): 1, ("schedule", "FINISHED"): 2, ("fold", "FINISHED"): 4}


class Cut(Exception):
    pass


def cut(*_: object, **__: object) -> None:
    raise Cut


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    study = write_toy(toy_samples(6, 1, per_subject=1, pixel_mm=2.0), str(folder / "study"))
    return study, write_network(str(folder / "network")), new_store(folder)


@pytest.fixture
def command(inputs, monkeypatch, tmp_path):
    """Runs the verb in this process, its trials one after the other."""
    study, network, store = inputs
    monkeypatch.setenv("SYNTHMARK_MLFLOW", store)
    monkeypatch.setattr(verb, "start_ray", lambda _: None)

    def run_missing(sweep, names, workers, on_epochs, on_trial):
        for name in names:
            run_trial(sweep, name, on_epochs)
            on_trial(name)

    monkeypatch.setattr(verb, "run_missing", run_missing)
    settings = ["--set", f"sweep.schedules={SCHEDULES}", "--set", "sweep.folds=2", "--experiment", tmp_path.name]
    return lambda: verb.main(
        ["hand_smoke", "--study", study, "--pretrained", network, "--out", str(tmp_path / "out"), *settings]
    )


def statuses(experiment) -> Counter:
    found = Counter()
    for kind in ("sweep", "schedule", "fold"):
        found.update((kind, status) for _, status in find_runs(experiment, {"synthmark.kind": kind}))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("step", ["record_trial", "choose", "save_refitted", "write_bytes", "record_choice"])
def test_a_sweep_that_was_cut_off_in_a_step_is_one_run_in_the_end(command, monkeypatch, tmp_path, step, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(verb, step, cut)
        with pytest.raises(Cut):
            command()
    experiment = open_experiment(tmp_path.name)
    assert not any(status == "RUNNING" for _, status in statuses(experiment))
    capsys.readouterr()
    for _ in range(2):  # the second time nothing is left to do
        assert "out/model: schedule " in command()
    assert statuses(experiment) == WHOLE
    ((run, _),) = find_runs(experiment, {"synthmark.kind": "sweep"})
    client = MlflowClient(experiment.uri)
    assert {file.path for file in client.list_artifacts(run.run_id)} == {
        "model", "errors.png", "learning_curves.png", "landmarks.png",
    }  # fmt: skip
    assert len(client.get_metric_history(run.run_id, "error_px")) == 1
    assert f"/runs/{run.run_id}" in capsys.readouterr().out
