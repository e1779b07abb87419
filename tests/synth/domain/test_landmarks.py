"""Landmark files: round trips, and one clear line for everything that is wrong in them."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.domain.anatomy import HAND
from synth.domain.landmarks import (
    PREDICTED,
    Annotation,
    Prediction,
    escaped,
    read_annotations,
    read_csv,
    unescaped,
    write_csv,
    write_predictions,
)
from synth.domain.slicer import read_markups, write_markups

POINTS = np.array([[1.5, -2.25, 3], [4, 5, 6], [np.nan] * 3, [-7.125, 8, 9], [10, 11, 12.5]])


def lines(*rows, header="case,subject,landmark,x,y,z"):
    return "\n".join([header, *rows]) + "\n"


def full(case="a", subject="s", skip=()):
    return [f"{case},{subject},{name},1,2,3" for name in HAND.names if name not in skip]


def test_csv_round_trip(tmp_path):
    path = tmp_path / "l.csv"
    given_ = [Annotation(case=case, subject=f"p{case}", points=POINTS + k) for k, case in enumerate(("a", "-b", "ü,1"))]
    write_csv(path, given_, HAND)
    back = read_csv(path, HAND)
    assert list(back) == ["a", "-b", "ü,1"]
    for item in given_:
        assert back[item.case].subject == item.subject
        np.testing.assert_allclose(back[item.case].points, item.points, atol=1e-4)


def test_subject_column_is_optional_and_columns_come_in_any_order(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text(lines(*[f"{name},a,1,2," for name in HAND.names], header="landmark,case,x,y,z"))
    item = read_csv(path, HAND)["a"]
    assert item.subject == "a"
    assert np.isnan(item.points[:, 2]).all() and (item.points[:, 0] == 1).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "columns ''"),
        ('"case,subject', "line 1 is not CSV"),
        (lines(header="case,landmark,x,y"), "needed"),
        (lines(header="case,case,landmark,x,y,z"), "needed"),
        (lines(), "no landmarks"),
        (lines("a,s,thumb_tp,1,2,3"), "did you mean thumb_tip"),
        (lines("a,s,left_knee,1,2,3"), "allowed: thumb_tip, index_tip"),
        (lines(*full(), "a,s,thumb_tip,1,2,3"), "line 7: thumb_tip of case 'a' is given twice"),
        (lines("a,s,thumb_tip,one,2,3"), "line 2: x is 'one'"),
        (lines("a,s,thumb_tip,nan,2,3"), "not a number"),
        (lines("a,s,thumb_tip,1,inf,3"), "not a number"),
        (lines("a,s,thumb_tip,1,,3"), "incomplete"),
        (lines("a,s,thumb_tip,,,3"), "incomplete"),
        (lines("a,s,thumb_tip,1,2"), "fewer fields"),
        (lines("a,s,thumb_tip,1,2,3,4"), "more fields"),
        (lines(",s,thumb_tip,1,2,3"), "case is empty"),
        (lines(*full(skip=("ring_tip",))), "no row for ring_tip of case 'a'"),
        (lines(*full(), *full("a", "t")[:1]), "twice|subject"),
        (lines("a,s,thumb_tip,1,2,3", "a,t,index_tip,1,2,3"), "belongs to subject 't' and 's'"),
    ],
)
def test_what_is_wrong_in_a_csv_is_one_clear_line(tmp_path, text, words):
    path = tmp_path / "l.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        read_csv(path, HAND)
    assert "\n" not in str(caught.value)


def test_binary_file_is_refused(tmp_path):
    path = tmp_path / "l.csv"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match="UTF-8"):
        read_csv(path, HAND)


def test_markups_round_trip_with_undefined_points(tmp_path):
    path = tmp_path / "c.mrk.json"
    write_markups(path, POINTS, HAND)
    np.testing.assert_array_equal(read_markups(path, HAND), POINTS)
    points = json.loads(path.read_text())["markups"][0]["controlPoints"]
    assert [p["positionStatus"] for p in points] == ["defined", "defined", "undefined", "defined", "defined"]


def test_ras_markups_are_turned_to_lps(tmp_path):
    path = tmp_path / "c.mrk.json"
    write_markups(path, POINTS, HAND)
    payload = json.loads(path.read_text())
    payload["markups"][0]["coordinateSystem"] = "RAS"
    path.write_text(json.dumps(payload))
    np.testing.assert_array_equal(read_markups(path, HAND), POINTS * [-1, -1, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["controlPoints"][0].update(label="thmb_tip"), "did you mean thumb_tip"),
        (lambda m: m["controlPoints"][0].update(label="index_tip"), "twice"),
        (lambda m: m["controlPoints"][0].update(position=[1, 2]), "three numbers"),
        (lambda m: m["controlPoints"][0].pop("position"), "not a 3D Slicer"),
        (lambda m: m.update(coordinateSystem="XYZ"), "allowed: LPS, RAS"),
        (lambda m: m.pop("controlPoints"), "not a 3D Slicer"),
    ],
)
def test_what_is_wrong_in_markups_is_one_clear_line(tmp_path, change, words):
    path = tmp_path / "c.mrk.json"
    write_markups(path, POINTS, HAND)
    payload = json.loads(path.read_text())
    change(payload["markups"][0])
    path.write_text(json.dumps(payload))
    with pytest.raises(ValueError, match=words):
        read_markups(path, HAND)


def test_several_files_make_one_set_and_doubled_cases_are_refused(tmp_path):
    for case in ("a", "b"):
        write_markups(tmp_path / f"{case}.mrk.json", POINTS, HAND)
    paths = [tmp_path / "a.mrk.json", tmp_path / "b.mrk.json"]
    found = read_annotations(paths, HAND)
    assert list(found) == ["a", "b"] and all(item.viewer for item in found.values())
    (tmp_path / "l.csv").write_text(lines(*full("b")))
    with pytest.raises(ValueError, match="case 'b' has landmarks in more than one file"):
        read_annotations([*paths, tmp_path / "l.csv"], HAND)
    with pytest.raises(ValueError, match="do not exist"):
        read_annotations([tmp_path / "none.csv"], HAND)
    (tmp_path / "l.txt").write_text("")
    with pytest.raises(ValueError, match=r"allowed: \.csv"):
        read_annotations([tmp_path / "l.txt"], HAND)


@given(st.text(max_size=20))
def test_escaped_text_is_no_formula_and_comes_back(text):
    assert not escaped(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unescaped(escaped(text)) == text


def test_predictions_are_empty_unless_ok(tmp_path):
    path = tmp_path / "p.csv"
    ok = Prediction(
        case="=cmd()", landmark="thumb_tip", status="ok", point_px=(1.0, 2.0), point_mm=(3.0, 4.0, -5.0), sigma_mm=0.5,
        radius90_mm=float("nan"), depth_source="regressed", num_calibration=14,
    )  # fmt: skip
    outside = Prediction(case="b", landmark="index_tip", status="outside", point_px=(1.0, 2.0), sigma_mm=1.0)
    write_predictions(path, [ok, outside])
    rows = list(csv.reader(path.open()))
    assert tuple(rows[0]) == PREDICTED
    assert rows[1][1:9] == ["thumb_tip", "ok", "1.000", "2.000", "3.000", "4.000", "-5.000", "0.500"]
    assert rows[1][9:] == ["", "regressed", "14"]
    assert rows[1][0] == "'=cmd()"
    assert rows[2] == ["b", "index_tip", "outside", *[""] * 9]
