"""Depth images and point clouds through the verbs: both give one study, and what is not known is asked."""

import csv
import json

import numpy as np
import pytest

from pipelines import predict, study
from pipelines.cli import UsageError
from synth.domain.anatomy import BODY
from synth.domain.cloud import depth_cloud
from synth.domain.landmarks import Annotation, write_csv
from synth.domain.shards import read_manifest, read_samples
from synth.domain.volume import write_image
from tests.benchmarks.predict import save_untaught
from tests.synth.domain.test_overhead import PLAIN, box, clouds


@pytest.fixture
def scene(tmp_path):
    """depth.png, camera.json, little.ply of the same box, and landmarks on it in the camera's mm."""
    image, camera = box()
    image.pixels[70:170, 140:180] -= np.arange(40) // 4
    write_image(image.pixels.astype(np.uint16), tmp_path / "depth.png")
    (tmp_path / "camera.json").write_text(json.dumps(PLAIN | {"depth_scale": 0.001}))
    (tmp_path / "saved").mkdir()
    clouds(tmp_path / "saved", depth_cloud(image, camera).points)
    points = np.column_stack([np.linspace(40, -40, 9), np.linspace(-100, 100, 9), np.full(9, 940.0)])
    points[1::2, 0] = np.abs(points[1::2, 0])
    for case in ("depth", "little"):
        write_csv(tmp_path / f"{case}.csv", [Annotation(case=case, subject="p", points=points)], BODY)
    return tmp_path


def run(scene, image, *more):
    marks = scene / f"{image.stem}.csv"
    given = ["body", "--images", str(image), "--landmarks", str(marks), "--out", str(scene / f"study {image.stem}")]
    study.main([*given, *map(str, more)])
    return read_samples(str(scene / f"study {image.stem}"), BODY)


def test_an_image_and_a_cloud_of_one_scene_give_the_same_case(scene, capsys):
    camera = ("--camera", scene / "camera.json", "--explain", scene / "seen")
    image = run(scene, scene / "depth.png", "--head", "up", *camera)
    cloud = run(scene, scene / "saved" / "little.ply", "--head", "up", "--unit", "m")
    np.testing.assert_array_equal(image.packed, cloud.packed)
    np.testing.assert_allclose(image.landmarks, cloud.landmarks, atol=1e-2)
    assert np.isfinite(image.landmarks).all()
    assert (scene / "seen" / "depth.png").stat().st_size > 0
    printed = capsys.readouterr().out
    assert "a unit of depth is taken as 1 mm" in printed and "a unit of the cloud is taken as 1000 mm" in printed
    settings = read_manifest(str(scene / "study depth")).recipe["settings"]
    assert settings["head"] == "up" and settings["camera"]["fx"] == 400


def test_predictions_are_in_the_frame_of_the_camera(scene):
    save_untaught(scene / "model")
    predict.main(
        ["--model", str(scene / "model"), "--out", str(scene / "p"), "--head", "up", "--camera",
         str(scene / "camera.json"), str(scene / "depth.png")]
    )  # fmt: skip
    with open(scene / "p" / "landmarks.csv", newline="") as stream:
        placed = [row for row in csv.DictReader(stream) if row["status"] == "ok"]
    record = json.loads((scene / "p" / "run.json").read_text())
    assert (
        record["settings"]["camera"]["unit_mm"] == 1 and "as the camera's file says" in record["cases"][0]["notes"][0]
    )
    for row in placed:
        x, y, z = (float(row[f"{axis}_mm"]) for axis in "xyz")
        assert abs(x) < 100 and abs(y) < 250 and 900 < z < 1100


def test_what_is_not_known_is_asked(scene):
    with pytest.raises(UsageError, match="give --head"):
        run(scene, scene / "depth.png", "--camera", scene / "camera.json")
    with pytest.raises(ValueError, match="does not say its unit; give --unit"):
        run(scene, scene / "saved" / "little.ply", "--head", "up")
    (scene / "camera.json").write_text(json.dumps(PLAIN))
    with pytest.raises(UsageError, match="does not say the unit of depth"):
        run(scene, scene / "depth.png", "--head", "up", "--camera", scene / "camera.json")
