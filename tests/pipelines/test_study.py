"""The study verb: what it writes, that order and reruns change nothing, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from pipelines import study
from pipelines.cli import UsageError
from synth.domain.anatomy import HAND
from synth.domain.landmarks import Annotation, write_csv
from synth.domain.shards import read_manifest, read_samples
from synth.domain.slicer import read_markups, write_markups
from synth.domain.volume import write_image
from tests.commands import succeed


@pytest.fixture
def scans(tmp_path):
    """Four 2D hands (blobs) with landmarks, two of each subject, as images and a CSV."""
    images = tmp_path / "images"
    images.mkdir()
    annotations = []
    for k in range(4):
        pixels = np.zeros((60, 50), np.uint8)
        pixels[10 : 50 - k, 10:40] = 180
        write_image(pixels, images / f"c{k}.png")
        points = np.column_stack([np.linspace(38, 12, 5), np.full(5, 12.0 + k), np.full(5, np.nan)])
        annotations.append(Annotation(case=f"c{k}", subject=f"p{k // 2}", points=points))
    write_csv(tmp_path / "landmarks.csv", annotations, HAND)
    return tmp_path


def run(scans, out, images=None, side="left", landmarks=None):
    given = [str(path) for path in (images or [scans / "images"])]
    marks = [str(path) for path in (landmarks or [scans / "landmarks.csv"])]
    return study.main(["hand", "--images", *given, "--landmarks", *marks, "--side", side, "--out", str(out)])


def test_a_study_holds_its_cases_in_order_whatever_the_order_given(scans, capsys):
    line = run(scans, scans / "a")
    files = sorted((scans / "images").iterdir(), reverse=True)
    run(scans, scans / "b", images=files)
    one, other = read_manifest(str(scans / "a")), read_manifest(str(scans / "b"))
    assert one.digest == other.digest and one.kind == "study" and "4 hand cases of 2 subjects" in line
    samples = read_samples(str(scans / "a"), HAND)
    assert samples.case == ("c0", "c1", "c2", "c3") and samples.subject == ("p0", "p0", "p1", "p1")
    assert (scans / "a" / "cases.png").stat().st_size > 0
    table = (scans / "a" / "study.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in table] == ["case", "c0", "c1", "c2", "c3"]
    printed = capsys.readouterr().out
    assert "c3 (p1): 2D, 50 x 60 px, threshold" in printed
    assert set(one.recipe["thresholds"]) == {"c0", "c1", "c2", "c3"} and one.recipe["settings"]["side"] == "left"


def test_a_study_is_never_overwritten(scans):
    run(scans, scans / "a")
    before = (scans / "a" / "manifest.json").read_bytes()
    with pytest.raises(ValueError, match="already holds"):
        run(scans, scans / "a")
    assert (scans / "a" / "manifest.json").read_bytes() == before


def test_slicer_markups_give_the_same_study(scans):
    run(scans, scans / "a")
    marks = []
    for k in range(4):
        points = np.column_stack([np.linspace(38, 12, 5) - 0.5, np.full(5, 11.5 + k), np.zeros(5)])
        marks.append(scans / f"c{k}.mrk.json")
        write_markups(marks[-1], points, HAND)
    run(scans, scans / "b", landmarks=marks)
    one, other = (read_samples(str(scans / name), HAND) for name in ("a", "b"))
    np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-3)
    assert other.subject == ("c0", "c1", "c2", "c3")


def test_many_cases_make_several_shards(scans, monkeypatch):
    monkeypatch.setattr(study, "SHARD_ROWS", 3)
    run(scans, scans / "a")
    assert [shard.rows for shard in read_manifest(str(scans / "a")).shards] == [3, 1]
    assert read_samples(str(scans / "a"), HAND).sample_id.tolist() == [0, 1, 2, 3]


def test_side_is_asked_for(scans, tmp_path):
    arguments = ["--images", str(scans / "images"), "--landmarks", str(scans / "landmarks.csv"), "--out", "x"]
    with pytest.raises(UsageError, match="never guessed"):
        study.main(["hand", *arguments])
    with pytest.raises(UsageError, match="for hands"):
        study.main(["body", *arguments, "--side", "left"])
    with pytest.raises(UsageError, match="choose one of"):
        study.main(["foot", *arguments])
    assert not Path("x").exists()


def test_one_bad_case_writes_nothing(scans):
    (scans / "images" / "c2.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(ValueError, match=r"c2\.png cannot be read"):
        run(scans, scans / "a")
    assert not (scans / "a").exists()


def test_templates_are_empty_markups_that_fill_up_to_a_study(scans, monkeypatch):
    line = study.main(["hand", "--template", str(scans / "images"), "--out", str(scans / "marks")])
    assert "4 .mrk.json with thumb_tip" in line
    for k in range(4):
        path = scans / "marks" / f"c{k}.mrk.json"
        assert np.isnan(read_markups(path, HAND)).all()
        write_markups(path, np.column_stack([np.linspace(38, 12, 5), np.full(5, 12.0), np.zeros(5)]), HAND)
    assert "4 hand cases" in run(scans, scans / "a", landmarks=sorted((scans / "marks").iterdir()))
    with pytest.raises(ValueError, match="exists already"):
        study.main(["hand", "--template", str(scans / "images"), "--out", str(scans / "marks")])
    monkeypatch.chdir(scans)
    study.main(["hand", "--template", "images/c1.png"])
    assert (scans / "c1.mrk.json").exists()
    with pytest.raises(UsageError, match="--template to begin annotating"):
        study.main(["hand", "--images", "images"])


def test_what_is_written_is_for_its_user_alone(scans):
    succeed(
        "study", "hand", "--images", scans / "images", "--landmarks", scans / "landmarks.csv", "--side", "left",
        "--out", scans / "a", "--explain", scans / "seen", home=scans,
    )  # fmt: skip
    written = [path for folder in ("a", "seen") for path in (scans / folder).rglob("*")]
    assert len(written) > 6
    assert [path.name for path in written if path.stat().st_mode & 0o077] == []
