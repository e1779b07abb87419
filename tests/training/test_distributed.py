"""Ray Train: the number of workers and an interruption do not change what is learnt."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
import ray
import torch

from tests.training.rays import quiet_ray
from tests.training.toy import toy_job
from training.board import Listener, listening
from training.checkpoint import latest_state, load_model
from training.distributed import pretrain
from training.job import PretrainJob, claim_output
from training.models import ModelRecipe
from training.plan import Progress
from training.pretraining import train
from training.recipe import TrainRecipe
from training.split import read_split
from training.views import Views

pytestmark = [pytest.mark.slow, pytest.mark.alone]
VIEWS = Views(collimated=0.5, sand_bag=0.3, threshold_px=0.5, border=0.1, blanket=0.2, outside=0.3)


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    with quiet_ray(3):
        yield


@pytest.fixture
def job(tmp_path):
    # 57 samples: the last of the 8 global batches is one, which leaves the second worker without
    train = TrainRecipe(epochs=3, batch=8, rate=1e-3, augment=0.5, precision="float32", views=VIEWS)
    return toy_job(tmp_path, 60, model=ModelRecipe(width=8, inputs=("silhouette", "observed")), train=train)


def run(job: PretrainJob, workers: int) -> tuple[list[dict[str, float]], list[tuple[int, int]]]:
    entries: list[dict[str, float]] = []
    steps: list[tuple[int, int]] = []
    claim_output(job)
    listener = Listener(on_progress=lambda *step: steps.append(step), on_entry=entries.append)
    pretrain(job, workers=workers, listener=listener)
    return entries, steps


def weights(job: PretrainJob) -> dict[str, torch.Tensor]:
    return load_model(job.model_uri).model.state_dict()


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_two_workers_learn_what_one_learns(job, tmp_path, micro_batch):
    one, two = job, replace(job, out_uri=str(tmp_path / "two"), train=replace(job.train, micro_batch=micro_batch))
    entries, steps = run(one, 1)
    others, _ = run(two, 2)
    assert len(entries) == len(others) == 3 and steps[-1] == (171, 171)
    assert np.allclose([e["loss"] for e in entries], [e["loss"] for e in others], rtol=1e-3)
    assert np.allclose([e["held_out_px"] for e in entries], [e["held_out_px"] for e in others], rtol=1e-2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_teaches_what_resident_samples_teach(job, tmp_path, workers):
    resident, stream = job, replace(job, out_uri=str(tmp_path / "stream"), mode="stream")
    run(resident, workers)
    run(stream, workers)
    expected = weights(resident)
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights(stream).items())


def test_a_run_that_was_cut_off_ends_with_the_same_bits(job, tmp_path):
    run(job, 1)
    cut = replace(job, out_uri=str(tmp_path / "cut"))
    claim_output(cut)

    class Cut(Exception):
        pass

    def stop(entry: dict[str, float]) -> None:
        raise Cut

    threads = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with pytest.raises(Cut):
        train(cut, read_split(cut), lambda network: network, on_entry=stop)
    torch.set_num_threads(threads)
    assert latest_state(cut.checkpoints_uri).progress == Progress(epoch=1)
    entries, _ = run(cut, 1)
    assert [entry["epoch"] for entry in entries] == [1, 2]
    expected = weights(job)
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights(cut).items())
    assert run(cut, 1) == ([], [])


def test_a_loss_that_is_not_finite_is_one_line_and_is_not_tried_again(job):
    broken = replace(job, train=replace(job.train, optimiser="sgd", rate=1e30, schedule="decay"))
    with pytest.raises(ValueError, match=r"^loss is (nan|inf) in epoch 0, step \d+.*sample ids"):
        run(broken, 1)


def test_what_a_listener_raises_is_raised_in_the_end():
    """Training goes on, and nobody takes a run for recorded that was not."""

    def full(done: int, total: int) -> None:
        raise OSError("no room")

    went_on = False
    with pytest.raises(OSError, match="no room"), listening(Listener(on_progress=full)) as board:
        ray.get(board.step.remote(1, 2, []))
        time.sleep(1.5)
        went_on = True
    assert went_on
