"""The header of a NIfTI file, read byte by byte: where its voxels lie, how many bytes they take. Source: nifti1.h."""

import gzip
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from synth.domain.patch import Matrix, apply_affine

# Where the fields of version 1 and version 2 stand, and how they are stored
LAYOUTS: dict[int, dict[str, tuple[int, str]]] = {
    348: {
        "shape": (40, "8h"), "type": (70, "2h"), "pixdim": (76, "4f"), "offset": (108, "f"), "codes": (252, "2h"),
        "quaternion": (256, "6f"), "rows": (280, "12f"), "magic": (344, "3s"),
    },
    540: {
        "shape": (16, "8q"), "type": (12, "2h"), "pixdim": (104, "4d"), "offset": (168, "q"), "codes": (344, "2i"),
        "quaternion": (352, "6d"), "rows": (400, "12d"), "magic": (4, "3s"),
    },
}  # fmt: skip
FLOATS = {16: "f4", 64: "f8"}
BLOCK = 1 << 22
SHEARED = 1e-3  # cosines between axes beyond this are a shear
APART_VOXELS = 0.5  # qform and sform may put a corner this far apart


@dataclass(frozen=True, kw_only=True)
class NiftiHeader:
    """Where the voxels lie, in the file and in the patient.

    num_dims: axes in use; size: (3,) voxels along each; data_offset: bytes before the voxels; bits: of one voxel
    real: "f4" or "f8" where voxels are floats, else ""; order: "<" or ">"
    pixdim: (4,) handedness and voxel size; quaternion: (6,) b, c, d and the offset; sform: (3, 4) index -> RAS mm
    """

    num_dims: int
    size: NDArray[np.float64]
    data_offset: int
    bits: int
    real: str
    order: str
    qform_code: int
    sform_code: int
    pixdim: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    sform: Matrix

    @property
    def qform(self) -> Matrix:
        """(3, 4) index -> RAS mm."""
        b, c, d = self.quaternion[:3]
        a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        turn = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        hand = -1.0 if self.pixdim[0] == -1 else 1.0
        return np.column_stack([turn * self.pixdim[1:] * [1, 1, hand], self.quaternion[3:]])


def read_nifti_header(path: Path) -> NiftiHeader:
    """The header of a .nii or .nii.gz. Raises ValueError, a predicate without its subject, where there is none."""
    try:
        with _opened(path) as stream:
            return _parse(stream.read(544))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError("is no gzip file, or a truncated one; copy it again") from error
    except (OverflowError, struct.error, ValueError) as error:
        raise ValueError("has no NIfTI header, or a damaged one; is it another kind of file?") from error


def check_geometry(header: NiftiHeader) -> bool:
    """Whether the header says where its voxels lie. Raises ValueError, a predicate, where it contradicts itself."""
    if header.sform_code > 0:
        linear = header.sform[:, :3]
        lengths = np.linalg.norm(linear, axis=0)
        if not np.isfinite(header.sform).all() or not lengths.min() > 0:
            raise ValueError("has an sform that maps voxels nowhere; export it again")
        skew = float(np.abs((linear / lengths).T @ (linear / lengths) - np.eye(3)).max())
        if skew > SHEARED:
            angle = np.rad2deg(np.arcsin(min(1.0, skew)))
            raise ValueError(f"has sheared axes ({angle:.1f} degrees off a right angle); resample it to straight ones")
    if header.sform_code > 0 and header.qform_code > 0:
        corners = header.size * np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        apart = apply_affine(header.qform, corners) - apply_affine(header.sform, corners)
        worst = float(np.linalg.norm(apart, axis=1).max())
        if not worst < APART_VOXELS * header.pixdim[1:].min():
            raise ValueError(f"has a qform and an sform that differ by up to {worst:.3g} mm; set both alike")
    return bool(header.sform_code > 0 or header.qform_code > 0)


def check_finite(path: Path, header: NiftiHeader) -> None:
    """Raise ValueError, a predicate, for floats that are NaN or infinite: SimpleITK (2.5.7) reads them as 0, tissue."""
    if not header.real:
        return
    size = header.bits // 8
    with _opened(path) as stream:
        stream.seek(header.data_offset)
        while block := stream.read(BLOCK):
            if not np.isfinite(np.frombuffer(block[: len(block) // size * size], header.order + header.real)).all():
                raise ValueError("holds NaN or infinite values; replace them by that of air")


def gzip_bytes(path: Path, wanted: int) -> int:
    """Decompressed size of a gzip file, counted little further than `wanted`.

    The trailer's size is believed where it agrees (a truncated file ends in arbitrary bytes); only where it does
    not, as with several members, is the stream counted.
    """
    with open(path, "rb") as raw:
        raw.seek(-4, os.SEEK_END)
        if struct.unpack("<I", raw.read(4))[0] == wanted % (1 << 32):
            return wanted
    held = 0
    try:
        with gzip.open(path, "rb") as stream:
            while held <= wanted and (block := stream.read(BLOCK)):
                held += len(block)
    except (EOFError, OSError, zlib.error):
        return min(held, wanted - 1)
    return held


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb")


def _parse(data: bytes) -> NiftiHeader:
    for order in "<>":
        layout = LAYOUTS.get(struct.unpack_from(order + "i", data)[0])
        if layout is None:
            continue
        found: dict[str, tuple[Any, ...]] = {
            name: struct.unpack_from(order + kind, data, at) for name, (at, kind) in layout.items()
        }
        if found["magic"][0] not in (b"n+1", b"n+2"):
            break
        return NiftiHeader(
            num_dims=found["shape"][0],
            size=np.array(found["shape"][1:4], np.float64),
            data_offset=int(found["offset"][0]),
            real=FLOATS.get(found["type"][0], ""),
            order=order,
            bits=found["type"][1],
            qform_code=found["codes"][0],
            sform_code=found["codes"][1],
            pixdim=np.array(found["pixdim"], np.float64),
            quaternion=np.array(found["quaternion"], np.float64),
            sform=np.array(found["rows"], np.float64).reshape(3, 4),
        )
    raise ValueError("no NIfTI header")
