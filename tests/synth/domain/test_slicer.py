"""3D Slicer's older table of fiducials, and units of its markups."""

import json

import jsonschema
import numpy as np
import pytest

from synth.domain.anatomy import HAND
from synth.domain.landmarks import read_annotations
from synth.domain.slicer import FCSV_COLUMNS, read_fcsv, read_markups, write_markups

POINTS = np.array([[1.5, -2.25, 3], [4, 5, 6], [np.nan] * 3, [-7.125, 8, 9], [10, 11, 12.5]])


def fcsv(path, *, system="LPS", version="# Markups fiducial file version = 4.11", status=True, columns=True):
    """The path, with POINTS as 3D Slicer writes them."""
    sign = np.array([-1, -1, 1]) if system in ("RAS", "0") else np.ones(3)
    lines = [version, f"# CoordinateSystem = {system}"]
    lines += [f"# columns = {','.join(FCSV_COLUMNS)}"] if columns else []
    for k, (name, point) in enumerate(zip(HAND.names, POINTS, strict=True)):
        if np.isnan(point).any() and not status:
            continue
        x, y, z = np.nan_to_num(point) * sign
        end = f",{0 if np.isnan(point).any() else 2},0" if status else ""
        lines.append(f"vtkMRMLMarkupsFiducialNode_{k},{x},{y},{z},0,0,0,1,1,1,0,{name},,vtkMRMLScalarVolumeNode1{end}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("system", ["LPS", "RAS", "0", "1"])
@pytest.mark.parametrize("status", [True, False])
def test_a_table_of_any_version_gives_lps(tmp_path, system, status):
    np.testing.assert_array_equal(read_fcsv(fcsv(tmp_path / "a.fcsv", system=system, status=status), HAND), POINTS)


def test_it_is_one_case_among_others(tmp_path):
    write_markups(tmp_path / "b.mrk.json", POINTS, HAND)
    found = read_annotations([fcsv(tmp_path / "a.1.fcsv"), tmp_path / "b.mrk.json"], HAND)
    assert list(found) == ["a.1", "b"] and all(item.viewer for item in found.values())
    np.testing.assert_array_equal(found["a.1"].points, POINTS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("# Markups fiducial file version", "# something"), "version and a CoordinateSystem"),
        (lambda text: text.replace("# CoordinateSystem = LPS\n", ""), "version and a CoordinateSystem"),
        (lambda text: text.replace("= LPS", "= IJK"), "coordinate system 'IJK'; allowed: LPS, RAS"),
        (lambda text: text.replace("id,x,y,z", "id,z,y,x"), "needed: id,x,y,z"),
        (lambda text: text.replace("thumb_tip", "thmb_tip"), "did you mean thumb_tip"),
        (lambda text: text.replace("thumb_tip", "index_tip"), "holds index_tip twice"),
        (lambda text: text.replace(",1.5,", ",one,"), "thumb_tip is not three numbers"),
        (lambda text: text.replace(",1.5,", ",nan,"), "thumb_tip is not three numbers"),
        (lambda text: text + "1,2,3\n", "a line of 3 fields"),
    ],
)
def test_what_is_wrong_in_it_is_one_clear_line(tmp_path, change, words):
    path = fcsv(tmp_path / "a.fcsv")
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=words) as caught:
        read_fcsv(path, HAND)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("unit", ["cm", "m", ["mm", "mm", ""]])
def test_markups_in_another_unit_are_refused(tmp_path, unit):
    write_markups(tmp_path / "a.mrk.json", POINTS, HAND)
    payload = json.loads((tmp_path / "a.mrk.json").read_text())
    payload["markups"][0]["coordinateUnits"] = unit
    (tmp_path / "a.mrk.json").write_text(json.dumps(payload))
    with pytest.raises(ValueError, match="write them in mm"):
        read_markups(tmp_path / "a.mrk.json", HAND)


def test_json_without_end_is_refused(tmp_path):
    (tmp_path / "a.mrk.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="not a 3D Slicer markups file"):
        read_markups(tmp_path / "a.mrk.json", HAND)


# What 3D Slicer's published schema of markups, version 1.0.3, asks of what we write.
NUMBERS = {"type": "array", "items": {"type": "number"}}
POINT = {
    "type": "object",
    "properties": {
        **{key: {"type": "string"} for key in ("id", "label", "description")},
        **{key: {"type": "boolean"} for key in ("selected", "locked", "visibility")},
        "position": {**NUMBERS, "minItems": 3, "maxItems": 3},
        "orientation": {**NUMBERS, "minItems": 9, "maxItems": 9},
        "positionStatus": {"enum": ["undefined", "preview", "defined"]},
    },
    "additionalProperties": False,
}
MARKUP = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["Fiducial", "Line", "Angle", "Curve", "ClosedCurve", "Plane", "ROI"]},
        "coordinateSystem": {"enum": ["LPS", "RAS"]},
        "coordinateUnits": {"enum": ["mm", "um"]},
        "controlPoints": {"type": "array", "items": POINT},
    },
    "additionalProperties": False,
}
FILE = {
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"type": "string", "pattern": r"/markups-schema-v1\.0\.3\.json#$"},
        "markups": {"type": "array", "items": MARKUP},
    },
    "additionalProperties": False,
}


def test_files_are_as_the_schema_of_3d_slicer_asks(tmp_path):
    write_markups(tmp_path / "a.mrk.json", POINTS, HAND, "predicted")
    written = json.loads((tmp_path / "a.mrk.json").read_text())
    jsonschema.validate(written, FILE)
    del written["markups"][0]["type"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written, FILE)
