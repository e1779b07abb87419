"""Landmark files a person touches: CSV tables and 3D Slicer markups, read and written.

CSV: `case,subject,landmark,x,y,z`; patient mm (LPS) for volumes; px with centres at +0.5 for 2D images, z empty.
3D Slicer shows the pixel centres of a 2D image at whole numbers: Image.to_viewer converts.
"""

import csv
import difflib
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy

NEEDED = ("case", "landmark", "x", "y", "z")
COLUMNS = ("case", "subject", "landmark", "x", "y", "z")
PREDICTED = (
    "case", "landmark", "status", "x_px", "y_px", "x_mm", "y_mm", "z_mm", "sigma_mm", "radius90_mm", "depth_source",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a text
SLICER_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The landmarks of one case. points: (K, 3) as in the file; NaN = not annotated; z NaN for 2D images.

    viewer: the points are 3D Slicer positions (of a .mrk.json) rather than CSV coordinates.
    """

    case: str
    subject: str
    points: NDArray[np.float64]
    viewer: bool = False


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One predicted landmark, a row of landmarks.csv. Numbers are written where status is "ok"; None = unknown."""

    case: str
    landmark: str
    status: str
    point_px: tuple[float, float] | None = None
    point_mm: tuple[float, float, float] | None = None
    sigma_mm: float | None = None
    radius90_mm: float | None = None
    depth_source: str = ""


def read_annotations(paths: Sequence[Path], anatomy: Anatomy) -> dict[str, Annotation]:
    """Annotations by case, from one CSV or from .mrk.json files, one a case.

    Raises: ValueError for a missing file, wrong columns, unknown or doubled landmarks, anything that is not a number.
    """
    found: dict[str, Annotation] = {}
    for path in paths:
        if not path.is_file():
            raise ValueError(f"landmarks {path} do not exist")
        if path.name.lower().endswith(".json"):
            case = path.name.split(".mrk.json")[0].removesuffix(".json")
            new = {case: Annotation(case=case, subject=case, points=read_markups(path, anatomy), viewer=True)}
        elif path.suffix.lower() == ".csv":
            new = read_csv(path, anatomy)
        else:
            raise ValueError(f"landmarks {path} have an unknown extension; allowed: .csv .mrk.json")
        if doubled := sorted(found.keys() & new.keys()):
            raise ValueError(f"case {doubled[0]!r} has landmarks in more than one file; the second is {path}")
        found |= new
    return found


def read_csv(path: Path, anatomy: Anatomy) -> dict[str, Annotation]:
    """Annotations by case of a landmark CSV. Raises ValueError as read_annotations, naming the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    header = tuple(reader.fieldnames or ())
    if set(header) not in (set(COLUMNS), set(NEEDED)) or len(header) != len(set(header)):
        raise ValueError(f"{path} has the columns {','.join(header) or 'none'}; needed: {','.join(COLUMNS)}")
    points: dict[str, dict[str, tuple[float, ...]]] = {}
    subjects: dict[str, str] = {}
    try:
        for row in reader:
            _take_row(row, f"{path} line {reader.line_num}", anatomy, points, subjects)
    except csv.Error as error:
        raise ValueError(f"{path} line {reader.line_num} is not CSV: {error}") from error
    if not points:
        raise ValueError(f"{path} holds no landmarks")
    for case, given in points.items():
        if missing := [name for name in anatomy.names if name not in given]:
            raise ValueError(
                f"{path} has no row for {', '.join(missing)} of case {case!r}; "
                "add rows, with empty coordinates where a landmark is not annotated"
            )
    return {
        case: Annotation(case=case, subject=subjects[case], points=np.array([given[n] for n in anatomy.names]))
        for case, given in points.items()
    }


def write_csv(path: Path, annotations: Iterable[Annotation], anatomy: Anatomy) -> None:
    """Write a landmark CSV that read_csv reads back; NaN becomes an empty field."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for item in annotations:
            for name, point in zip(anatomy.names, item.points, strict=True):
                numbers = ["" if math.isnan(v) else f"{v:.4f}" for v in point]
                writer.writerow([escaped(item.case), escaped(item.subject), name, *numbers])


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write landmarks.csv of predictions; coordinates stay empty unless the status is ok."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(PREDICTED)
        for item in predictions:
            ok = item.status == "ok"
            numbers = [
                *(item.point_px if ok and item.point_px else (None,) * 2),
                *(item.point_mm if ok and item.point_mm else (None,) * 3),
                item.sigma_mm if ok else None,
                item.radius90_mm if ok else None,
            ]
            cells = ["" if v is None or not math.isfinite(v) else f"{v:.3f}" for v in numbers]
            writer.writerow([escaped(item.case), item.landmark, item.status, *cells, item.depth_source])


def escaped(text: str) -> str:
    """The text as a CSV field that no spreadsheet takes for a formula; unescaped() undoes it."""
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def unescaped(text: str) -> str:
    """The text of a CSV field that escaped() wrote."""
    return text[1:] if text.startswith("'") and text[1:].startswith((*FORMULA, "'")) else text


def read_markups(path: Path, anatomy: Anatomy) -> NDArray[np.float64]:
    """(K, 3) float64 LPS positions of a 3D Slicer .mrk.json; NaN where a landmark is undefined or absent.

    Raises: ValueError where it is not such a file, or a label is unknown or doubled.
    """
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
        points = [(markup, point) for markup in payload["markups"] for point in markup["controlPoints"]]
        positions = np.full((anatomy.num_landmarks, 3), np.nan)
        seen: set[str] = set()
        for markup, point in points:
            name = str(point["label"])
            _check_name(name, anatomy, str(path))
            if name in seen:
                raise ValueError(f"{path} holds {name} twice")
            seen.add(name)
            if point.get("positionStatus", "defined") == "defined":
                positions[anatomy.names.index(name)] = _lps(markup, point["position"])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a 3D Slicer markups file: {error!r}") from error
    return positions


def write_markups(path: Path, positions: NDArray[np.float64], anatomy: Anatomy, note: str = "") -> None:
    """Write LPS positions (K, 3) as 3D Slicer fiducials; a landmark that is NaN has positionStatus "undefined"."""
    points: list[dict[str, Any]] = []
    for k, name in enumerate(anatomy.names):
        defined = bool(np.isfinite(positions[k]).all())
        point = {
            "id": str(k + 1),
            "label": name,
            "description": note,
            "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
            "selected": True,
            "locked": False,
            "visibility": True,
            "positionStatus": "defined" if defined else "undefined",
        }
        points.append(point | {"position": [float(v) for v in positions[k]]} if defined else point)
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
    path.write_text(json.dumps({"@schema": SLICER_SCHEMA, "markups": [markup]}, indent=1) + "\n", encoding="utf-8")


def _lps(markup: dict[str, Any], position: Any) -> NDArray[np.float64]:
    system = markup.get("coordinateSystem", "LPS")
    if str(system) not in ("LPS", "RAS", "0", "1"):  # 3D Slicer before 5.0 wrote numbers: 0 is RAS
        raise ValueError(f"coordinate system {system!r} is unknown; allowed: LPS, RAS")
    value = np.asarray(position, np.float64)
    if value.shape != (3,) or not np.isfinite(value).all():
        raise ValueError(f"position {position!r} is not three numbers")
    return value * ([-1, -1, 1] if str(system) in ("RAS", "0") else [1, 1, 1])


def _check_name(name: str, anatomy: Anatomy, where: str) -> None:
    if name not in anatomy.names:
        near = difflib.get_close_matches(name.lower(), anatomy.names, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{where}: landmark {name!r} does not exist; {hint}allowed: {', '.join(anatomy.names)}")


def _take_row(
    row: dict[str, Any],
    where: str,
    anatomy: Anatomy,
    points: dict[str, dict[str, tuple[float, ...]]],
    subjects: dict[str, str],
) -> None:
    """Add one CSV row to `points` and `subjects`, or raise ValueError saying what is wrong at `where`."""
    if None in row or None in row.values():
        raise ValueError(f"{where} has {'more' if None in row else 'fewer'} fields than the header")
    case = unescaped(row["case"].strip())
    name = row["landmark"].strip()
    if not case:
        raise ValueError(f"{where}: the case is empty")
    _check_name(name, anatomy, where)
    if name in points.setdefault(case, {}):
        raise ValueError(f"{where}: {name} of case {case!r} is given twice")
    subject = unescaped((row.get("subject") or "").strip()) or case
    if subjects.setdefault(case, subject) != subject:
        raise ValueError(f"{where}: case {case!r} belongs to subject {subject!r} and {subjects[case]!r}")
    x, y, z = (_number(row[axis], axis, where) for axis in "xyz")
    if math.isnan(x) != math.isnan(y) or (math.isnan(x) and not math.isnan(z)):
        raise ValueError(f"{where}: coordinates of {name} are incomplete; give x, y (and z), or leave all empty")
    points[case][name] = (x, y, z)


def _number(text: str, axis: str, where: str) -> float:
    """The number in a field, NaN where it is empty."""
    if not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: {axis} is {text!r}, which is not a number; write 12.5, or nothing if not annotated")
    return value
