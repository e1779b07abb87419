"""NIfTI, MetaImage and NRRD files, written byte by byte: right, unusual, and wrong."""

# ruff: noqa: E501  a table of inputs

import gzip
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.faults.inputs.shapes import ORIGIN, SPACING, Input, voxels

RAS = ((-SPACING, 0, 0, -ORIGIN[0]), (0, -SPACING, 0, -ORIGIN[1]), (0, 0, SPACING, ORIGIN[2]))
NIFTI_TYPES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "c8": 32, "f8": 64, "i8": 1024}


def nifti_bytes(
    values: NDArray[np.generic],
    *,
    rows: Sequence[Sequence[float]] = RAS,
    codes: tuple[int, int] = (0, 1),
    pixdim: Sequence[float] = (1, SPACING, SPACING, SPACING),
    quaternion: Sequence[float] = (0, 0, 1, 30, 20, 100),
    size: Sequence[int] | None = None,
    order: str = "<",
    units: int = 2,
    magic: bytes = b"n+1\0",
    scaling: tuple[float, float] = (1, 0),
) -> bytes:
    """A NIfTI-1 file of (…, z, y, x) values; the rest are the header's fields, `size` from x on."""
    shape = tuple(values.shape[::-1]) if size is None else tuple(size)
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + f"{1 + len(shape)}h", header, 40, len(shape), *shape)
    struct.pack_into(order + "2h", header, 70, NIFTI_TYPES[values.dtype.str[1:]], values.dtype.itemsize * 8)
    struct.pack_into(order + "4f", header, 76, *pixdim)
    struct.pack_into(order + "3f", header, 108, 352, *scaling)
    header[123] = units
    struct.pack_into(order + "2h", header, 252, *codes)
    struct.pack_into(order + "6f", header, 256, *quaternion)
    struct.pack_into(order + "12f", header, 280, *np.ravel(rows))
    header[344:348] = magic
    return bytes(header) + values.astype(values.dtype.newbyteorder(order)).tobytes()


def nifti(change: Callable[[bytes], bytes] = bytes, name: str = "a.nii", **header: Any) -> Callable[[Path], Path]:
    """Writes a NIfTI file of the body, with `values` instead where given, its bytes changed."""

    def make(folder: Path) -> Path:
        data = change(nifti_bytes(**{"values": voxels(), **header}))
        (folder / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
        return folder / name

    return make


def meta(name: str = "a.mha", data: bytes | None = None, **fields: str) -> Callable[[Path], Path]:
    """Writes a MetaImage of the body with some fields of its header replaced."""
    own = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "-30 -20 100", "ElementSpacing": "2 2 2",
        "DimSize": "30 20 24", "ElementType": "MET_SHORT",
    }  # fmt: skip
    last = {"ElementDataFile": fields.pop("ElementDataFile", "LOCAL")}
    lines = "".join(f"{key} = {value}\n" for key, value in (own | fields | last).items() if value)

    def make(folder: Path) -> Path:
        local = last["ElementDataFile"] == "LOCAL"
        (folder / name).write_bytes(lines.encode() + ((data or voxels().tobytes()) if local else b""))
        return folder / name

    return make


def nrrd(name: str = "a.nrrd", data: bytes | None = None, **fields: str) -> Callable[[Path], Path]:
    """Writes an NRRD file of the body with some fields of its header replaced ("_" stands for a space)."""
    own = {
        "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "30 20 24",
        "space directions": "(2,0,0) (0,2,0) (0,0,2)", "endian": "little", "encoding": "raw",
        "space origin": "(-30,-20,100)",
    }  # fmt: skip
    given = own | {key.replace("_", " "): value for key, value in fields.items()}
    lines = "".join(f"{key}: {value}\n" for key, value in given.items() if value)

    def make(folder: Path) -> Path:
        body = (data or voxels().tobytes()) if "data file" not in given else b""
        (folder / name).write_bytes(b"NRRD0004\n" + lines.encode() + b"\n" + body)
        return folder / name

    return make


def beside(make: Callable[[Path], Path], data: str) -> Callable[[Path], Path]:
    """Writes the header into a folder of its own, and the body's voxels to `data` as seen from there."""

    def both(folder: Path) -> Path:
        (folder / "own").mkdir()
        path = make(folder / "own")
        (folder / "own" / data).write_bytes(voxels().tobytes())
        return path

    return both


def _with(value: float) -> NDArray[np.float32]:
    made = voxels().astype(np.float32)
    made[5, 5, 5] = value
    return made


def _rows(*rows: Sequence[float]) -> dict[str, Any]:
    return {"rows": rows}


TRUNCATED = "is truncated"
OUTSIDE = "keeps its data elsewhere"
INPUTS = (
    Input(given="NIfTI", make=nifti(), notes="how the patient lay"),
    Input(given="NIfTI, compressed", make=nifti(name="a.nii.gz")),
    Input(given="NIfTI, big-endian", make=nifti(order=">")),
    Input(given="NIfTI, scaled by its header", make=nifti(values=(voxels() // 2), scaling=(2, 0))),
    Input(given="NIfTI of float64", make=nifti(values=voxels().astype("f8"))),
    Input(given="NIfTI of int64", make=nifti(values=voxels().astype("i8"))),
    Input(
        given="NIfTI with a left-handed sform",
        make=nifti(values=voxels()[:, :, ::-1], **_rows((2, 0, 0, -28), *RAS[1:])),
    ),
    Input(given="NIfTI, axes stored in another order",
          make=nifti(values=voxels().transpose(1, 2, 0), **_rows((0, -2, 0, 30), (0, 0, -2, 20), (2, 0, 0, 100)))),
    Input(given="NIfTI that says nothing of its axes", make=nifti(codes=(0, 0), quaternion=(0, 0, 0, -30, -20, 100)),
          notes="which way its axes point"),
    Input(given="NIfTI, sheared sform", make=nifti(**_rows((-2, 0.6, 0, 30), *RAS[1:])), told="sheared axes"),
    Input(given="NIfTI, qform and sform disagree", make=nifti(codes=(1, 1), **_rows(RAS[0], (0, -2, 0, 57), RAS[2])),
          told="differ by up to 37 mm"),
    Input(given="NIfTI, sform of zeros", make=nifti(**_rows((0,) * 4, (0,) * 4, (0,) * 4)), told="maps voxels nowhere"),
    Input(given="NIfTI, voxel of 0 mm", make=nifti(pixdim=(1, 0, 2, 2)), told="voxels of 0 x 2 x 2 mm"),
    Input(given="NIfTI, voxel of −2 mm", make=nifti(pixdim=(1, 2, -2, 2)), told="allowed: above 0"),
    Input(given="NIfTI, voxel of NaN mm", make=nifti(pixdim=(1, np.nan, 2, 2)), told="voxels of nan"),
    Input(given="NIfTI, voxel of 10⁹ mm", make=nifti(pixdim=(1, 1e9, 2, 2), codes=(1, 0)), told="is its unit mm?"),
    Input(given="NIfTI in metres that are millimetres", make=nifti(units=1), told="is its unit mm?"),
    Input(given="NIfTI, empty file", make=nifti(lambda data: b""), told="is empty"),
    Input(given="NIfTI, nothing but zero bytes", make=nifti(lambda data: bytes(2000)), told="no NIfTI header"),
    Input(given="NIfTI, text", make=nifti(lambda data: b"patient, left, right\n" * 99), told="no NIfTI header"),
    Input(given="NIfTI, truncated", make=nifti(lambda data: data[:-1000]), told=TRUNCATED),
    Input(given="NIfTI, header alone", make=nifti(lambda data: data[:352]), told=TRUNCATED),
    Input(given="NIfTI, header cut", make=nifti(lambda data: data[:200]), told="no NIfTI header"),
    Input(given="NIfTI that is called .gz and is not", make=nifti(lambda data: data, name="a.nii.gz.nii"), notes="lay"),
    Input(given="gzip cut in the middle", make=lambda folder: _cut(nifti(name="a.nii.gz")(folder)), told=TRUNCATED),
    Input(given="gzip of garbage", make=nifti(lambda data: b"\7" * 5000, name="a.nii.gz"), told="no NIfTI header"),
    Input(given="85 bytes that claim 2000 × 2000 × 2000 voxels",
          make=nifti(lambda data: data[:352], name="a.nii.gz", size=(2000, 2000, 2000)), told="claims 2000 x 2000 x 2000"),
    Input(given="small gzip that claims 500 × 500 × 500 voxels",
          make=nifti(lambda data: data[:352], name="a.nii.gz", size=(500, 500, 500)), told=TRUNCATED),
    Input(given="small gzip that unfolds into 200 MB", make=nifti(lambda data: data + bytes(200_000_000), name="a.nii.gz"),
          told="one of them is wrong"),
    Input(given="NIfTI, header claims fewer slices than there are", make=nifti(size=(30, 20, 12)),
          told="one of them is wrong"),
    Input(given="NIfTI, negative size", make=nifti(size=(30, -20, 24)), told="has size 30 x 1 x 24"),
    Input(given="header of an Analyze pair", make=nifti(magic=b"ni1\0"), told="no NIfTI header"),
    Input(given="NIfTI with NaN", make=nifti(values=_with(np.nan)), told="NaN or infinite"),
    Input(given="NIfTI with infinity", make=nifti(values=_with(np.inf)), told="NaN or infinite"),
    Input(given="NIfTI of float64 beyond float32", make=nifti(values=_with(1).astype("f8") * 1e300), told="infinite"),
    Input(given="NIfTI, complex", make=nifti(values=voxels().astype("c8")), told="complex"),
    Input(given="NIfTI, 4D", make=nifti(values=np.stack([voxels()] * 3)), told="4 dimensions"),
    Input(given="NIfTI, one voxel thick", make=nifti(values=voxels()[:1]), told="at least 2 along each axis"),
    Input(given="NIfTI, the same value everywhere", make=nifti(values=voxels() * 0), told="every value is 0"),
    Input(given="MetaImage", make=meta()),
    Input(given="MetaImage, big-endian", make=meta(data=voxels().byteswap().tobytes(), BinaryDataByteOrderMSB="True")),
    Input(given="MetaImage without directions", make=meta(TransformMatrix=""), notes="which way its axes point"),
    Input(given="MetaImage, voxel of 0 mm", make=meta(ElementSpacing="0 2 2"), told="allowed: above 0"),
    Input(given="MetaImage, voxel of −2 mm", make=meta(ElementSpacing="-2 2 2"), told="allowed: above 0"),
    Input(given="MetaImage, singular directions", make=meta(TransformMatrix="1 0 0 1 0 0 0 0 1"), told="cannot be read"),
    Input(given="MetaImage, sheared directions", make=meta(TransformMatrix="1 0.3 0 0 1 0 0 0 1"), told="no unit vectors"),
    Input(given="MetaImage, colour", make=meta(ElementNumberOfChannels="3", DimSize="10 20 24"), told="colour"),
    Input(given="MetaImage, fewer slices claimed than there are", make=meta(DimSize="30 20 12"), told="one of them is wrong"),
    Input(given="MetaImage, more slices claimed than there are", make=meta(DimSize="30 20 48"), told="truncated|cannot be read"),
    Input(given="MetaImage, compressed garbage", make=meta(data=b"\7" * 999, CompressedData="True"), told=TRUNCATED),
    Input(given=".mhd with its .raw beside it", make=beside(meta("a.mhd", ElementDataFile="a.raw"), "a.raw")),
    Input(given=".mhd without its .raw", make=meta("a.mhd", ElementDataFile="a.raw"), told="lacks its data"),
    Input(given=".mhd whose data lies outside its folder", make=beside(meta("a.mhd", ElementDataFile="../a.raw"), "../a.raw"),
          told=OUTSIDE),
    Input(given=".mhd whose data is /etc/passwd", make=meta("a.mhd", ElementDataFile="/etc/passwd"), told=OUTSIDE),
    Input(given=".mhd with a list of data files", make=meta("a.mhd", ElementDataFile="LIST"), told=OUTSIDE),
    Input(given="NRRD", make=nrrd()),
    Input(given="NRRD, big-endian", make=nrrd(data=voxels().byteswap().tobytes(), endian="big")),
    Input(given="NRRD in RAS", make=nrrd(space="RAS", space_directions="(-2,0,0) (0,-2,0) (0,0,2)", space_origin="(30,20,100)")),
    Input(given="NRRD without a space",
          make=nrrd(space="", space_directions="", space_origin="", spacings="2 2 2"), told="", notes="axes point"),
    Input(given="NRRD, voxel of 0 mm", make=nrrd(space_directions="(0,0,0) (0,2,0) (0,0,2)"), told="cannot be read"),
    Input(given="NRRD, voxel of 10⁹ mm", make=nrrd(space_directions="(1e9,0,0) (0,2,0) (0,0,2)"), told="is its unit mm?"),
    Input(given="NRRD, compressed garbage", make=nrrd(data=b"\7" * 999, encoding="gzip"), told="cannot be read"),
    Input(given="NRRD whose data lies outside its folder", make=beside(nrrd(data_file="../a.raw"), "../a.raw"), told=OUTSIDE),
    Input(given="NRRD, truncated", make=nrrd(data=voxels().tobytes()[:-9]), told=TRUNCATED),
)  # fmt: skip


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-40])
    return path
