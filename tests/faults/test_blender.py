"""Blender is killed or hangs, or does nothing at all: the dataset has every id once and the same bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import pipelines.render
import synth.supervisor
from synth.domain.storage import has_files
from synth.figure import draw, template_of
from synth.ledger import GivenUp, begin, read_ledger
from synth.worker import ShardJob, ShardWorker
from tests.faults import blenders
from tests.faults.undisturbed import OVERRIDES, SEED, check_dataset, recipe, render_plainly, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.alone]
COUNT, CULPRIT = 40, 21  # the last shard is a short one


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], Path]:
    """Sets a trap for the culprit in every Blender that starts; gives the log with a line per fault."""

    def set_trap(serve: Callable[..., None]) -> Path:
        folder = tmp_path / "trap"
        folder.mkdir()
        with threadpool_limits(1):  # as the worker draws it, to the last bit
            np.save(folder / "sample.npy", draw(recipe(), template_of(recipe()), SEED, CULPRIT).vertices)
        monkeypatch.setenv(blenders.FOLDER, str(folder))
        monkeypatch.setattr(synth.supervisor, "serve", serve)
        return folder / "log"

    return set_trap


def _render(out: Path, tolerance: int = 0) -> str:
    overrides = [word for override in OVERRIDES for word in ("--set", override)]
    options = ["--count", str(COUNT), "--seed", str(SEED), "--out", str(out), "--tolerance", str(tolerance)]
    return pipelines.render.main(["hand_smoke", *overrides, *options])


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verb with a plain loop for Ray, so that the trap is set where the worker is."""

    def plainly(made: Any, seed: int, jobs: list[ShardJob], uri: str, workers: int) -> None:
        assert render_plainly(uri, COUNT) == []

    monkeypatch.setattr(pipelines.render, "render_shards", plainly)


@pytest.mark.parametrize("serve", [blenders.die_once, blenders.hang_once, blenders.hang_unread])
def test_a_killed_or_hanging_blender_changes_nothing(
    serve: Callable[..., None], trap: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_ray: None
) -> None:
    undisturbed(COUNT)
    log = trap(serve)
    monkeypatch.setattr(synth.supervisor, "MOST_PATIENCE_S", 2.0)
    _render(tmp_path / "out")
    assert len(log.read_text().split()) == 1, "it happened"
    check_dataset(str(tmp_path / "out"), COUNT)


def test_a_blender_that_can_do_nothing_blames_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth.supervisor, "serve", exit)
    errors = render_plainly(str(tmp_path), 16)
    assert len(errors) == 1 and "samples 0 to 15" in errors[0]
    assert not (tmp_path / "shard-00000.parquet").exists()
    ledger = read_ledger(str(tmp_path), 0)
    assert ledger is not None and ledger.begun == 1 and ledger.quarantine == ()


def test_a_shard_that_ends_its_worker_is_given_up_after_three_times(tmp_path: Path) -> None:
    """Ray starts a worker again for ever; that the shard was begun is on record before it is."""
    uri = str(tmp_path)
    for begun in (1, 2, 3):
        assert begin(uri, 0, "run").begun == begun
        assert has_files(uri)
    with pytest.raises(GivenUp, match=r"worker died 3 times over it, .*; give fewer --workers") as given_up:
        begin(uri, 0, "run")
    answer = ShardWorker(recipe(), SEED, uri, "run")({"index": 0, "first_id": 0, "rows": 16})
    assert answer == {"index": 0, "rows": 0, "error": f"shard 0: {given_up.value}"}
    assert begin(uri, 0, "next run").begun == 1, "a person who stops a run thrice condemns nothing"
