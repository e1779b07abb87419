"""What may be wrong with a table of landmarks, as a person meets it: through the study verb, on a body's volume."""

import csv

import numpy as np
import pytest

from pipelines import study
from synth.domain.anatomy import BODY, OUTSIDE
from synth.domain.landmarks import Annotation, write_csv
from synth.domain.shards import read_samples
from synth.domain.volume import write_volume
from tests.pipelines.test_explain import body
from training.data import Patches

HEIGHTS = {"head": 830.0, "shoulder": 700.0, "fingertip": 400.0, "knee": 250.0, "toe": 70.0}


def points():
    """(9, 3) LPS mm, the left ones at the larger x."""
    x = {"left": 200.0, "right": 120.0}
    return np.array(
        [[x.get(name.split("_")[0], 160.0), 100, next(z for part, z in HEIGHTS.items() if part in name)]
         for name in BODY.names]
    )  # fmt: skip


@pytest.fixture
def imported(tmp_path, capsys):
    """Imports the body with points, and returns (what was printed, its samples, its row of study.csv)."""
    write_volume(body(), tmp_path / "a.nii.gz")

    def run(changed):
        write_csv(tmp_path / "marks.csv", [Annotation(case="a", subject="p", points=changed)], BODY)
        out = tmp_path / "out"
        marks = ["--landmarks", str(tmp_path / "marks.csv")]
        study.main(["body", "--images", str(tmp_path / "a.nii.gz"), *marks, "--out", str(out)])
        with open(out / "study.csv", newline="") as stream:
            (row,) = csv.DictReader(stream)
        return capsys.readouterr().out, read_samples(str(out), BODY), row

    return run


def test_landmarks_that_fit_are_taken_without_a_word(imported):
    printed, samples, row = imported(points())
    assert printed.count("NOTE") == 1 and "how the patient lay" in printed
    assert np.isfinite(samples.landmarks).all() and (row["given"], row["missing"], row["outside"]) == ("9", "0", "0")


def test_a_missing_landmark_is_counted_and_masked_in_training_and_evaluation(imported):
    changed = points()
    changed[BODY.names.index("left_knee")] = np.nan
    _, samples, row = imported(changed)
    assert (row["given"], row["missing"]) == ("8", "1")
    valid = np.array([name != "left_knee" for name in BODY.names])
    np.testing.assert_array_equal(np.isfinite(samples.landmarks[0]).all(1), valid)
    np.testing.assert_array_equal(Patches.from_samples(samples, BODY).valid[0].numpy(), valid)


def test_left_and_right_exchanged_are_warned_of_with_the_evidence(imported):
    printed, _, row = imported(points()[list(BODY.mirror)])
    assert "4 of 4 left landmarks lie on the subject's right: are left and right exchanged" in printed
    assert "exchanged" in row["notes"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p / 1000, r"lie within .* they fit if multiplied by 1000 \(they are in metres\)"),
        (lambda p: p * [1, 1, -1], "lies far outside.*they fit if z change sign"),
        (lambda p: p + np.array([0, 0, 2000]), "lies far outside, at .* check units and axes"),
    ],
)
def test_units_and_axes_that_cannot_be_meant_are_refused(imported, change, told):
    with pytest.raises(ValueError, match=told):
        imported(change(points()))


def test_a_landmark_beyond_the_volume_is_kept_noted_and_not_seen(imported):
    changed = points()
    changed[0, 2] = 960
    printed, samples, row = imported(changed)
    assert "head_top outside the image: kept, as not seen" in printed and row["outside"] == "1"
    assert samples.visible[0, 0] == OUTSIDE and np.isfinite(samples.landmarks[0, 0]).all()
