"""Runs under Ray with a sample on which Blender always dies, or a shard that ends its worker: said in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pipelines.render import main
from synth.domain.anatomy import HAND, OUTSIDE, anatomy_named
from synth.domain.audit import audit
from synth.domain.schema import Samples
from synth.domain.shards import read_manifest, read_samples
from synth.figure import draw, figure_of, template_of
from synth.relabel import Relabelling, relabel_shard
from tests.commands import ROOT
from tests.faults import blenders, trapped
from tests.faults.undisturbed import OVERRIDES, SEED, check_dataset, recipe, render_plainly, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.alone]
COUNT, CULPRIT = 40, 21  # of shard 1


def _command(out: Path, tolerance: str) -> list[str]:
    overrides = [word for override in OVERRIDES for word in ("--set", override)]
    options = ["--count", str(COUNT), "--seed", str(SEED), "--out", str(out), "--workers", "1"]
    return ["hand_smoke", *overrides, *options, "--tolerance", tolerance]


def _trapped(fault: str, out: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    with threadpool_limits(1):  # as the worker draws it, to the last bit
        np.save(folder / "sample.npy", draw(recipe(), template_of(recipe()), SEED, CULPRIT).vertices)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), blenders.FOLDER: str(folder)}
    command = [sys.executable, "-m", "tests.faults.trapped", fault, *_command(out, "0")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stderr.strip().splitlines()[-1]


def test_a_sample_that_always_crashes_ends_the_run_unless_it_is_tolerated(tmp_path: Path) -> None:
    hashes, calm = undisturbed(COUNT)
    out = tmp_path / "out"
    done = _trapped("crash", out, tmp_path)
    assert done.returncode == 1, done.stderr
    assert _last_line(done) == (
        "error: 1 of 40 samples are quarantined, 0 are allowed: sample 21: Blender ended with code -11, 3 times; their "
        f"parameters are on record in ledger-00001.json under {out}; give --tolerance 1 to go on without them, or "
        "delete shard-00001.parquet to try them again, and run the command again"
    )
    assert len((tmp_path / "log").read_text().split()) == 6, "three times in its group, three times alone"
    assert not (out / "manifest.json").exists()
    (entry,) = json.loads((out / "ledger-00001.json").read_text())["quarantine"]
    assert (entry["sample_id"], entry["seed"]) == (CULPRIT, SEED)
    again = figure_of(HAND, template_of(recipe()), entry["parameters"])
    assert np.array_equal(again.vertices, draw(recipe(), template_of(recipe()), SEED, CULPRIT).figure.vertices)
    written = {path: path.stat().st_mtime_ns for path in out.glob("shard-*")}

    for _ in range(2):  # the second run finds a manifest too
        said = main(_command(out, "1"))
        assert "40 hand samples (0 new, 1 quarantined)" in said
        manifest = read_manifest(str(out))
        assert manifest.quarantine == (entry,) and manifest.quarantined == [CULPRIT]
        assert [shard.content_hash == known for shard, known in zip(manifest.shards, hashes, strict=True)] == [1, 0, 1]
        assert {path: path.stat().st_mtime_ns for path in out.glob("shard-*")} == written, "nothing is tried again"
    _check_rows(str(out), calm)
    _check_relabelled(str(out), str(tmp_path / "relabelled"))

    (out / "shard-00001.parquet").unlink()  # as the message says, with a Blender that is whole again
    assert render_plainly(str(out), COUNT) == []
    main(_command(out, "0"))
    check_dataset(str(out), COUNT)


def _check_rows(out: str, calm: Samples) -> None:
    """The culprit's row is there and shows nothing; every other one has the bits of the undisturbed run."""
    assert audit(out, read_manifest(out), lambda shard: None) == []
    made = read_samples(out, HAND, depth=True, points=True)
    np.testing.assert_array_equal(made.sample_id, np.arange(COUNT))
    others = np.arange(COUNT) != CULPRIT
    for name in ("packed", "depth_mm", "landmarks", "visible", "pixel_mm", "points", "parameters", "joints"):
        one, other = getattr(made, name), getattr(calm, name)
        assert one is not None and np.array_equal(one[others], other[others]), f"{name} of the others"
    assert not made.packed[CULPRIT].any() and made.depth_mm is not None and not made.depth_mm[CULPRIT].any()
    assert np.isnan(made.landmarks[CULPRIT]).all() and (made.visible[CULPRIT] == OUTSIDE).all()


def _check_relabelled(out: str, relabelled: str) -> None:
    """Quarantined rows stay so when the dataset is given other landmarks."""
    manifest = read_manifest(out)
    work = Relabelling(uri=out, manifest=manifest, anatomy=anatomy_named("hand_bone_tips"), out=relabelled)
    shards = [relabel_shard(work, index) for index in range(3)]
    assert work.new_manifest(shards).quarantine == manifest.quarantine
    assert sum(shard.rows for shard in shards) == COUNT


def test_a_shard_that_always_ends_its_worker_is_named_and_the_others_are_made(tmp_path: Path) -> None:
    undisturbed(COUNT)
    out = tmp_path / "out"
    done = _trapped("die", out, tmp_path)
    assert done.returncode == 1, done.stderr
    assert _last_line(done) == (
        f"error: 1 of 3 shards failed: shard {trapped.FATAL_SHARD}: its worker died 3 times over it, mostly for want "
        "of memory; give fewer --workers; run the command again for what is missing"
    )
    assert sorted(path.name for path in out.glob("shard-*")) == ["shard-00000.parquet", "shard-00002.parquet"]
    assert render_plainly(str(out), COUNT) == [], "another run begins to count anew"
    main(_command(out, "0"))
    check_dataset(str(out), COUNT)
