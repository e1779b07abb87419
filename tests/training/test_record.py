"""What MLflow keeps of a pre-training that was cut off and went on: one run, each point once."""

import numpy as np
import pytest
from mlflow import MlflowClient

from pipelines.pretrain import job_of, main
from tests.mlflow_stores import new_store
from tests.training.toy import toy_dataset, toy_job
from training.board import Point
from training.job import claim_output
from training.models import ModelRecipe
from training.outcome import finish
from training.pretraining import train
from training.recipe import TrainRecipe
from training.record import examples, open_record
from training.split import read_split
from training.tracking import find_runs, finish_run, open_experiment


class Cut(Exception):
    pass


def test_a_run_that_went_on_is_one_run_with_each_point_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SYNTHMARK_MLFLOW", new_store(tmp_path))
    job = toy_job(tmp_path, 40, model=ModelRecipe(width=8), train=TrainRecipe(epochs=3, batch=8))
    manifest, split = claim_output(job), read_split(job)
    first = open_record(job, manifest, "x", 1)
    first.points([Point(step, 1 / step, 0.1, 100.0) for step in range(1, 4)])

    def stop(entry: dict[str, float]) -> None:
        first.epoch(entry)
        raise Cut

    with pytest.raises(Cut):
        train(job, split, lambda network: network, on_entry=stop)
    finish_run(first.run, "FAILED")
    capsys.readouterr()

    again = open_record(job, manifest, "x", 1)
    assert again.run == first.run and capsys.readouterr().err == "continues at epoch 2, step 0 of 5, of 3 epochs\n"
    again.points([Point(step, 1 / step, 0.1, 100.0) for step in range(2, 6)])
    finish(job, train(job, split, lambda network: network, on_entry=again.epoch), split.held_out)
    again.close(job)
    finish_run(again.run)

    client = MlflowClient(again.run.experiment.uri)

    def steps(name: str) -> list[int]:
        return sorted(metric.step for metric in client.get_metric_history(again.run.run_id, name))

    assert steps("step_loss") == [1, 2, 3, 4, 5] and steps("step_images_per_s") == [1, 2, 3, 4, 5]
    assert steps("loss") == steps("wait_share") == [0, 1, 2]
    tags = client.get_run(again.run.run_id).data.tags
    assert tags["model"] == "models:/synthmark-hand/1" and len(find_runs(open_experiment("x"), {})) == 1
    assert {artifact.path for artifact in client.list_artifacts(again.run.run_id)} >= {"examples.png", "model"}


def test_a_job_that_begins_anew_is_a_run_of_its_own_and_ends_the_lost_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMARK_MLFLOW", new_store(tmp_path))
    job = toy_job(tmp_path, 40, model=ModelRecipe(width=8), train=TrainRecipe(epochs=1, batch=8))
    manifest = claim_output(job)
    first, second = open_record(job, manifest, "x", 1).run, open_record(job, manifest, "x", 1).run
    status = {run.run_id: status for run, status in find_runs(first.experiment, {})}
    assert status == {first.run_id: "KILLED", second.run_id: "RUNNING"}, "one that can never go on runs for ever"


def test_workers_that_were_lost_between_two_sendings_double_no_point(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMARK_MLFLOW", new_store(tmp_path))
    job = toy_job(tmp_path, 40, model=ModelRecipe(width=8), train=TrainRecipe(epochs=1, batch=8))
    record = open_record(job, claim_output(job), "x", 1)
    for speed, steps in ((100.0, (1,)), (100.0, (2, 3, 4)), (90.0, (3, 4, 5))):  # 3 and 4 again, at another speed
        record.points([Point(step, 1 / step, 0.1, speed) for step in steps])
    record.flush()
    history = MlflowClient(record.run.experiment.uri).get_metric_history(record.run.run_id, "step_images_per_s")
    assert [metric.step for metric in history] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("lost_in", ["register", "example_figure"])
def test_a_model_whose_driver_was_lost_before_it_was_recorded_is_recorded_later(tmp_path, monkeypatch, lost_in):
    monkeypatch.setenv("SYNTHMARK_MLFLOW", new_store(tmp_path))
    toy_dataset(str(tmp_path / "data"), 40, 1)
    overrides = ["model.width=8", "train.epochs=1"]
    job = job_of("hand_smoke", overrides, str(tmp_path / "data"), str(tmp_path / "out"), 1)
    manifest, split = claim_output(job), read_split(job)
    first = open_record(job, manifest, "pretrain", 1)
    finish(job, train(job, split, lambda network: network, on_entry=first.epoch), split.held_out)

    def stop(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(f"training.record.{lost_in}", stop)
        with pytest.raises(Cut):
            first.close(job)

    settings = [word for override in overrides for word in ("--set", override)]
    for _ in range(2):  # the second time nothing is left to do
        main(["hand_smoke", "--data", job.data_uri, "--out", job.out_uri, *settings])
    client = MlflowClient(first.run.experiment.uri)
    ((run, status),) = find_runs(first.run.experiment, {})
    assert run == first.run and status == "FINISHED"
    assert client.get_run(run.run_id).data.tags["model"] == "models:/synthmark-hand/1"
    assert [metric.step for metric in client.get_metric_history(run.run_id, "held_out_px")] == [0, 1]


def test_examples_are_typical_ones_then_the_worst():
    errors = np.random.default_rng(1).permutation(100).astype(float)
    shown = errors[examples(errors)]
    assert shown[:6].tolist() == [47, 48, 49, 50, 51, 52] and shown[6:].tolist() == [99, 98, 97, 96, 95, 94]
    assert examples(np.array([2.0, 1.0])) == [0, 1]
