"""What is there and what is missing of a dataset is asked for in few, simultaneous steps."""

import threading
from pathlib import Path

import pytest

import synth.corpus
from pipelines.cli import resolve
from synth.corpus import READERS, missing_jobs
from synth.domain.shards import Shard, shard_name
from synth.worker import footer_of, plan_shards

RECIPE = resolve("hand_smoke", ["render.shard_rows=16"]).render
JOBS = plan_shards(16 * 2 * READERS, 16)
SEED = 3


def test_shards_that_are_not_there_are_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(synth.corpus, "read_shard_entry", lambda uri, index: asked.append(index))
    (tmp_path / shard_name(7)).write_bytes(b"no shard")
    assert missing_jobs(RECIPE, SEED, JOBS, str(tmp_path)) == JOBS
    assert asked == [7]


def test_entries_are_read_side_by_side_and_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(READERS, timeout=30)  # breaks where fewer of them ask at a time
    footer = footer_of(RECIPE, SEED)

    def slow(uri: str, index: int) -> tuple[Shard, dict[str, str]]:
        together.wait()
        rows = 16 if index % 3 else 8  # every third is not what its job asks for
        name = shard_name(index)
        return Shard(name=name, first_id=16 * index, rows=rows, bytes=1, content_hash=""), footer

    monkeypatch.setattr(synth.corpus, "read_shard_entry", slow)
    for job in JOBS:
        (tmp_path / shard_name(job.index)).touch()
    assert missing_jobs(RECIPE, SEED, JOBS, str(tmp_path)) == JOBS[::3]
