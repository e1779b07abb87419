"""A case in the terminal: as wide as it is, landmarks where they lie, colours only where there are some."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.preview import Screen, preview, screen_of
from tests.training.test_predict import case, loaded
from training.predict import predict_case

PLAIN = Screen(columns=80, lines=40, colours=False)
POINTS = [[48.0, 60.0], [40.0, 60.0], [56.0, 60.0], [48.0, 50.0], [3.0, 3.0]]


def drawn(screen: Screen = PLAIN, side: str = "left") -> list[str]:
    prepared = case(side)
    return preview("a case", prepared, predict_case(loaded(POINTS), prepared), screen).splitlines()


def test_marks_lie_where_the_landmarks_do_and_the_legend_names_them():
    prepared, lines = case(), drawn()
    found = predict_case(loaded(POINTS), prepared)
    image, legend = lines[1:-5], lines[-5:]
    assert lines[0] == "a case" and max(map(len, image)) <= 79 and len(image) <= 40
    assert [line[0] for line in legend] == list("12345") and legend[4].endswith("untrusted")
    rows, cols = np.nonzero(prepared.source.silhouette)
    height, left, top = rows.max() + 1 - rows.min(), cols.min(), rows.min()
    scale = 2 * len(image) / height
    for mark, (x, y) in zip("1234", found.source, strict=False):
        ((row, column),) = [(r, line.index(mark)) for r, line in enumerate(image) if mark in line]
        assert abs((x - left) * scale - column) <= 2 and abs((y - top) * scale / 2 - row) <= 1.5, mark
    assert not any("5" in line for line in image)
    x, y = found.patient_mm[0, :2]
    assert f"({x:.1f}, {y:.1f}) mm" in legend[0]


def test_what_is_filled_is_the_silhouette():
    """Blocks count half cells: their share of the drawn box is the silhouette's of its own."""
    mask = case().source.silhouette
    rows, cols = np.nonzero(mask)
    share = mask[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1].mean()
    image = drawn()[1:-5]
    filled = sum({"█": 2, "▀": 1, "▄": 1}.get(cell, 2 * cell.isdigit()) for line in image for cell in line)
    assert filled / (2 * len(image) * max(map(len, image))) == pytest.approx(share, abs=0.05)


def test_marks_in_one_place_stand_beside_each_other():
    prepared = case()
    lines = preview("a", prepared, predict_case(loaded(), prepared), PLAIN).splitlines()
    assert all(sum(line.count(mark) for line in lines[1:-5]) == 1 for mark in "12345")


def test_a_right_hand_is_drawn_as_it_lies_in_the_scan():
    blocks = [[line.translate({ord(mark): "█" for mark in "12345"}) for line in drawn(side=side)[1:-5]] for side in ("left", "right")]  # noqa: E501  # fmt: skip
    assert blocks[0] == blocks[1]


def test_colours_are_for_terminals_alone(monkeypatch, capsys):
    assert not any("\x1b" in line for line in drawn())
    coloured = drawn(replace(PLAIN, colours=True))
    assert all("\x1b[" in line for line in coloured[1:])
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert screen_of().colours
    monkeypatch.setenv("NO_COLOR", "1")
    assert not screen_of().colours
