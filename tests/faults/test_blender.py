"""Blender is killed, hangs, or crashes on one sample for ever: the dataset has every id once and the same bits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import pipelines.render
import synth.worker
from synth.domain.anatomy import HAND, OUTSIDE, anatomy_named
from synth.domain.shards import read_manifest, read_samples, shard_fault
from synth.domain.storage import has_files
from synth.figure import draw, figure_of, template_of
from synth.ledger import GivenUp, begin, ledger_name, read_ledger
from synth.relabel import Relabelling, relabel_shard
from synth.worker import ShardJob, ShardWorker
from tests.faults import blenders
from tests.faults.undisturbed import OVERRIDES, SEED, check_dataset, recipe, render_plainly, undisturbed

pytestmark = pytest.mark.slow
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
        monkeypatch.setattr(synth.worker, "serve", serve)
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
    monkeypatch.setattr(synth.worker, "RENDER_TIMEOUT_S", 2.0)
    _render(tmp_path / "out")
    assert len(log.read_text().split()) == 1, "it happened"
    check_dataset(str(tmp_path / "out"), COUNT)


def test_a_sample_that_always_crashes_is_quarantined(
    trap: Callable[..., Path], tmp_path: Path, no_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes, calm = undisturbed(COUNT)
    log, out = trap(blenders.crash_always), tmp_path / "out"
    with pytest.raises(ValueError, match=rf"1 of 40 samples are quarantined \({CULPRIT}: Blender ended with code -11"):
        _render(out)
    assert len(log.read_text().split()) == 6, "three times in its group, three times alone"
    assert not (out / "manifest.json").exists()

    assert "0 new, 1 quarantined" in _render(out, tolerance=1), "nothing is tried again"
    manifest = read_manifest(str(out))
    assert [shard_fault(str(out), shard) for shard in manifest.shards] == [None] * 3
    assert [shard.content_hash == known for shard, known in zip(manifest.shards, hashes, strict=True)] == [1, 0, 1]
    made = read_samples(str(out), HAND, depth=True, points=True)
    np.testing.assert_array_equal(made.sample_id, np.arange(COUNT))
    others = np.arange(COUNT) != CULPRIT
    for name in ("packed", "depth_mm", "landmarks", "visible", "pixel_mm", "points", "parameters", "joints"):
        one, other = getattr(made, name), getattr(calm, name)
        assert one is not None and np.array_equal(one[others], other[others]), f"{name} of the others"
    assert not made.packed[CULPRIT].any() and made.depth_mm is not None and not made.depth_mm[CULPRIT].any()
    assert np.isnan(made.landmarks[CULPRIT]).all() and (made.visible[CULPRIT] == OUTSIDE).all()

    (entry,) = manifest.quarantine
    assert (entry["sample_id"], entry["seed"]) == (CULPRIT, SEED)
    again = figure_of(HAND, template_of(recipe()), entry["parameters"])
    assert np.array_equal(again.vertices, draw(recipe(), template_of(recipe()), SEED, CULPRIT).figure.vertices)
    assert json.loads((out / ledger_name(1)).read_text())["quarantine"] == [entry]
    _render(tmp_path / "again", tolerance=1)
    assert read_manifest(str(tmp_path / "again")).digest == manifest.digest

    work = Relabelling(
        uri=str(out), manifest=manifest, anatomy=anatomy_named("hand_bone_tips"), out=str(tmp_path / "r")
    )
    shards = [relabel_shard(work, index) for index in range(3)]
    assert work.new_manifest(shards).quarantine == manifest.quarantine
    assert sum(shard.rows for shard in shards) == COUNT


def test_a_blender_that_can_do_nothing_blames_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth.worker, "serve", exit)
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
    with pytest.raises(GivenUp, match="begun 3 times"):
        begin(uri, 0, "run")
    answer = ShardWorker(recipe(), SEED, uri, "run")({"index": 0, "first_id": 0, "rows": 16})
    assert answer == {"index": 0, "rows": 0, "error": "shard 0: it was begun 3 times, and its worker died each time"}
    assert begin(uri, 0, "next run").begun == 1, "a person who stops a run thrice condemns nothing"
