"""Whatever a person gives is read rightly or refused in one line; docs/inputs.md says so in the very words."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from pipelines import study
from pipelines.cli import run
from synth.domain.anatomy import HAND
from synth.domain.cases import case_name
from synth.domain.landmarks import Annotation, write_csv
from synth.domain.projection import Volume
from synth.domain.reader import Reader
from tests.faults.inputs.page import PAGE, SECTIONS, line, told
from tests.faults.inputs.shapes import Input, right, seen

INPUTS = [item for inputs in SECTIONS.values() for item in inputs]
READ = [item for item in INPUTS if not item.told]
RENEW = "docs/inputs.md is old: run python -m tests.faults.inputs.page and read what changed"
REFUSED = [item for item in INPUTS if item.told]


def given(item: Input) -> str:
    return item.given


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as made:
        yield made


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return PAGE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("item", READ, ids=given)
def test_an_unusual_input_gives_the_right_silhouette(
    item: Input, reader: Reader, lines: list[str], tmp_path: Path
) -> None:
    answer, scan = told(item, reader, tmp_path)
    assert scan is not None, answer
    found, wanted = seen(scan), right(scan)
    if isinstance(scan, Volume) and "resampled" in answer:  # to a pixel
        assert not (found & ~ndimage.binary_dilation(wanted, np.ones((3, 3)))).any()
        assert not (ndimage.binary_erosion(wanted, np.ones((3, 3))) & ~found).any()
    else:
        np.testing.assert_array_equal(found, wanted)
    assert item.notes in answer and line(item, answer) in lines, RENEW


@pytest.mark.parametrize("item", REFUSED, ids=given)
def test_what_cannot_be_read_is_refused_in_one_line(
    item: Input, reader: Reader, lines: list[str], tmp_path: Path
) -> None:
    answer, scan = told(item, reader, tmp_path)
    assert scan is None and re.search(item.told, answer) and answer.isprintable()
    assert line(item, answer) in lines, RENEW


@pytest.mark.parametrize("item", REFUSED, ids=given)
def test_the_study_verb_says_so_and_writes_nothing(
    item: Input, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "Permission" in item.told and os.geteuid() == 0:
        pytest.skip("root may read every file")
    (tmp_path / "in").mkdir()
    path = item.make(tmp_path / "in")
    case = case_name(path).encode(errors="replace").decode()
    nowhere = Annotation(case=case, subject="p", points=np.full((5, 3), np.nan))
    write_csv(tmp_path / "landmarks.csv", [nowhere], HAND)
    command = ["hand", "--side", "left", "--images", path, "--landmarks", tmp_path / "landmarks.csv"]
    command += [] if item.series is None else ["--series", item.series]
    monkeypatch.setattr(sys, "argv", ["study.py", *map(str, command), "--out", str(tmp_path / "out")])
    monkeypatch.setattr(study, "Reader", lambda: contextlib.nullcontext(reader))
    with pytest.raises(SystemExit) as ended:
        run(study.main)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert ended.value.code == 1 and "error: " in last and re.search(item.told, last)
    assert not (tmp_path / "out").exists()


def test_the_page_holds_nothing_else(lines: list[str]) -> None:
    rows = [row for row in lines if row.startswith("| ") and row != "| given | told |"]
    assert len(rows) == len(INPUTS) >= 30 and len({item.given for item in INPUTS}) == len(INPUTS)
