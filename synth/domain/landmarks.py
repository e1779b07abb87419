"""Landmark files a person touches: CSV tables read and written, files of 3D Slicer read (slicer.py).

CSV: `case,subject,landmark,x,y,z`; patient mm (LPS) for volumes; px with centres at +0.5 for 2D images, z empty.
3D Slicer shows the pixel centres of a 2D image at whole numbers: Image.to_viewer converts.
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy
from synth.domain.slicer import landmark_row, read_fcsv, read_markups

NEEDED = ("case", "landmark", "x", "y", "z")
COLUMNS = ("case", "subject", "landmark", "x", "y", "z")
PREDICTED = (
    "case", "landmark", "status", "x_px", "y_px", "x_mm", "y_mm", "z_mm", "sigma_mm", "radius90_mm", "depth_source",
    "n_calibration",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a text


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The landmarks of one case. points: (K, 3) as in the file; NaN = not annotated; z NaN for 2D images.

    viewer: the points are 3D Slicer positions (of a .mrk.json or .fcsv) rather than CSV coordinates.
    """

    case: str
    subject: str
    points: NDArray[np.float64]
    viewer: bool = False


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One predicted landmark, a row of landmarks.csv. Numbers are written where status is "ok"; None = unknown.

    num_calibration: subjects that the radius rests on; written where it rests on any
    """

    case: str
    landmark: str
    status: str
    point_px: tuple[float, float] | None = None
    point_mm: tuple[float, float, float] | None = None
    sigma_mm: float | None = None
    radius90_mm: float | None = None
    depth_source: str = ""
    num_calibration: int = 0


def read_annotations(paths: Sequence[Path], anatomy: Anatomy) -> dict[str, Annotation]:
    """Annotations by case, from one CSV or from files of 3D Slicer (.mrk.json, .fcsv), one a case.

    Raises: ValueError for a missing file, wrong columns, unknown or doubled landmarks, anything that is not a number.
    """
    found: dict[str, Annotation] = {}
    for path in paths:
        if not path.is_file():
            raise ValueError(f"landmarks {path} do not exist")
        if path.name.lower().endswith((".json", ".fcsv")):
            case = path.name.split(".mrk.json")[0].removesuffix(".json").removesuffix(".fcsv")
            read = read_fcsv if path.name.lower().endswith(".fcsv") else read_markups
            new = {case: Annotation(case=case, subject=case, points=read(path, anatomy), viewer=True)}
        elif path.suffix.lower() == ".csv":
            new = read_csv(path, anatomy)
        else:
            raise ValueError(f"landmarks {path} have an unknown extension; allowed: .csv .mrk.json .fcsv")
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
    try:
        header = tuple(reader.fieldnames or ())
    except csv.Error as error:
        raise ValueError(f"{path} line 1 is not CSV: {error}") from error
    if set(header) not in (set(COLUMNS), set(NEEDED)) or len(header) != len(set(header)):
        raise ValueError(f"{path} has the columns {','.join(header)!r}; needed: {','.join(COLUMNS)}")
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
            subjects = item.num_calibration if ok and item.num_calibration else ""
            writer.writerow([escaped(item.case), item.landmark, item.status, *cells, item.depth_source, subjects])


def escaped(text: str) -> str:
    """The text as a CSV field that no spreadsheet takes for a formula; unescaped() undoes it."""
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def unescaped(text: str) -> str:
    """The text of a CSV field that escaped() wrote."""
    return text[1:] if text.startswith("'") and text[1:].startswith((*FORMULA, "'")) else text


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
    landmark_row(name, anatomy, where)
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
