"""All verbs in a row, small: hands through the whole ladder, each verb a process; bodies through the same code."""

import csv
import json
from pathlib import Path

import pytest

from synth.domain.anatomy import BODY, HAND
from synth.domain.shards import read_manifest
from tests.commands import succeed
from tests.in_process import perform

QUICK = '[{"name": "quick", "epochs": 2}, {"name": "last_layers", "epochs": 2, "freeze": "features"}]'


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_hands_go_through_every_verb(tmp_path: Path) -> None:
    data, study, out = tmp_path / "renderings", tmp_path / "study", tmp_path
    succeed("render", "hand_smoke", "--count", 96, "--seed", 1, "--out", data, "--workers", 1, home=out)
    succeed("check", data, "--sheet", out / "sheet.png", home=out)
    succeed("phantoms", "hand_smoke", "--count", 6, "--seed", 1, "--out", out / "patients", home=out)
    images, labels = out / "patients" / "images", out / "patients" / "landmarks.csv"
    study_arguments = ("hand", "--side", "left", "--images", images, "--landmarks", labels, "--out", study)
    succeed("study", *study_arguments, home=out)
    for network in ("heatmap", "paper"):
        settings = ("--set", "train.epochs=1", "--set", f"model.network={network}", "--set", "train.batch=16")
        settings += ("--set", "train.loss=l2", "--set", "train.spread_weight=0") if network == "paper" else ()
        trained = succeed(
            "pretrain", "hand_smoke", "--data", data, "--out", out / network, "--workers", 1, *settings, home=out
        )
        assert "held-out error" in trained
    tuned = ("--set", f"sweep.schedules={QUICK}", "--set", "sweep.folds=2")
    models = ("--pretrained", out / "heatmap" / "model")
    succeed("sweep", "hand_smoke", "--study", study, *models, "--out", out / "sweep", *tuned, home=out)
    models += ("--pretrained", out / "paper" / "model", "--schedule", out / "sweep" / "schedule.json")
    ladder = ("hand_smoke", "--study", study, "--data", data, *models, "--out", out / "evaluation", *tuned)
    ladder += ("--set", "sweep.scratch.epochs=2")
    succeed("evaluate", *ladder, home=out)
    page = (out / "evaluation" / "report.html").read_text()
    assert all(method in page for method in ("NN(syn)", "NN(study)", "CNN(syn)", "CNN(study)", "CNN(ft)"))
    model = ("--model", out / "sweep" / "model", "--side", "left")
    succeed("predict", *model, "--out", out / "predictions", images, home=out)
    with open(out / "predictions" / "landmarks.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6 * HAND.num_landmarks
    for row in rows:
        assert row["status"] in {"ok", "outside", "untrusted"}
        assert (row["x_mm"] != "") == (row["status"] == "ok")
    markups = json.loads((out / "predictions" / "hand-0000.mrk.json").read_text())["markups"][0]
    assert markups["coordinateSystem"] == "LPS"
    assert [point["label"] for point in markups["controlPoints"]] == list(HAND.names)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("local_ray")
def test_bodies_go_through_the_same_code(tmp_path: Path) -> None:
    data, out = tmp_path / "renderings", tmp_path
    perform("render", "body_smoke", "--count", 32, "--seed", 1, "--out", data, "--workers", 1, home=out)
    assert read_manifest(str(data)).anatomy.name == "body"
    perform("phantoms", "body_smoke", "--count", 2, "--seed", 1, "--out", out / "patients", home=out)
    images, labels = out / "patients" / "images", out / "patients" / "landmarks.csv"
    study = ("body", "--images", images, "--landmarks", labels, "--out", out / "study")
    perform("study", *study, home=out)
    settings = ("--set", "train.epochs=1", "--set", "train.batch=8")
    perform("pretrain", "body_smoke", "--data", data, "--out", out / "model", "--workers", 1, *settings, home=out)
    perform("predict", "--model", out / "model" / "model", "--out", out / "found", images, home=out)
    with open(out / "found" / "landmarks.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2 * BODY.num_landmarks


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("local_ray")
def test_rendering_again_finishes_what_is_missing_and_touches_nothing_else(tmp_path: Path) -> None:
    small = ("hand_smoke", "--count", 80, "--seed", 5, "--set", "render.shard_rows=16")
    one, two = tmp_path / "one", tmp_path / "two"
    first = perform("render", *small, "--out", one, "--workers", 1, home=tmp_path)
    second = perform("render", *small, "--out", two, "--workers", 2, home=tmp_path)
    assert first.split("digest ")[1] == second.split("digest ")[1], "1 and 2 workers make the same data"
    (two / "shard-00002.parquet").unlink()
    (two / "shard-00003.parquet").write_bytes((two / "shard-00003.parquet").read_bytes()[:1000])
    (two / "manifest.json").unlink()
    kept = (two / "shard-00001.parquet").stat()
    again = perform("render", *small, "--out", two, "--workers", 1, home=tmp_path)
    assert again.split("digest ")[1] == first.split("digest ")[1]
    assert "(32 new)" in again
    assert (two / "shard-00001.parquet").stat().st_mtime_ns == kept.st_mtime_ns
