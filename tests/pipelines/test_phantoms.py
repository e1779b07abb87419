"""The phantoms verb: resumes, extends, refuses another recipe's folder; its output goes straight into a study."""

import json
import shutil

import numpy as np
import pytest
from scipy import ndimage

from pipelines import phantoms, study
from pipelines.cli import UsageError
from synth.domain.anatomy import BODY, HAND
from synth.domain.landmarks import read_csv
from synth.domain.schema import unpack_silhouettes
from synth.domain.shards import read_samples
from synth.domain.volume import read

COARSE = ["hand", "--set", "phantom.spacing_mm=[3.0,3.0,3.0]", "--seed", "1"]


@pytest.mark.slow
def test_finished_scans_are_kept_and_more_can_be_added(tmp_path):
    out = tmp_path / "p"
    phantoms.main([*COARSE, "--count", "3", "--out", str(out)])
    files = sorted((out / "images").iterdir())
    assert [f.name for f in files] == ["hand-0000.nii.gz", "hand-0001.nii.gz", "hand-0002.nii.gz"]
    kept, lost = files[0].stat().st_mtime_ns, files[1].read_bytes()
    files[1].unlink()
    line = phantoms.main([*COARSE, "--count", "4", "--out", str(out)])
    assert "4 virtual hand scans (2 new)" in line
    assert files[0].stat().st_mtime_ns == kept and files[1].read_bytes() == lost
    assert list(read_csv(out / "landmarks.csv", HAND)) == [f"hand-{k:04d}" for k in range(4)]
    case = json.loads((out / "phantoms.json").read_text())["cases"]["hand-0003"]
    assert case["subject"] == "subject-0001" and case["sex"] in ("female", "male") and case["shifts"] == {}
    for other in (["--set", "phantom.noise=5"], ["--seed", "2"]):
        with pytest.raises(ValueError, match="another recipe or seed"):
            phantoms.main([*COARSE, *other, "--out", str(out)])


@pytest.mark.slow
@pytest.mark.parametrize("side", ["left", "right"])
def test_phantoms_go_into_a_study_with_their_landmarks(tmp_path, side):
    out = tmp_path / "p"
    phantoms.main([*COARSE, "--set", f"phantom.side={side}", "--count", "2", "--out", str(out)])
    study.main(
        ["hand", "--side", side, "--images", str(out / "images"), "--landmarks", str(out / "landmarks.csv"),
         "--subjects", str(out / "subjects.csv"), "--out", str(tmp_path / "s")]
    )  # fmt: skip
    samples = read_samples(str(tmp_path / "s"), HAND, depth=True)
    truth = read_csv(out / "landmarks.csv", HAND)
    for k, case in enumerate(samples.case):
        back = samples.to_patient[k][:, :3] @ samples.landmarks[k].T + samples.to_patient[k][:, 3:]
        np.testing.assert_allclose(back.T, truth[case].points, atol=0.01)
        assert samples.landmarks[k, 0, 0] > samples.landmarks[k, 4, 0]  # a left hand's patch, whichever the side


@pytest.mark.slow
def test_switches_are_told_and_recorded(tmp_path, capsys):
    shifts = ["--set", "phantom.shifts.short_finger=1.0", "--set", "phantom.acquisition.oblique=1.0"]
    phantoms.main([*COARSE, *shifts, "--count", "1", "--out", str(tmp_path / "p")])
    assert "short_finger (100%), oblique (100%), deformation (1.5 mm)" in capsys.readouterr().out
    case = json.loads((tmp_path / "p" / "phantoms.json").read_text())["cases"]["hand-0000"]
    assert set(case["shifts"]) == {"short_finger"}
    with pytest.raises(UsageError, match="scoliosis"):
        phantoms.main([*COARSE, "--set", "phantom.shifts.scoliosis=1", "--count", "1", "--out", str(tmp_path / "q")])


@pytest.mark.slow
def test_dicom_folders_are_finished_and_read_like_the_volumes_they_hold(tmp_path):
    """Some of them sagittal, feet first or oblique; a case that was lost or begun is made again with the same bytes."""
    ways = {"feet_first": 0.5, "other_planes": 0.7, "deflated": 0.5, "oblique": 0.4}
    given = [*COARSE, *(f for name, v in ways.items() for f in ("--set", f"phantom.acquisition.{name}={v}"))]
    out, plain = tmp_path / "d", tmp_path / "n"
    phantoms.main([*given, "--count", "4", "--out", str(out), "--format", "dicom"])
    phantoms.main([*given, "--count", "4", "--out", str(plain)])
    folders = sorted((out / "images").iterdir())
    assert [f.name for f in folders] == [f"hand-{k:04d}" for k in range(4)]
    slices = {file.name: file.read_bytes() for file in folders[1].iterdir()}
    shutil.rmtree(folders[1])
    (out / "images" / ".tmp.hand-0001").mkdir()
    line = phantoms.main([*given, "--count", "4", "--out", str(out), "--format", "dicom"])
    assert "(1 new)" in line and slices == {file.name: file.read_bytes() for file in folders[1].iterdir()}
    assert sorted((out / "images").iterdir()) == folders
    for folder in folders:
        one, other = read(folder), read(plain / "images" / f"{folder.name}.nii.gz")
        np.testing.assert_allclose(one.index_to_patient, other.index_to_patient, atol=1e-3)
        assert np.abs(one.voxels.astype(float) - other.voxels).mean() < 1
    with pytest.raises(ValueError, match="give --format dicom"):
        phantoms.main([*given, "--count", "4", "--out", str(out)])
    study.main(
        ["hand", "--side", "left", "--images", *map(str, folders), "--landmarks", str(out / "landmarks.csv"),
         "--out", str(tmp_path / "s")]
    )  # fmt: skip
    samples = read_samples(str(tmp_path / "s"), HAND, depth=True)
    assert len(samples.case) == 4
    for patch, points in zip(unpack_silhouettes(samples.packed, HAND.size), samples.landmarks, strict=True):
        away = ndimage.distance_transform_edt(~patch)  # labels are turned as the volumes are
        assert away[tuple(np.clip(points[:, [1, 0]].astype(int), 0, 95).T)].max() <= 2


@pytest.mark.slow
def test_lungs_and_gas_leave_no_holes_in_a_body_that_went_through_the_verbs(tmp_path):
    """On a couch, as DICOM and NIfTI: the patch is that of the same body without anything in it."""
    given = ["body", "--set", "phantom.spacing_mm=[4.0,4.0,4.0]", "--set", "phantom.couch=plates", "--seed", "5"]
    patches = []
    for name, more in (("full", ["--format", "dicom"]), ("filled", ["--set", "phantom.insides=null"])):
        out = tmp_path / name
        phantoms.main([*given, *more, "--count", "2", "--out", str(out)])
        study.main(
            ["body", "--images", *map(str, (out / "images").iterdir()), "--landmarks", str(out / "landmarks.csv"),
             "--out", str(tmp_path / f"{name}_study")]
        )  # fmt: skip
        samples = read_samples(str(tmp_path / f"{name}_study"), BODY, depth=True)
        patches.append(unpack_silhouettes(samples.packed, BODY.size))
    for seen, truth in zip(*patches, strict=True):
        assert 2 * (seen & truth).sum() / (seen.sum() + truth.sum()) > 0.99
        lost = ndimage.label(truth & ~seen)[0]
        assert np.bincount(lost.ravel())[1:].max(initial=0) <= 3  # px of an edge; a lung has hundreds, gas ten


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="something else"):
        phantoms.main([*COARSE, "--count", "1", "--out", str(tmp_path)])
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
