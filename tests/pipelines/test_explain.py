"""Pictures of how a scan became a patch: one a case, alike every time, of 2D images and volumes, for both verbs."""

import numpy as np
import PIL.Image
import pytest
import torch

from pipelines import predict, study
from pipelines.explain import explain
from synth.domain.anatomy import BODY, HAND
from synth.domain.parts import find_parts
from synth.domain.patch import Crop
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.settings import ImportSettings
from synth.domain.study import prepare
from tests.pipelines.test_study import run, scans  # noqa: F401  a fixture
from tests.training.toy import toy_card
from training.checkpoint import save_model
from training.models import ModelRecipe, build_model


def body():
    """A box of a body on a couch that is wider, a marker beside it."""
    voxels = np.full((90, 60, 80), -1000, np.int16)
    voxels[5:85, 20:45, 25:55] = 40
    voxels[:, 50:52, 15:65] = 60
    voxels[40:44, 10:14, 70:74] = 500
    return Volume(voxels=voxels, index_to_patient=np.column_stack([np.diag([4.0, 4, 10]), np.zeros(3)]))


def picture(png):
    """The pixels of a PNG."""
    from io import BytesIO

    return np.asarray(PIL.Image.open(BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("kind", ["volume", "image"])
def test_the_picture_is_the_same_every_time_and_changes_with_the_landmarks(kind):
    image = Image(pixels=np.pad(np.full((40, 20), 9.0, np.float32), 10), spacing_mm=None, to_viewer=np.eye(2, 3))
    source = body() if kind == "volume" else image
    settings = ImportSettings()
    prepared = prepare(source, BODY, Crop(), settings)
    points = np.full((BODY.num_landmarks, 2), np.nan)
    parts = find_parts(prepared.shown, prepared.source)
    first, again = (explain(prepared, parts, points, BODY, settings, "a", prepared.notes) for _ in range(2))
    np.testing.assert_array_equal(picture(first), picture(again))
    points[0] = 40, 80
    other = picture(explain(prepared, parts, points, BODY, settings, "a", prepared.notes))
    assert other.shape == picture(first).shape and (other != picture(first)).any()


@pytest.mark.parametrize("name", ["$\\frac{1}$ a$", "手 7", "a" * 300])
def test_a_case_may_be_called_anything(name):
    image = Image(pixels=np.pad(np.full((40, 20), 9.0, np.float32), 10), spacing_mm=None, to_viewer=np.eye(2, 3))
    prepared = prepare(image, BODY, Crop(), ImportSettings())
    parts, points = find_parts(prepared.shown, prepared.source), np.full((BODY.num_landmarks, 2), np.nan)
    assert explain(prepared, parts, points, BODY, ImportSettings(), name, [name])


def test_what_was_cut_out_is_told_from_what_lies_apart():
    source = body()
    view = prepare(source, BODY, Crop(), ImportSettings()).source
    parts = find_parts(source, view)
    assert parts.count == 2 and parts.second_px == 4 * 10  # square pixels of 4 mm: 4 x 4 voxels of 10 mm along z
    assert parts.apart.sum() == 40 and 30 * 200 <= view.silhouette.sum() <= 30 * 202
    np.testing.assert_array_equal(parts.beside, parts.beyond & ~view.silhouette & ~parts.apart)
    assert parts.beside.sum() > 4000  # the couch


def test_study_and_predict_write_one_a_case_and_never_over_another(scans, tmp_path):  # noqa: F811
    arguments = ["hand", "--side", "left", "--images", scans / "images", "--landmarks", scans / "landmarks.csv"]
    study.main([*map(str, arguments), "--out", str(tmp_path / "a"), "--explain", str(tmp_path / "seen")])
    assert sorted(path.name for path in (tmp_path / "seen").iterdir()) == [f"c{k}.png" for k in range(4)]
    with pytest.raises(ValueError, match="already holds files"):
        study.main([*map(str, arguments), "--out", str(tmp_path / "b"), "--explain", str(tmp_path / "seen")])
    run(scans, tmp_path / "c")
    digests = [(tmp_path / name / "shard-00000.parquet").read_bytes() for name in "ac"]
    assert digests[0] == digests[1]
    torch.manual_seed(1)
    card = toy_card(ModelRecipe())
    save_model(str(tmp_path / "model"), build_model(card.model, HAND), card)
    predict.main(
        ["--model", str(tmp_path / "model"), "--side", "left", "--out", str(tmp_path / "p"), "--explain",
         str(tmp_path / "predicted"), str(scans / "images" / "c1.png")]
    )  # fmt: skip
    assert [path.name for path in (tmp_path / "predicted").iterdir()] == ["c1.png"]
