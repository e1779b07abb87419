"""Measures of cases: closed forms of a square, and that the odd one out among many is the one that is named."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from synth.domain.anatomy import BODY, HAND, HIDDEN, INSIDE, OUTSIDE
from synth.domain.measures import measure, table
from synth.domain.parts import find_parts
from synth.domain.radiograph import Image, outline
from synth.domain.suspects import sentence, suspects


def square(size=20, spacing=2.0, holes=0):
    """A bright square at the top of a picture, a speck of nine pixels beside it."""
    pixels = np.zeros((50, 60), np.float32)
    pixels[:size, 10 : 10 + size] = 9
    for k in range(holes):
        pixels[3 + 4 * k : 5 + 4 * k, 13:15] = 0
    pixels[40:43, 50:53] = 9
    return Image(pixels=pixels, spacing_mm=(spacing, spacing) if spacing else None, to_viewer=np.eye(2, 3))


def row(image, points=None, visible=None, case="a"):
    view = outline(image, threshold=5.0)
    points = np.full((5, 2), np.nan) if points is None else points
    visible = np.full(5, INSIDE, np.uint8) if visible is None else np.array(visible, np.uint8)
    parts = find_parts(image, view)
    return measure(view, parts, points, visible, HAND, case=case, subject="p", notes=("one", "two"))


def test_a_square_has_the_measures_of_a_square():
    found = row(square(holes=3))
    pixels = 400 - 3 * 4
    assert found.area == 4 * pixels and found.share == pixels / 3000 and found.unit == "mm" and found.kind == "2D"
    assert (found.parts, found.second_area, found.cut_out_area, found.holes) == (2, 36, 0, 3)
    assert (found.top, found.bottom, found.left, found.right) == (20 / 60, 0, 0, 0)
    assert found.depth_range_mm is None and found.farthest is None and found.missing == 5
    assert row(square(spacing=None)).unit == "px" and row(square(spacing=None)).area == 400


def test_the_farthest_skin_landmark_is_named_in_mm():
    points = np.array([[10.5, 5.5], [20.0, 10.0], [29.5, 30.5], [np.nan, np.nan], [59.0, 1.0]])
    found = row(square(), points, [INSIDE, INSIDE, INSIDE, OUTSIDE, OUTSIDE])
    assert found.farthest_landmark == "middle_tip" and found.farthest == pytest.approx(2 * 11)
    assert (found.given, found.missing, found.outside) == (4, 1, 1)
    found = row(square(), points, [INSIDE, INSIDE, HIDDEN, OUTSIDE, OUTSIDE])
    assert found.farthest_landmark == "index_tip" and found.farthest == pytest.approx(2 * np.hypot(9.5, 0.5), abs=0.1)


def test_a_knee_in_the_middle_of_a_leg_is_not_the_farthest_of_a_body():
    view = outline(square(), threshold=5.0)
    points = np.tile([10.5, 5.5], (9, 1))
    points[[name.endswith(("knee", "shoulder")) for name in BODY.names]] = 20, 10
    parts = find_parts(square(), view)
    found = measure(view, parts, points, np.full(9, INSIDE, np.uint8), BODY, case="a", subject="p", notes=())
    assert found.farthest == pytest.approx(0) and found.given == 9


def test_the_table_says_what_was_measured_and_leaves_the_unknown_empty():
    rows = [row(square(), case="=1+1"), row(square(spacing=None), case="b")]
    read = list(csv.DictReader(io.StringIO(table(rows))))
    assert [line["case"] for line in read] == ["'=1+1", "b"]  # no spreadsheet takes a name for a formula
    assert read[0]["area"] == "1600" and read[1]["pixel_mm"] == "" == read[1]["depth_range_mm"]
    assert read[0]["notes"] == "one; two"


def test_the_odd_one_out_is_named_and_equal_cases_are_not():
    rows = [row(square(19 + k % 3), case=f"case-{k}") for k in range(8)]
    assert suspects(rows) == [] and sentence(rows) == "no case stands out within the study"
    odd = replace(rows[3], area=3.1 * float(np.median([r.area for r in rows])))
    assert sentence([*rows[:3], odd, *rows[4:]]) == "look at: case-3 (area 3.1 times the median)"
    assert "too few" in sentence(rows[:4])


def test_only_a_worse_landmark_stands_out_and_cases_in_px_are_no_outliers_among_mm():
    rows = [replace(row(square(), case=f"case-{k}"), farthest=5.0) for k in range(8)]
    assert suspects([*rows[:7], replace(rows[7], farthest=0.0)]) == []
    (found,) = suspects([*rows[:7], replace(rows[7], farthest=30.0)])
    assert found.case == "case-7" and str(found) == "case-7 (landmark off the outline 6 times the median)"
    assert suspects([*rows[:7], replace(row(square(spacing=None), case="px"), farthest=900.0)]) == []
