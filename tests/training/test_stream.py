"""A stream: the samples of the plan, as if they were resident."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import HAND
from synth.domain.rows import read_rows
from synth.domain.shards import read_manifest, read_samples
from tests.training.rays import quiet_ray
from tests.training.toy import toy_dataset, toy_job
from training import plan
from training.models import ModelRecipe
from training.recipe import TrainRecipe
from training.split import read_split
from training.stream import stream_split


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    with quiet_ray(1):
        yield


@pytest.fixture
def small_windows(monkeypatch):
    """Blocks of 8 rows that straddle the shards of 12, two to a window."""
    monkeypatch.setattr(plan, "BLOCK", 8)
    monkeypatch.setattr(plan, "WINDOW", 2)


@pytest.fixture
def job(tmp_path):
    train = TrainRecipe(epochs=2, batch=7)
    return toy_job(
        tmp_path, 100, model=ModelRecipe(width=8, inputs=("silhouette", "depth", "observed")), train=train, rows=12
    )


def test_rows_are_read_as_they_lie_whatever_their_order(tmp_path):
    uri = str(tmp_path / "data")
    toy_dataset(uri, 100, 1, rows=12)
    rows = np.array([99, 0, 12, 11, 50, 13])
    table = read_rows(uri, read_manifest(uri), rows, ("sample_id", "silhouette", "nothing"))
    assert table.column_names == ["sample_id", "silhouette"] and table["sample_id"].to_pylist() == rows.tolist()
    packed = read_samples(uri, HAND).packed
    assert [bytes(row) for row in packed[rows]] == table["silhouette"].to_pylist()


def test_a_shard_with_too_few_rows_is_one_line(tmp_path):
    uri = str(tmp_path / "data")
    toy_dataset(uri, 24, 1, rows=12)
    manifest = read_manifest(uri)
    longer = replace(manifest, shards=(manifest.shards[0], replace(manifest.shards[1], rows=13)))
    with pytest.raises(ValueError, match=r"shard-00001.parquet is missing or damaged.*rerun the command"):
        read_rows(uri, longer, np.array([24]), ("sample_id",))


@pytest.mark.parametrize("start", [0, 5])
def test_a_stream_gives_what_resident_patches_give(job, small_windows, start):
    resident, stream = read_split(job), stream_split(job, torch.device("cpu"))
    assert len(stream.train) == len(resident.train) == 95
    assert torch.equal(stream.held_out.sample_id, resident.held_out.sample_id)
    expected = list(resident.train.batches(1, 1, 7, start))
    found = list(stream.train.batches(1, 1, 7, start))
    assert [len(batch) for batch in found] == [len(batch) for batch in expected]
    for ours, theirs in zip(found, expected, strict=True):
        rows = torch.arange(len(ours))
        assert torch.equal(ours.sample_id, theirs.sample_id) and torch.equal(ours.points, theirs.points)
        assert torch.equal(ours.batch(rows).silhouette, theirs.batch(rows).silhouette)
        assert torch.equal(ours.batch(rows).depth_mm, theirs.batch(rows).depth_mm)
        assert torch.equal(ours.batch(rows).landmark_depth(), theirs.batch(rows).landmark_depth())


def test_a_stream_that_is_left_early_can_be_read_again(job, small_windows):
    stream = stream_split(job, torch.device("cpu")).train
    first = next(iter(stream.batches(1, 0, 7))).sample_id
    time.sleep(0.1)
    assert torch.equal(next(iter(stream.batches(1, 0, 7))).sample_id, first)
