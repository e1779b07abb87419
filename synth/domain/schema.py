"""The Parquet schema of a shard, its version, and the one place where rows are packed and decoded.

docs/formats.md describes it for readers of other languages.
"""

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 1 had no points
DEPTH_UNIT_MM = 0.1  # one step of the uint16 depth and thickness columns; 0 is background


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Decoded rows of one anatomy: N patches with their landmarks.

    sample_id: (N,) int64
    packed: (N, silhouette_bytes) uint8, np.packbits of the flattened silhouettes, most significant bit first
    depth_mm: (N, H, W) float32, 0 = background; None where unknown (2D images)
    thickness_mm: (N, H, W) float32 from skin to skin, 0 = background; None where unknown or not stored
    landmarks: (N, K, 3) float32: patch px, patch px, depth mm; NaN = not annotated or unknown
    visible: (N, K) uint8, the codes of anatomy.py
    pixel_mm: (N, 2) float32, size of a patch pixel in mm (x, y); NaN where spacing is unknown
    parameters: (N, P) float32 shape and pose parameters, named by the footer; P = 0 in a study
    joints: (N, J, 3) float32 every joint of the rig in patient mm; J = 0 in a study
    points: (N, P, 3) float32 all named points of the anatomy, as landmarks; None in a study and in older renderings
    observed: (N, silhouette_bytes) uint8, packed alike: which pixels lie inside the field of view; None = all of them
    case, subject: (N,) str; to_source (N, 2, 3), to_patient (N, 3, 4) float64: studies only, else None
    """

    sample_id: NDArray[np.int64]
    packed: NDArray[np.uint8]
    depth_mm: NDArray[np.float32] | None
    landmarks: NDArray[np.float32]
    visible: NDArray[np.uint8]
    pixel_mm: NDArray[np.float32]
    parameters: NDArray[np.float32]
    joints: NDArray[np.float32]
    thickness_mm: NDArray[np.float32] | None = None
    points: NDArray[np.float32] | None = None
    observed: NDArray[np.uint8] | None = None
    case: tuple[str, ...] | None = None
    subject: tuple[str, ...] | None = None
    to_source: NDArray[np.float64] | None = None
    to_patient: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.sample_id)

    def at(self, rows: NDArray[np.intp]) -> "Samples":
        """The samples in these rows, in that order."""
        chosen: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                chosen[field.name] = value[rows] if isinstance(value, np.ndarray) else tuple(value[row] for row in rows)
        return replace(self, **chosen)


def pack_silhouettes(silhouettes: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(N, ceil(H*W/8)) uint8 of boolean (N, H, W): flattened row by row, most significant bit first."""
    return np.packbits(silhouettes.reshape(len(silhouettes), -1), axis=1)


def unpack_silhouettes(packed: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Boolean (N, H, W) of packed rows: the inverse of pack_silhouettes."""
    height, width = size
    bits = np.unpackbits(packed, axis=1, count=height * width)
    return bits.reshape(-1, height, width).astype(bool)


def to_table(samples: Samples, metadata: dict[str, str]) -> pa.Table:
    """The samples as an Arrow table; `metadata` goes to the schema (footer). Columns as in docs/formats.md."""
    columns: dict[str, pa.Array] = {
        "sample_id": pa.array(samples.sample_id),
        "silhouette": _binary(samples.packed),
    }
    if samples.observed is not None:
        columns["observed"] = _binary(samples.observed)
    if samples.depth_mm is not None:
        columns["depth"] = _binary(_quantise(samples.depth_mm))
    if samples.thickness_mm is not None:
        columns["thickness"] = _binary(_quantise(samples.thickness_mm))
    for name in ("landmarks", "visible", "pixel_mm", "points", "parameters", "joints"):
        values = getattr(samples, name)
        if values is not None and values[0].size:  # a study has none of the last; Arrow has no lists of width 0
            columns[name] = _numbers(values)
    if samples.case is not None:
        assert samples.subject is not None and samples.to_source is not None and samples.to_patient is not None
        columns["case"] = pa.array(samples.case, pa.string())
        columns["subject"] = pa.array(samples.subject, pa.string())
        columns["to_source"] = _numbers(samples.to_source)
        columns["to_patient"] = _numbers(samples.to_patient)
    table = pa.table(columns)
    return table.replace_schema_metadata({"synthmark.schema_version": str(SCHEMA_VERSION), **metadata})


def with_labels(
    table: pa.Table, landmarks: NDArray[np.float32], visible: NDArray[np.uint8], points: NDArray[np.float32]
) -> pa.Table:
    """The table of renderings with these labels (see Samples) for its own; every other column is left as it lies."""
    if "points" not in table.column_names:  # version 1
        table = table.add_column(table.column_names.index("parameters"), "points", _numbers(points))
    for name, column in (
        ("landmarks", _numbers(landmarks)),
        ("visible", _numbers(visible)),
        ("points", _numbers(points)),
    ):
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def content_hash(table: pa.Table) -> str:
    """SHA-256 over column names and raw values: the same data gives the same hash with any Parquet version."""
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(name.encode() + b"\0")
        for chunk in table[name].chunks:
            if pa.types.is_string(chunk.type):
                for text in chunk.to_pylist():  # one by one, so that chunk borders leave no mark
                    digest.update(json.dumps(text).encode() + b"\n")
            elif pa.types.is_fixed_size_binary(chunk.type):
                width = chunk.type.byte_width
                raw = memoryview(chunk.buffers()[1]).cast("B")
                digest.update(raw[chunk.offset * width : (chunk.offset + len(chunk)) * width])
            else:
                values = chunk.flatten() if pa.types.is_fixed_size_list(chunk.type) else chunk
                array = values.to_numpy(zero_copy_only=False)
                digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def stored_depth(depth_mm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth maps (N, H, W) in mm as they will be read back."""
    steps = _quantise(depth_mm).view("<u2").reshape(depth_mm.shape)
    return np.asarray(steps.astype(np.float32) * np.float32(DEPTH_UNIT_MM))


def columns_of(*, depth: bool, study: bool, points: bool = False, thickness: bool = False) -> list[str]:
    """The columns to read: planes and points only when wanted, so that training on silhouettes never reads them."""
    columns = ["sample_id", "silhouette", "observed", "landmarks", "visible", "pixel_mm", "parameters", "joints"]
    columns += ["depth"] * depth + ["thickness"] * thickness
    return columns + ["points"] * points + ["case", "subject", "to_source", "to_patient"] * study


def from_table(table: pa.Table, anatomy: Anatomy) -> Samples:
    """Decode a table of `anatomy`; a missing depth column gives depth_mm None.

    Raises: ValueError where the patch or landmark sizes are those of another anatomy.
    """
    packed = _bytes(table, "silhouette")
    if packed.shape[1] != anatomy.silhouette_bytes:
        raise ValueError(
            f"silhouettes hold {packed.shape[1]} bytes; {anatomy.name} needs {anatomy.silhouette_bytes}: "
            "this data is of another anatomy"
        )
    names = table.column_names
    study = "case" in names
    count = len(table)
    if table["landmarks"].type.list_size != 3 * anatomy.num_landmarks:
        raise ValueError(
            f"rows hold {table['landmarks'].type.list_size // 3} landmarks; {anatomy.name} has {anatomy.num_landmarks}"
        )
    return Samples(
        sample_id=np.asarray(table["sample_id"].to_numpy(), np.int64),
        packed=packed,
        depth_mm=_millimetres(table, "depth", anatomy),
        thickness_mm=_millimetres(table, "thickness", anatomy),
        landmarks=_floats(table, "landmarks").reshape(count, anatomy.num_landmarks, 3),
        visible=np.asarray(_floats(table, "visible"), np.uint8),
        pixel_mm=_floats(table, "pixel_mm"),
        parameters=_floats(table, "parameters"),
        joints=_floats(table, "joints").reshape(count, -1, 3),
        points=_floats(table, "points").reshape(count, -1, 3) if "points" in names else None,
        observed=_bytes(table, "observed") if "observed" in names else None,
        case=tuple(table["case"].to_pylist()) if study else None,
        subject=tuple(table["subject"].to_pylist()) if study else None,
        to_source=_doubles(table, "to_source", (2, 3)) if study else None,
        to_patient=_doubles(table, "to_patient", (3, 4)) if study else None,
    )


def _quantise(depth_mm: NDArray[np.float32]) -> NDArray[np.uint8]:
    steps = np.rint(depth_mm / DEPTH_UNIT_MM)
    assert steps.min(initial=0) >= 0 and steps.max(initial=0) <= np.iinfo(np.uint16).max, "depth beyond 6.5 m"
    return np.asarray(steps.astype("<u2").reshape(len(depth_mm), -1).view(np.uint8))


def _millimetres(table: pa.Table, name: str, anatomy: Anatomy) -> NDArray[np.float32] | None:
    """(N, H, W) float32 mm of a plane that _quantise made; None where it is not there."""
    if name not in table.column_names:
        return None
    steps = _bytes(table, name).view("<u2").reshape(-1, *anatomy.size)
    return steps.astype(np.float32) * np.float32(DEPTH_UNIT_MM)


def _binary(rows: NDArray[np.uint8]) -> pa.Array:
    flat = np.ascontiguousarray(rows)
    buffer = pa.py_buffer(flat)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(flat.shape[1]), len(flat), [None, buffer])


def _numbers(values: NDArray[np.generic]) -> pa.Array:
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])


def _bytes(table: pa.Table, name: str) -> NDArray[np.uint8]:
    """(N, width) uint8 of a fixed-size binary column, honouring the offsets of sliced chunks."""
    column = table[name]
    width = cast(int, column.type.byte_width)
    parts = []
    for chunk in column.chunks:
        raw = np.frombuffer(chunk.buffers()[1], np.uint8)
        parts.append(raw[chunk.offset * width : (chunk.offset + len(chunk)) * width].reshape(-1, width))
    return np.concatenate(parts) if parts else np.zeros((0, width), np.uint8)


def _flat(table: pa.Table, name: str) -> NDArray[np.generic]:
    if name not in table.column_names:
        return np.zeros((len(table), 0))
    width = cast(int, table[name].type.list_size)
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in table[name].chunks]
    flat = np.concatenate(parts) if parts else np.zeros(0)
    return cast(NDArray[np.generic], flat.reshape(len(table), width))


def _floats(table: pa.Table, name: str) -> NDArray[np.float32]:
    return np.asarray(_flat(table, name), np.float32)


def _doubles(table: pa.Table, name: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray(_flat(table, name), np.float64).reshape(-1, *shape)
