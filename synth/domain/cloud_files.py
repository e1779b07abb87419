"""Point clouds as depth cameras and their programs save them: PLY (text and binary) and XYZ. Numpy alone.

Neither format says its unit; it is asked for.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.domain.cloud import Cloud

CLOUDS = (".ply", ".xyz")
MAX_POINTS = 50_000_000
LONGEST_HEADER = 1 << 16
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip


def read_points(path: Path) -> NDArray[np.float32]:
    """(N, 3) float32 points of a file in its own unit; points that are not finite or at the origin were not seen.

    Raises: ValueError, a predicate without its subject, for a file that is no such cloud.
    """
    if path.stat().st_size == 0:
        raise ValueError("is empty; copy it again")
    points = _ply(path) if path.name.lower().endswith(".ply") else _xyz(path)
    points = points[np.isfinite(points).all(1)]
    return np.ascontiguousarray(points[points.any(1)])


def read_cloud(path: Path, unit_mm: float | None) -> Cloud:
    """The cloud in a file whose unit is so many mm. Raises ValueError as read_points, and where no unit is given."""
    try:
        points = read_points(path)
        if unit_mm is None:
            raise ValueError("does not say its unit; give --unit mm or --unit m")
        note = f"a unit of the cloud is taken as {unit_mm:g} mm, as given"
        return Cloud(points=points * np.float32(unit_mm), notes=(note,))
    except ValueError as error:
        raise ValueError(f"image {path} {error}") from error


def _ply(path: Path) -> NDArray[np.float32]:
    """Points of a PLY file, whose vertices come first."""
    with open(path, "rb") as stream:
        head = stream.read(LONGEST_HEADER)
        end = head.find(b"end_header")
        start = head.find(b"\n", end) + 1
        if not head.startswith(b"ply") or end < 0 or start == 0:
            raise ValueError("cannot be read: it is damaged, or no PLY; export it again")
        kind, count, fields = _ply_header(head[:end].decode("latin-1"))
        if not 0 < count <= MAX_POINTS:
            raise ValueError(f"claims {count} points; allowed: 1 to {MAX_POINTS}")
        stream.seek(start)
        if kind == "ascii":
            columns = [[name for name, _ in fields].index(axis) for axis in "xyz"]
            return _text(stream.read().decode("latin-1").splitlines()[:count], columns, count)
        order = "<" if kind == "binary_little_endian" else ">"
        row = np.dtype([(name, order + code) for name, code in fields])
        data = stream.read(count * row.itemsize)
    if len(data) < count * row.itemsize:
        raise ValueError(f"is truncated: {len(data) // row.itemsize} of {count} points; copy it again")
    rows = np.frombuffer(data, row)
    with np.errstate(over="ignore"):  # what overflows is not finite
        return np.column_stack([rows[axis].astype(np.float32) for axis in "xyz"])


def _ply_header(text: str) -> tuple[str, int, list[tuple[str, str]]]:
    """(format, number of vertices, (name, type) of their properties)."""
    kind, count, element = "", 0, ""
    fields: list[tuple[str, str]] = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3:
            kind = words[1]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal():
            if not element and words[1] != "vertex":
                raise ValueError("does not begin with its vertices; export the points alone")
            element = words[1]
            count = int(words[2]) if element == "vertex" else count
        elif words[0] == "property" and element == "vertex":
            if len(words) != 3 or words[1] not in TYPES or words[2] in dict(fields):
                raise ValueError("has a property of its vertices that is no number; export the points alone")
            fields.append((words[2], TYPES[words[1]]))
    if kind not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ValueError("has an unknown format; allowed: ascii, binary_little_endian, binary_big_endian")
    if lacking := [axis for axis in "xyz" if axis not in dict(fields)]:
        raise ValueError(f"has no {', '.join(lacking)} of its vertices; export the points")
    return kind, count, fields


def _xyz(path: Path) -> NDArray[np.float32]:
    """Points of a text whose lines begin with x y z, divided by blanks, commas or semicolons; a first line may name."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip() and line[0] != "#"]
    except UnicodeDecodeError as error:
        raise ValueError("is no text; save it as PLY") from error
    lines = [line.replace(",", " ").replace(";", " ") for line in lines]
    if lines and lines[0].split()[0].strip('"').lower() in ("x", "//x", "x[mm]", "x_mm"):
        lines = lines[1:]
    if len(lines) > MAX_POINTS:
        raise ValueError(f"holds {len(lines)} points; allowed: {MAX_POINTS}")
    return _text(lines, [0, 1, 2], len(lines))


def _text(lines: list[str], columns: list[int], count: int) -> NDArray[np.float32]:
    if len(lines) < count or not lines:
        raise ValueError(f"is truncated: {len(lines)} of {count} points; copy it again")
    try:
        with np.errstate(over="ignore"):  # what overflows is not finite
            return np.array([[line.split()[k] for k in columns] for line in lines], np.float32)
    except (ValueError, IndexError) as error:
        raise ValueError("has lines that do not hold x, y and z as numbers; export it again") from error
