"""What a user gets wrong: one clear line, exit 2 for usage, 1 for data, and nothing written."""

# ruff: noqa: E501  a table of command lines

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import run
from synth.domain.anatomy import HAND
from synth.domain.schema import Samples
from synth.domain.shards import Manifest, write_manifest, write_shard


def _dataset(folder: Path, kind: str = "renderings", rows: int = 8) -> Path:
    """A tiny hand dataset: noise with landmarks in the middle."""
    rng = np.random.default_rng([1, 1])
    study = kind == "study"
    samples = Samples(
        sample_id=np.arange(rows),
        packed=rng.integers(0, 256, (rows, HAND.silhouette_bytes), dtype=np.uint8),
        depth_mm=rng.uniform(10, 60, (rows, *HAND.size)).astype(np.float32),
        landmarks=np.full((rows, 5, 3), 48, np.float32),
        visible=np.ones((rows, 5), np.uint8),
        pixel_mm=np.ones((rows, 2), np.float32),
        parameters=np.zeros((rows, 0 if study else 1), np.float32),
        joints=np.zeros((rows, 0 if study else 1, 3), np.float32),
        case=tuple(f"case-{i}" for i in range(rows)) if study else None,
        subject=tuple(f"person-{i}" for i in range(rows)) if study else None,
        to_source=np.tile(np.eye(2, 3), (rows, 1, 1)) if study else None,
        to_patient=np.tile(np.eye(3, 4), (rows, 1, 1)) if study else None,
    )
    shard = write_shard(samples, str(folder), 0, {})
    manifest = Manifest(kind=kind, anatomy=HAND, recipe={}, seed=None, shards=(shard,))  # type: ignore[arg-type]
    write_manifest(str(folder), manifest)
    return folder


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, a study, an image with labels, and something that is none of ours."""
    folder = tmp_path_factory.mktemp("shelf")
    _dataset(folder / "data")
    _dataset(folder / "study", "study")
    (folder / "other").mkdir()
    (folder / "other" / "notes.txt").write_text("mine")
    mask = np.zeros((80, 60), np.uint8)
    mask[10:70, 15:45] = 255
    Image.fromarray(mask).save(folder / "a.png")
    (folder / "wrong.csv").write_text("case,subject,landmark,x,y,z\na,p,thumbtip,5,5,\n")
    (folder / "right.csv").write_text("case,subject,landmark,x,y,z\na,p,thumb_tip,20,20,\n")
    (folder / "full.csv").write_text("case,landmark,x,y,z\n" + "".join(f"a,{name},20,20,\n" for name in HAND.names))
    (folder / "people.csv").write_text("case,subject\na,\n")
    for name, length, mode in (("open", 32, 0o644), ("short", 3, 0o600), ("good", 32, 0o600)):
        (folder / f"{name}.key").write_bytes(bytes(length))
        (folder / f"{name}.key").chmod(mode)
    (folder / "empty.png").write_bytes(b"")
    return folder


RENDER = ("render", "hand_smoke", "--seed", 1)
STUDY = ("study", "hand", "--side", "left", "--images", "a.png")
CASES: list[tuple[tuple[object, ...], int, str]] = [
    ((*RENDER, "--count", 0, "--out", "new"), 2, "at least 1"),
    (("render", "handy", "--count", 8, "--seed", 1, "--out", "new"), 2, "recipe 'handy' does not exist"),
    ((*RENDER, "--count", 8, "--out", "new", "--set", "render.colour=1"), 2, "no field 'render.colour'"),
    ((*RENDER, "--count", 8, "--out", "new", "--set", "render.hand.shape.changes=9"), 2, "allowed: 0 to 1"),
    (("render", "hand_smoke", "--count", 8, "--seed", -1, "--out", "new"), 2, "0 or more"),
    ((*RENDER, "--count", 8, "--out", "other"), 1, "holds something else (notes.txt)"),
    ((*RENDER, "--count", 8, "--out", "gopher://x/new"), 1, "use a local path"),
    (("check", "nowhere"), 1, "holds no dataset"),
    (("phantoms", "hand_smoke", "--count", 0, "--seed", 1, "--out", "new"), 2, "at least 1"),
    (("phantoms", "hand_smoke", "--count", 1, "--seed", 1, "--out", "other"), 1, "other"),
    ((*STUDY, "--landmarks", "nowhere.csv", "--out", "new"), 1, "nowhere.csv"),
    ((*STUDY, "--landmarks", "wrong.csv", "--out", "new"), 1, "thumbtip"),
    ((*STUDY, "--landmarks", "right.csv", "--out", "other"), 1, "already holds"),
    (("study", "hand", "--images", "a.png", "--landmarks", "right.csv", "--out", "new"), 2, "--side"),
    (("study", "foot", "--images", "a.png", "--landmarks", "right.csv", "--out", "new"), 2, "'foot' does not exist"),
    (("study", "hand", "--side", "left", "--images", "no.png", "--landmarks", "right.csv", "--out", "new"), 1, "no.png"),
    ((*STUDY, "--landmarks", "right.csv"), 2, "--template to begin annotating"),
    (("study", "hand", "--template", "no.png", "--out", "new"), 1, "no.png"),
    ((*STUDY, "--landmarks", "right.csv", "--up", "posterior", "--couch", "fit", "--out", "new"), 2, "it is not behind the body"),
    ((*STUDY, "--landmarks", "right.csv", "--back", "left", "--fingers", "right", "--out", "new"), 2, "are no right angle"),
    ((*STUDY, "--landmarks", "full.csv", "--subject-key", "open.key", "--out", "new"), 1, "chmod 600"),
    ((*STUDY, "--landmarks", "full.csv", "--subject-key", "short.key", "--out", "new"), 1, "has 3 bytes, not 32"),
    ((*STUDY, "--landmarks", "full.csv", "--subject-key", "good.key", "--out", "new"), 1, "give the subjects in a CSV"),
    ((*STUDY, "--landmarks", "full.csv", "--subjects", "people.csv", "--out", "new"), 1, "row 2 has no case"),
    (("pretrain", "hand_smoke", "--data", "nowhere", "--out", "new"), 1, "holds no dataset"),
    (("pretrain", "body_smoke", "--data", "data", "--out", "new"), 1, "hand"),
    (("pretrain", "hand_smoke", "--data", "data", "--out", "other"), 1, "other"),
    (("sweep", "hand_smoke", "--study", "nowhere", "--pretrained", "nowhere", "--out", "new"), 1, "nowhere"),
    (("sweep", "body_smoke", "--study", "study", "--pretrained", "nowhere", "--out", "new"), 1, "hand"),
    (("evaluate", "hand_smoke", "--study", "nowhere", "--data", "data", "--pretrained", "x", "--out", "new"), 1, "nowhere"),
    (("evaluate", "hand_smoke", "--study", "study", "--data", "data", "--pretrained", "x", "--out", "other"), 1, "other"),
    (("predict", "--model", "nowhere", "--side", "left", "--out", "new", "a.png"), 1, "nowhere"),
    (("predict", "--model", "other", "--side", "left", "--out", "new", "a.png"), 1, "other"),
]  # fmt: skip


def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *command: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a verb's command line, run in this process."""
    verb, *arguments = map(str, command)
    module = importlib.import_module(f"pipelines.{verb}")
    monkeypatch.setattr(sys, "argv", [f"{verb}.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        run(module.main)
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize(("command", "code", "says"), CASES, ids=lambda value: str(value)[:60])
def test_bad_input_is_one_clear_line_and_writes_nothing(
    shelf: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[object, ...],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(shelf)
    monkeypatch.setenv("SYNTHMARK_MLFLOW", f"sqlite:///{shelf}/mlflow.db")
    before = sorted(str(path) for path in shelf.rglob("*"))
    found, _, err = _run(monkeypatch, capsys, *command)
    last = err.strip().splitlines()[-1]
    assert found == code, err
    assert "error: " in last and says in last
    assert sorted(str(path) for path in shelf.rglob("*")) == before, "nothing may be written"


@pytest.mark.parametrize(
    "verb", ["render", "check", "phantoms", "study", "pretrain", "sweep", "evaluate", "predict", "demo"]
)
def test_help_shows_an_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, _ = _run(monkeypatch, capsys, verb, "--help")
    assert code == 0
    assert f"python pipelines/{verb}.py" in out
