"""Landmarks of 3D Slicer: .mrk.json and .fcsv read, .mrk.json written; positions are LPS here, whatever a file has."""

import csv
import difflib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
# As files write them: 3D Slicer before 5.0 (markups) and 4.11 (.fcsv) wrote numbers
RAS, LPS = ("RAS", "0"), ("LPS", "1")
FCSV_COLUMNS = ("id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc", "associatedNodeID")
FCSV_STATUS = 14  # a field without a name that newer versions add: 0 undefined, 1 preview, 2 defined, 3 missing
FCSV_DEFINED = "2"


def landmark_row(name: str, anatomy: Anatomy, where: str) -> int:
    """The row of a landmark. Raises ValueError where the anatomy has none of that name."""
    if name not in anatomy.names:
        near = difflib.get_close_matches(name.lower(), anatomy.names, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{where}: landmark {name!r} does not exist; {hint}allowed: {', '.join(anatomy.names)}")
    return anatomy.names.index(name)


def read_markups(path: Path, anatomy: Anatomy) -> NDArray[np.float64]:
    """(K, 3) float64 LPS positions of a 3D Slicer .mrk.json; NaN where a landmark is undefined or absent.

    Raises: ValueError where it is not such a file, or a label is unknown or doubled.
    """
    points = Points(anatomy, path)
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
        for markup in payload["markups"]:
            for point in markup["controlPoints"]:
                defined = point.get("positionStatus", "defined") == "defined"
                position = point["position"] if defined else None
                points.add(str(point["label"]), markup.get("coordinateSystem", "LPS"), position)
            if markup.get("coordinateUnits", "mm") not in ("mm", ["mm", "mm", "mm"]):
                raise ValueError(f"{path} has positions in another unit than mm; write them in mm")
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not a 3D Slicer markups file: {type(error).__name__}, {error}") from error
    return points.positions


def read_fcsv(path: Path, anatomy: Anatomy) -> NDArray[np.float64]:
    """(K, 3) float64 LPS positions of a 3D Slicer .fcsv; NaN where a landmark is undefined or absent.

    Raises: ValueError where it is not such a file, or does not say its coordinate system.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    comments = [line[1:] for line in lines if line.startswith("#")]
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in comments)}
    if "Markups fiducial file version" not in fields or "CoordinateSystem" not in fields:
        raise ValueError(f"{path} does not begin with a version and a CoordinateSystem as 3D Slicer writes them")
    columns = tuple(fields.get("columns", ",".join(FCSV_COLUMNS)).split(","))
    if columns != FCSV_COLUMNS:
        raise ValueError(f"{path} has the columns {','.join(columns)!r}; needed: {','.join(FCSV_COLUMNS)}")
    points = Points(anatomy, path)
    for row in csv.reader(line for line in lines if line.strip() and not line.startswith("#")):
        if len(row) < len(FCSV_COLUMNS) - 2:
            raise ValueError(f"{path} has a line of {len(row)} fields; needed: {len(FCSV_COLUMNS)}")
        defined = len(row) <= FCSV_STATUS or row[FCSV_STATUS] in ("", FCSV_DEFINED)
        points.add(row[FCSV_COLUMNS.index("label")], fields["CoordinateSystem"], row[1:4] if defined else None)
    return points.positions


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
    path.write_text(json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=1) + "\n", encoding="utf-8")


class Points:
    """Positions (K, 3) float64 in LPS of the landmarks named so far in a file, NaN for the others."""

    def __init__(self, anatomy: Anatomy, path: Path) -> None:
        self._anatomy, self._path = anatomy, path
        self._seen: set[str] = set()
        self.positions: NDArray[np.float64] = np.full((anatomy.num_landmarks, 3), np.nan)

    def add(self, name: str, system: Any, position: Any) -> None:
        """Take a landmark; position None where it is not defined. Raises ValueError for what it cannot be."""
        row = landmark_row(name, self._anatomy, str(self._path))
        if name in self._seen:
            raise ValueError(f"{self._path} holds {name} twice")
        self._seen.add(name)
        if str(system) not in RAS + LPS:
            raise ValueError(f"{self._path} has the coordinate system {str(system)!r}; allowed: LPS, RAS")
        if position is None:
            return
        try:
            value = np.asarray(position, np.float64)
        except (TypeError, ValueError):
            value = np.full(0, np.nan)
        if value.shape != (3,) or not np.isfinite(value).all():
            raise ValueError(f"{self._path}: position {position!r} of {name} is not three numbers")
        self.positions[row] = value * ([-1, -1, 1] if str(system) in RAS else [1, 1, 1])
