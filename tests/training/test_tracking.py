"""MLflow: absolute places, nested runs, whole curves."""

import sqlite3
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient

from training.registry import local_model
from training.tracking import (
    default_uri,
    finish_run,
    flatten,
    open_experiment,
    recorded,
    resume_run,
    start_run,
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return open_experiment("a study", f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/runs.db")


def test_default_place_is_absolute_and_can_be_set(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SYNTHMARK_MLFLOW", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_uri() == f"sqlite:///{tmp_path}/synthmark/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    assert default_uri() == "http://localhost:1"
    monkeypatch.setenv("SYNTHMARK_MLFLOW", "sqlite:////x.db")
    assert default_uri() == "sqlite:////x.db"


def test_artifacts_lie_beside_the_database_wherever_one_works(experiment, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = start_run(experiment, "one")
    with recorded(run):
        run.log_files({"model.json": b"{}"}, "model")
    store = Path(experiment.uri.removeprefix("sqlite:///")).parent
    assert len(list(store.rglob("model/model.json"))) == 1
    assert not list(tmp_path.iterdir())


def test_a_relative_database_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert open_experiment("x", "sqlite:///here.db").uri == f"sqlite:///{tmp_path}/here.db"


def test_an_experiment_is_made_once(experiment):
    assert open_experiment("a study", experiment.uri) == experiment


def test_parameters_curves_parents_and_status(experiment):
    parent = start_run(experiment, "parent")
    child = start_run(experiment, "child", parent=parent.run_id, tags={"fold": "0"})
    with pytest.raises(RuntimeError, match="boom"), recorded(child):
        child.log(
            params={"train": {"rate": 0.1}, "schedules": [{"name": "a"}, {"name": "b"}]},
            curves={"loss": [(step, 1 / (step + 1)) for step in range(1500)], "bad": [(0, float("nan"))]},
        )
        raise RuntimeError("boom")
    finish_run(parent)
    client = MlflowClient(experiment.uri)
    found = client.get_run(child.run_id)
    assert found.info.status == "FAILED" and found.data.tags["mlflow.parentRunId"] == parent.run_id
    assert found.data.params == {"train.rate": "0.1", "schedules.0.name": "a", "schedules.1.name": "b"}
    assert len(client.get_metric_history(child.run_id, "loss")) == 1500 and "bad" not in found.data.metrics
    assert resume_run(experiment, child.run_id) == child and resume_run(experiment, "0" * 32) is None


def test_flatten_keeps_plain_lists_whole():
    assert flatten({"a": {"b": [1, 2]}, "c": None}) == {"a.b": "[1, 2]", "c": "None"}


def test_a_model_folder_is_taken_as_it_is_and_a_missing_mlflow_model_is_one_line(experiment, monkeypatch):
    assert local_model("/data/model") == "/data/model"
    monkeypatch.setenv("SYNTHMARK_MLFLOW", experiment.uri)
    with pytest.raises(ValueError, match="model models:/nothing/1 cannot be fetched"):
        local_model("models:/nothing/1")


def test_a_model_of_a_run_is_fetched(experiment, monkeypatch):
    run = start_run(experiment, "with model")
    with recorded(run):
        run.log_files({"model.json": b"{}", "model.safetensors": b""}, "model")
    monkeypatch.setenv("SYNTHMARK_MLFLOW", experiment.uri)
    assert (Path(local_model(f"runs:/{run.run_id}/model")) / "model.json").read_bytes() == b"{}"


@pytest.mark.slow
def test_a_store_that_others_write_to_is_waited_for(experiment):
    """SQLite gives up after 5 s by default; on a busy machine another run may hold the store for longer."""
    run = start_run(experiment, "patient")
    held = sqlite3.connect(experiment.uri.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    held.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(7, lambda: held.execute("COMMIT"))
    release.start()
    run.log_metrics({"loss": 1.0})
    release.join()
    assert run.values()[1]["loss"] == 1.0
