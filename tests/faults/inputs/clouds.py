"""Point clouds of depth cameras; read without --unit, so that even a whole one is asked about."""

# ruff: noqa: E501  a table of inputs

import numpy as np

from tests.faults.inputs.flat import written
from tests.faults.inputs.shapes import Input


def ply(count: int = 200, kind: str = "binary_little_endian", axes: str = "xyz", cut: int = 0, more: str = "") -> bytes:
    """A PLY of points on a plane a metre away, its last bytes cut off."""
    x = np.linspace(-300, 300, 200)
    points = np.column_stack([x, x[::-1], np.full(200, 1000.0)]).astype("<f4")
    fields = "".join(f"property float {axis}\n" for axis in axes)
    data = f"ply\nformat {kind} 1.0\nelement vertex {count}\n{fields}{more}end_header\n".encode() + points.tobytes()
    return data[: len(data) - cut]


INPUTS = (
    Input(given="PLY", make=written(ply(), "a.ply"), told="does not say its unit; give --unit"),
    Input(given="PLY, truncated", make=written(ply(cut=99), "a.ply"), told="is truncated: 191 of 200 points"),
    Input(given="PLY that claims 4 billion points", make=written(ply(4_000_000_000), "a.ply"), told="claims 4000000000 points"),
    Input(given="PLY without z", make=written(ply(axes="xy"), "a.ply"), told="has no z of its vertices"),
    Input(given="PLY of an unknown format", make=written(ply(kind="binary_compressed"), "a.ply"), told="unknown format"),
    Input(given="PLY with lists in its points", make=written(ply(more="property list uchar int i\n"), "a.ply"), told="no number"),
    Input(given="PLY, text", make=written(b"not a cloud", "a.ply"), told="or no PLY"),
    Input(given="PLY, empty file", make=written(b"", "a.ply"), told="is empty"),
    Input(given="XYZ of three points", make=written(b"1 2 3\n4 5 6\n7 8 9\n", "a.xyz"), told="does not say its unit"),
    Input(given="XYZ, words", make=written(b"a cloud\nof words\n", "a.xyz"), told="do not hold x, y and z as numbers"),
    Input(given="XYZ, binary", make=written(b"\xff\xfe\x00\x81" * 99, "a.xyz"), told="is no text"),
    Input(given="PCD", make=written(b"# .PCD v0.7\n", "a.pcd"), told="unknown extension"),
)  # fmt: skip
