"""No text of a header reaches an output, a picture or a message; cases and subjects are called as the user says."""

import contextlib
import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from pydicom.datadict import keyword_for_tag

from pipelines import explain, predict, predicted_cases, study
from pipelines.cli import UsageError
from synth.domain.anatomy import HAND
from synth.domain.cases import find_images, name_cases
from synth.domain.cloud import depth_cloud
from synth.domain.landmarks import Annotation, write_csv
from synth.domain.reader import Reader
from synth.domain.shards import read_manifest, read_samples
from synth.domain.volume import write_image
from tests.planted import BORN, READABLE, SECRET, UNREADABLE, planted_png, series, several
from tests.synth.domain.test_overhead import PLAIN, box
from tests.training.toy import toy_card
from training.checkpoint import save_model
from training.models import ModelRecipe, build_model


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as made:
        yield made


@pytest.fixture(autouse=True)
def one_reader(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verb reads with the same child, which takes a second to start."""
    for module in (study, predicted_cases):
        monkeypatch.setattr(module, "Reader", lambda: contextlib.nullcontext(reader))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learnt nothing."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(1)
    card = replace(toy_card(ModelRecipe()), mean_depth=(0.0,) * 5)
    save_model(str(folder), build_model(card.model, HAND), card)
    return folder


def everything(folder: Path) -> bytes:
    """All names and bytes below a folder, Parquet unpacked."""
    text = b""
    for path in sorted(folder.rglob("*")):
        text += str(path.relative_to(folder)).encode()
        if path.is_file():
            text += path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            text += repr((table.schema.metadata, table.to_pydict())).encode()
    return text


def written(folder: Path) -> bytes:
    """All that the verbs of both_verbs wrote."""
    return b"".join(everything(folder / name) for name in ("study", "predicted", "explained", "explained too"))


def landmarks(path: Path, folder: Path) -> Path:
    """A landmark file for the one case at `path`, nothing annotated."""
    (case,) = name_cases(find_images([path]))
    write_csv(folder / "marks.csv", [Annotation(case=case, subject="p", points=np.full((5, 3), np.nan))], HAND)
    return folder / "marks.csv"


def both_verbs(path: Path, model: Path, folder: Path, *more: str) -> str:
    """What study and predict say of a scan, explained; what they write is `written`."""
    said = []
    for verb, arguments in (
        (
            study,
            [
                "hand",
                "--images",
                path,
                "--landmarks",
                landmarks(path, folder),
                "--out",
                folder / "study",
                "--explain",
                folder / "explained",
            ],
        ),
        (predict, ["--model", model, "--out", folder / "predicted", "--explain", folder / "explained too", path]),
    ):
        try:
            said.append(verb.main([*map(str, arguments), "--side", "left", *more]))
        except ValueError as error:
            said.append(str(error))
    return "\n".join(said)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that pictures of --explain show of a scan: its pixels cannot be searched."""
    texts: list[str] = []
    draw = explain._drawable
    monkeypatch.setattr(explain, "_drawable", lambda text: texts.append(text) or draw(text))
    return texts


@pytest.mark.parametrize("make", READABLE + UNREADABLE)
def test_no_text_of_a_header_is_repeated(
    make: Callable[[Path], Path],
    model: Path,
    tmp_path: Path,
    drawn: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SYNTHMARK_MLFLOW", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    said = both_verbs(path, model, tmp_path)
    printed = "".join(capfd.readouterr()) + said + "".join(drawn)
    assert (tmp_path / "study" / "manifest.json").exists() is (make in READABLE), said
    assert bool(drawn) is (make in READABLE) and not (tmp_path / "mlflow.db").exists()
    for secret in (SECRET, BORN, "1.2.826.0.1.1"):
        assert secret not in printed.replace(str(tmp_path), "") and secret.encode() not in written(tmp_path)


@pytest.mark.parametrize("kind", ["cloud", "depth image", "bad camera"])
def test_no_text_of_a_cloud_or_a_camera_is_repeated(
    kind: str, model: Path, tmp_path: Path, drawn: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    image, camera = box()
    facts = {"name": SECRET, "serial": SECRET, "intrinsics": {"model": SECRET}, **PLAIN, "depth_scale": 0.001}
    (tmp_path / "camera.json").write_text(json.dumps(facts | ({"fx": SECRET} if kind == "bad camera" else {})))
    path, more = tmp_path / "a.png", ["--camera", str(tmp_path / "camera.json")]
    write_image(image.pixels.astype(np.uint16), path)
    if kind == "cloud":
        path, more = tmp_path / "a.ply", ["--unit", "mm"]
        points = depth_cloud(image, camera).points.astype("<f4")
        fields = "".join(f"property float {axis}\n" for axis in "xyz")
        head = (
            f"ply\nformat binary_little_endian 1.0\ncomment {SECRET}\nobj_info {SECRET}\nelement vertex {len(points)}\n"
        )
        path.write_bytes(f"{head}{fields}element {SECRET} 0\nend_header\n".encode() + points.tobytes())
    try:
        said = both_verbs(path, model, tmp_path, "--head", "up", *more)
    except UsageError as error:
        said = str(error)
    assert (tmp_path / "study" / "manifest.json").exists() is bool(drawn) is (kind != "bad camera"), said
    printed = "".join(capfd.readouterr()) + said + "".join(drawn)
    assert SECRET not in printed and SECRET.encode() not in written(tmp_path)


def test_the_secret_is_really_there(tmp_path: Path) -> None:
    assert everything(series(tmp_path)).count(SECRET.encode()) > 4 * 500
    assert keyword_for_tag(0x00100010) == "PatientName"


def test_renamed_cases_are_numbers_everywhere(
    model: Path, tmp_path: Path, drawn: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / SECRET).mkdir()
    path = series(tmp_path / SECRET).rename(tmp_path / SECRET / f"{SECRET} Anna")
    said = both_verbs(path, model, tmp_path, "--rename")
    printed = "".join(capfd.readouterr()) + said
    assert SECRET not in printed + "".join(drawn) and SECRET.encode() not in written(tmp_path)
    assert "case-0001" in drawn
    samples = read_samples(str(tmp_path / "study"), HAND)
    assert samples.case == ("case-0001",) and samples.subject == ("subject-0001",)
    assert (tmp_path / "predicted" / "case-0001.mrk.json").exists()


def test_a_series_named_by_its_uid_is_recorded_as_a_hash(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = several(tmp_path / "in")
    said = both_verbs(path, model, tmp_path, "--series", "1.2.3")
    found = written(tmp_path)
    assert (tmp_path / "study" / "manifest.json").exists() and b"run.json" in found, said
    assert b"1.2.3" not in found and found.count(b'"sha256 ') == 3  # manifest, run.json, the case's record
    with pytest.raises(ValueError, match="the --series given"):
        predict.main(
            ["--model", str(model), "--side", "left", "--series", "9.8.7", "--out", str(tmp_path / "none"), str(path)]
        )


def test_subjects_of_dicom_cases_are_keyed_hashes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = series(tmp_path / "in", lambda k, made: setattr(made, "PatientID", SECRET))
    arguments = ["hand", "--side", "left", "--images", path, "--landmarks", landmarks(path, tmp_path)]
    found = []
    for out, key in (("a", "key"), ("b", "key"), ("c", "other")):
        study.main([*map(str, arguments), "--out", str(tmp_path / out), "--subject-key", str(tmp_path / key)])
        assert stat.S_IMODE((tmp_path / key).stat().st_mode) == 0o600
        found.append(read_samples(str(tmp_path / out), HAND).subject)
        assert SECRET.encode() not in everything(tmp_path / out)
        assert (tmp_path / key).read_bytes() not in everything(tmp_path / out)
    assert found[0] == found[1] != found[2] and len(found[0][0]) == 16
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        study.main([*map(str, arguments), "--out", str(tmp_path / "d"), "--subject-key", str(tmp_path / "key")])


def test_subjects_and_attributes_come_from_a_table(tmp_path: Path) -> None:
    path = planted_png(tmp_path)
    (tmp_path / "s.csv").write_text("case,subject,sex\na,person 7,f\nb,person 8,m\n")
    arguments = ["hand", "--side", "left", "--images", path, "--landmarks", landmarks(path, tmp_path)]
    study.main([*map(str, arguments), "--out", str(tmp_path / "out"), "--subjects", str(tmp_path / "s.csv")])
    assert read_samples(str(tmp_path / "out"), HAND).subject == ("person 7",)
    assert read_manifest(str(tmp_path / "out")).recipe["attributes"] == {"a": {"sex": "f"}}
    for text, words in (
        ("case,sex\na,f\n", "needed: case,subject"),
        ("case,subject\nb,x\n", "lack 1 cases: a"),
        ("case,subject\na,x\na,y\n", "row 3 has no case, no subject, or a case that stands above"),
    ):
        (tmp_path / "s.csv").write_text(text)
        with pytest.raises(ValueError, match=words):
            study.main([*map(str, arguments), "--out", str(tmp_path / "no"), "--subjects", str(tmp_path / "s.csv")])
