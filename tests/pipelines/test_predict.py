"""Predicting as people use it: without a model named, many cases, resumed, by any number of workers, as JSON."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from highdicom.sr import srread
from pydicom.dataset import Dataset

from pipelines import predict, predicted_case, predicted_cases
from pipelines.predicted_case import RECORDS
from pipelines.predictions import remove_half_written
from synth.domain.anatomy import BODY, HAND
from synth.domain.schema import unpack_silhouettes
from synth.domain.volume import write_image
from tests.commands import ROOT
from tests.dicoms import write_series
from tests.faults.processes import data_workers, wait_for
from tests.training.test_shipped import model
from tests.tuning.toy import toy_samples, write_network
from training.checkpoint import load_model, save_model

WRITTEN = ("landmarks.csv", "annotate_next.csv", "run.json")


@pytest.fixture
def hands(tmp_path: Path) -> Path:
    """A folder of three toy hands as images, beside a network that has learnt nothing."""
    write_hands(tmp_path / "images", 3)
    write_network(str(tmp_path / "model"))
    return tmp_path


def write_hands(folder: Path, count: int) -> None:
    folder.mkdir()
    for k, mask in enumerate(unpack_silhouettes(toy_samples(count, 1).packed, HAND.size)):
        write_image((np.pad(mask, 10) * np.uint8(200)), folder / f"c{k:02d}.png")


def command(home: Path, *more: object, out: str = "out") -> list[str]:
    """The options of predict.py for the hands."""
    given = ["--model", home / "model", "--side", "left", "--out", home / out, *more, home / "images"]
    return [str(item) for item in given]


def results(out: Path) -> dict[str, bytes]:
    """Every file below a folder of predictions, pictures left out, where it lies left out of it."""
    return {
        str(path.relative_to(out)): path.read_bytes().replace(str(out).encode(), b"OUT")
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.suffix != ".png"
    }


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models, both of which find everything a little unlike; a test says otherwise."""
    for name, anatomy in (("hand", HAND), ("body", BODY)):
        ship(tmp_path / "weights" / name, anatomy, -1.0)
    monkeypatch.setattr(predict, "load_shipped", lambda: load_shipped_from(tmp_path / "weights"))
    return tmp_path / "weights"


def ship(folder: Path, anatomy, margin: float) -> None:
    loaded = model(anatomy, margin)
    save_model(str(folder), loaded.model, loaded.card)


def load_shipped_from(weights: Path):
    return {name: load_model(str(weights / name)) for name in ("body", "hand")}


def test_without_a_model_each_scan_gets_the_one_that_it_fits(hands, shipped):
    ship(shipped / "hand", HAND, 1.0)
    said = predict.main(["--side", "left", "--out", str(hands / "out"), str(hands / "images")])
    assert "3 cases" in said and "15 landmarks" in said
    record = json.loads((hands / "out" / "run.json").read_text())
    assert {case["anatomy"] for case in record["cases"]} == {"hand"} and set(record["models"]) == {"hand", "body"}


def test_what_is_neither_is_one_line_and_has_its_picture(hands, shipped):
    with pytest.raises(ValueError, match="neither a whole hand nor a whole body") as told:
        predict.main(
            ["--side", "left", "--out", str(hands / "out"), "--explain", str(hands / "seen"), str(hands / "images")]
        )
    assert "\n" not in str(told.value) and not (hands / "out").exists()
    assert sorted(path.name for path in (hands / "seen").iterdir()) == ["c00.png", "c01.png", "c02.png"]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_hand_without_a_side_is_asked_for_it(hands, shipped, renamed):
    ship(shipped / "hand", HAND, 1.0)
    with pytest.raises(ValueError, match=r"': it looks like a hand; give --side left or --side right"):
        predict.main(["--out", str(hands / "out"), str(hands / "images"), *(["--rename"] if renamed else [])])


def test_why_a_renamed_case_cannot_be_read_is_not_told(hands):
    (hands / "images" / "Anna.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="case 'case-0001': it cannot be read; predict it without --rename") as told:
        predict.main(command(hands, "--rename"))
    assert "Anna" not in str(told.value)


def test_json_is_all_that_stands_on_stdout_and_what_run_json_holds(hands, capsys):
    text = predict.main(command(hands, "--json", "--preview"))
    printed = capsys.readouterr()
    assert printed.out == "" and "landmarks placed" in printed.err and "c00" in printed.err
    document = json.loads(text)
    assert document == json.loads((hands / "out" / "run.json").read_text())
    assert set(document) == {"format", "models", "settings", "git_commit", "versions", "cases", "failed"}
    case = document["cases"][0]
    assert set(case) == {
        "case", "input", "sha256", "anatomy", "threshold", "notes", "uncertainty_px", "landmarks",
    }  # fmt: skip
    assert set(case["landmarks"][0]) == {
        "name", "status", "px", "mm", "sigma_mm", "radius90_mm", "radius90_all_mm", "depth_source", "n_calibration",
    }  # fmt: skip


def test_json_tells_what_was_done_where_a_case_failed(hands, capsys):
    (hands / "images" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="1 of 4 cases failed: case 'bad'"):
        predict.main(command(hands, "--json"))
    document = json.loads(capsys.readouterr().out)
    assert len(document["cases"]) == 3 and list(document["failed"]) == ["bad"]


def test_the_same_command_does_what_is_missing_or_failed_and_touches_nothing_else(hands, monkeypatch):
    (hands / "images" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="1 of 4 cases failed"):
        predict.main(command(hands))
    corrected = hands / "out" / "c01.mrk.json"
    corrected.write_text("corrected by a person")
    (hands / "images" / "c00.png").rename(hands / "images" / "bad.png")  # mended: what could not be read is a hand
    written = []
    write = predicted_case.write_case
    monkeypatch.setattr(predicted_case, "write_case", lambda case, *more: (written.append(case), write(case, *more)))
    said = predict.main(command(hands))
    assert written == ["bad"] and corrected.read_text() == "corrected by a person" and "4 cases" in said
    assert json.loads((hands / "out" / "run.json").read_text())["failed"] == {}


def test_other_models_settings_scans_and_folders_are_refused(hands):
    predict.main(command(hands))
    before = results(hands / "out")
    with pytest.raises(ValueError, match=r"with threshold None, not 0\.5; choose another --out"):
        predict.main(command(hands, "--threshold", "0.5"))
    other = load_model(str(hands / "model"))
    save_model(str(hands / "model"), other.model, replace(other.card, git_commit="another"))
    with pytest.raises(ValueError, match="of another model; choose another --out"):
        predict.main(command(hands))
    save_model(str(hands / "model"), other.model, other.card)
    (hands / "images" / "c00.png").write_bytes((hands / "images" / "c01.png").read_bytes())
    with pytest.raises(ValueError, match="landmarks of another scan of that name"):
        predict.main(command(hands))
    assert {**results(hands / "out"), "run.json": b""} == {**before, "run.json": b""}
    (hands / "mine" / RECORDS).mkdir(parents=True)
    (hands / "mine" / RECORDS / "a.png").write_bytes(b"a scan of mine")
    with pytest.raises(ValueError, match="already holds files"):
        predict.main(command(hands, out="mine"))


def test_what_killed_processes_left_half_written_goes(tmp_path):
    half, mine = f"c01.json.{'0a' * 16}.tmp", "notes.tmp"
    (tmp_path / RECORDS).mkdir()
    for folder in (tmp_path, tmp_path / RECORDS):
        for name in (half, mine):
            (folder / name).write_text("{")
    remove_half_written(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.tmp")) == [mine, mine]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(300)
def test_workers_write_what_one_process_does(tmp_path):
    """By Ray Data on 2 workers and in turn: the same files, one bad case told by both, none readable to others."""
    write_hands(tmp_path / "images", predicted_cases.ENOUGH)
    (tmp_path / "images" / "bad.png").write_bytes(b"no picture")
    write_network(str(tmp_path / "model"))
    for out, workers in (("one", 1), ("two", 2)):
        done = run_alone(command(tmp_path, "--workers", workers, "--preview", out=out))
        assert done.returncode == 1 and f"1 of {predicted_cases.ENOUGH + 1} cases failed" in done.stderr, done.stderr
        assert ("2 workers" in done.stderr) is (workers == 2) and done.stdout.count("thumb") == predicted_cases.ENOUGH
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one == two and len(one) == 2 * predicted_cases.ENOUGH + len(WRITTEN)
    for path in (tmp_path / "two").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 toy hands as images and a network, and in `whole` what nothing happened to."""
    folder = tmp_path_factory.mktemp("many")
    write_hands(folder / "images", 40)
    write_network(str(folder / "model"))
    predict.main(command(folder, "--workers", 1, out="whole"))
    return folder


def until_begun(out: Path) -> None:
    """Waits until three cases are done."""
    wait_for(lambda: len(list((out / RECORDS).glob("*.json"))) >= 3, 120, "three cases")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_where_it_was(many, workers):
    out = many / f"killed-{workers}"
    killed = command(many, "--workers", workers, out=out.name)
    with subprocess.Popen(alone(killed), cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as driver:
        until_begun(out)
        os.kill(driver.pid, signal.SIGKILL)
    time.sleep(3)  # workers end after their driver
    done = {path: path.stat().st_mtime_ns for path in (out / RECORDS).glob("*.json")}
    assert 3 <= len(done) < 40, "killed in the middle"
    assert run_alone(killed).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert results(many / "whole") == results(out)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(300)
def test_a_killed_worker_loses_nothing(many):
    out = many / "worker-killed"
    killed = command(many, "--workers", 2, out=out.name)
    with subprocess.Popen(alone(killed), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as driver:
        until_begun(out)
        os.kill(data_workers(driver.pid, "MapWorker")[0], signal.SIGKILL)
        assert len(list((out / RECORDS).glob("*.json"))) < 40, "killed in the middle"
        said = driver.communicate()[1]
    assert driver.returncode == 0, said
    assert results(many / "whole") == results(out)


def alone(options: list[str]) -> list[str]:
    return [sys.executable, "pipelines/predict.py", *options]


def run_alone(options: list[str]) -> "subprocess.CompletedProcess[str]":
    """predict.py in a process of its own, as it is used: Ray is started and ended there."""
    return subprocess.run(alone(options), cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


def test_a_case_that_takes_its_workers_with_it_is_given_up(hands):
    """A worker that dies leaves its mark; what is finished leaves none, failed or not."""
    (hands / "images" / "d-bad.png").write_bytes(b"no picture")
    task, models, _ = predict.prepared_task(predict.arguments().parse_args(command(hands)))
    worker = predicted_cases.Worker(task, models, hands / "attempts")
    (hands / "attempts").mkdir()
    (hands / "attempts" / "1").write_bytes(b"." * predicted_cases.ATTEMPTS)
    found = worker({"place": np.arange(4)})["failure"].tolist()
    assert found[0] == found[2] == "" and "'c01': 2 workers died of it" in found[1] and "'d-bad'" in found[3]
    assert [path.name for path in (hands / "attempts").iterdir()] == ["1"]
    assert sorted(path.stem for path in (hands / "out" / RECORDS).iterdir()) == ["c00", "c02"]


def hand_series(folder: Path, **attributes: object) -> Path:
    """A DICOM series of a toy hand, a wedge some 40 mm thick, its back to anterior and its fingers to superior."""
    mask = unpack_silhouettes(toy_samples(1, 1).packed, HAND.size)[0]
    voxels = np.full((HAND.height, 30, HAND.width), -1000, np.int16)
    for x in range(HAND.width):
        voxels[:, 5 + x // 24 : 25, x] = np.where(mask[::-1, x, None], 40, -1000)
    given = {"PatientID": "4711", "PatientName": "Doe^Jane", "FrameOfReferenceUID": "1.2.3", "Modality": "CT"}

    def change(_: int, made: Dataset) -> None:
        for name, value in (given | attributes).items():
            setattr(made, name, value)

    return write_series(folder, voxels, step=(0, 0, 2.0), change=change)


def test_a_structured_report_is_written_on_request_alone(hands):
    series, model_of_hands = hand_series(hands / "series"), hands / "deep"
    write_network(str(model_of_hands), mean_depth=(0.0,) * 5)
    given = ["--model", str(model_of_hands), "--side", "left", str(series)]
    predict.main([*given, "--out", str(hands / "without")])
    assert not list((hands / "without").glob("*.dcm"))
    predict.main([*given, "--sr", "--out", str(hands / "with")])
    report = srread(hands / "with" / "series.dcm")
    (case,) = json.loads((hands / "with" / "run.json").read_text())["cases"]
    placed = {mark["name"]: mark["mm"] for mark in case["landmarks"] if mark["status"] == "ok"}
    groups = report.content.get_planar_roi_measurement_groups()
    assert {group.tracking_identifier for group in groups} == placed.keys() and placed
    for group in groups:
        np.testing.assert_allclose(group.roi.value[0], placed[group.tracking_identifier], atol=2e-3)
    assert b"Doe" not in b"".join(content for name, content in results(hands / "with").items() if name != "series.dcm")


def test_a_picture_has_no_structured_report(hands):
    with pytest.raises(ValueError, match=r"is of a DICOM volume, and this is none; leave --sr out"):
        predict.main(command(hands, "--sr"))
