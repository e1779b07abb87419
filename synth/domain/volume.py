"""Reads medical images and volumes with SimpleITK, and writes them: the only file that imports it.

What a file claims is checked before a voxel is read: SimpleITK allocates whatever a header says, and fills a truncated
NIfTI with zeros without a word (2.5.7).
"""

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from synth.domain.patch import Matrix
from synth.domain.projection import Image, Volume

MAX_VOXELS = 1 << 30
FLAT = (".png", ".jpg", ".jpeg")  # no spacing worth trusting
MEDICAL = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")
SUFFIXES = FLAT + MEDICAL
OBLIQUE = 1e-4  # direction cosines further from an axis than this are resampled: 0.2 mm over two metres


def suffix_of(path: Path) -> str:
    """The suffix of an image file, `.nii.gz` included, in lower case; "" where it is none that can be read."""
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix) and len(name) > len(suffix)), "")


def case_name(path: Path) -> str:
    """What a case is called: its file's name without extensions, or its DICOM folder's name."""
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix and not path.is_dir() else path.resolve().name


def read(path: Path, *, spacing_mm: float | None = None, max_voxels: int = MAX_VOXELS) -> Image | Volume:
    """The image or volume in a file, or the volume of a folder that holds one DICOM series.

    spacing_mm: size of a pixel of a 2D image whose file does not tell it (PNG, JPEG).
    Raises: ValueError for anything that is not one complete greyscale image or volume.
    """
    if not path.exists():
        raise ValueError(f"image {path} does not exist")
    if path.is_dir():
        return _volume(_read_series(path, max_voxels), path)
    suffix = suffix_of(path)
    if not suffix:
        raise ValueError(f"image {path} has an unknown extension; allowed: {' '.join(SUFFIXES)}, or a DICOM folder")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_header(reader, path, max_voxels)
        _check_bytes(reader, path, suffix)
        image = reader.Execute()
    except RuntimeError as error:
        raise ValueError(f"image {path} cannot be read: {_reason(error)}") from error
    if image.GetDimension() == 3:
        return _volume(image, path)
    return _flat(image, path, spacing_mm, trusted=suffix not in FLAT)


def write_volume(volume: Volume, path: Path) -> None:
    """Write a volume (NIfTI by its extension); its name appears when it is whole."""
    image = sitk.GetImageFromArray(volume.voxels)
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin([float(v) for v in volume.index_to_patient[:, 3]])
    _write(image, path)


def write_image(pixels: NDArray[np.generic], path: Path, spacing_mm: tuple[float, float] | None = None) -> None:
    """Write pixels (H, W) as PNG (uint8 or uint16), MHA or another 2D format, by the extension."""
    image = sitk.GetImageFromArray(pixels)
    if spacing_mm is not None:
        image.SetSpacing(spacing_mm)
    _write(image, path)


def _write(image: sitk.Image, path: Path) -> None:
    if path.suffix == ".mhd":
        raise ValueError(f"cannot write {path}: its data would be a second file; write .mha")
    temporary = path.with_name(f".{os.getpid()}.tmp.{path.name}")
    try:
        sitk.WriteImage(image, str(temporary), useCompression=path.name.endswith((".gz", ".png")))
        os.replace(temporary, path)
    except RuntimeError as error:
        raise ValueError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"


def _check_header(reader: sitk.ImageFileReader, path: Path, max_voxels: int) -> None:
    size = reader.GetSize()
    shape = " x ".join(map(str, size))
    if reader.GetNumberOfComponents() != 1:
        count = reader.GetNumberOfComponents()
        raise ValueError(f"image {path} has {count} values per pixel (colour?); convert it to greyscale")
    if len(size) not in (2, 3):
        raise ValueError(f"image {path} has {len(size)} dimensions ({shape}); allowed: 2 or 3")
    if min(size) < 2:
        raise ValueError(
            f"image {path} has size {shape}; allowed: at least 2 along each axis (2D images as PNG or MHA)"
        )
    if int(np.prod([float(n) for n in size])) > max_voxels:
        raise ValueError(f"image {path} claims {shape} voxels; allowed: {max_voxels} in all")


def _check_bytes(reader: sitk.ImageFileReader, path: Path, suffix: str) -> None:
    """Raise ValueError where the file holds fewer bytes than its header promises."""
    voxels = int(np.prod([float(n) for n in reader.GetSize()]))
    if suffix in (".nii", ".nii.gz"):
        with gzip.open(path, "rb") if suffix == ".nii.gz" else open(path, "rb") as stream:
            header = stream.read(348 + 192)
        wanted = _nifti_bytes(header, voxels, path)
        held = _gzip_bytes(path, wanted) if suffix == ".nii.gz" else path.stat().st_size
    elif suffix in (".mha", ".nrrd") and not _is_compressed(path):
        probe = sitk.Image([1] * len(reader.GetSize()), reader.GetPixelID())
        wanted, held = voxels * probe.GetSizeOfPixelComponent(), path.stat().st_size
    else:
        return  # PNG, JPEG and compressed data: SimpleITK reports a short read itself (tested)
    if held < wanted:
        raise ValueError(f"image {path} is truncated: {held} of {wanted} bytes; copy it again")


def _nifti_bytes(header: bytes, voxels: int, path: Path) -> int:
    """Bytes an uncompressed NIfTI-1 or NIfTI-2 file must hold: its data's offset plus its data."""
    for order in "<>":
        if len(header) >= 348 and struct.unpack_from(order + "i", header)[0] == 348:
            bits = struct.unpack_from(order + "h", header, 72)[0]
            return int(struct.unpack_from(order + "f", header, 108)[0]) + voxels * int(bits) // 8
        if len(header) >= 540 and struct.unpack_from(order + "i", header)[0] == 540:
            bits = struct.unpack_from(order + "h", header, 14)[0]
            return int(struct.unpack_from(order + "q", header, 168)[0]) + voxels * int(bits) // 8
    raise ValueError(f"image {path} has no NIfTI header")


def _gzip_bytes(path: Path, wanted: int) -> int:
    """Decompressed size of a gzip file, counted no further than `wanted`.

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
            while held < wanted and (block := stream.read(1 << 20)):
                held += len(block)
    except (EOFError, OSError, zlib.error):
        return min(held, wanted - 1)
    return held


def _is_compressed(path: Path) -> bool:
    with open(path, "rb") as stream:
        head = stream.read(4096).lower()
    return b"compresseddata = true" in head or b"encoding: gz" in head or b"encoding: bz" in head


def _pixels(image: sitk.Image, path: Path) -> NDArray[np.generic]:
    """(…) array of an image, its dtype kept where that is small. Raises ValueError for NaN or infinite values."""
    array = sitk.GetArrayFromImage(image)
    if array.dtype.itemsize > 4 or array.dtype.kind == "c":
        array = array.astype(np.float32)
    if array.dtype.kind == "f" and not np.isfinite(array.sum(dtype=np.float64)):
        raise ValueError(f"image {path} holds NaN or infinite values; replace them by that of air")
    return np.asarray(array)


def _flat(image: sitk.Image, path: Path, spacing_mm: float | None, *, trusted: bool) -> Image:
    """A 2D image; `trusted` where the file's own geometry means millimetres."""
    pixels = np.asarray(_pixels(image, path), np.float32)
    spacing: tuple[float, float] | None = None if spacing_mm is None else (spacing_mm, spacing_mm)
    linear = np.eye(2)
    origin = np.zeros(2)
    if trusted:
        own = np.array(image.GetSpacing())
        linear = np.array(image.GetDirection()).reshape(2, 2) * own
        origin = np.array(image.GetOrigin())
        if spacing is None:
            spacing = (float(own[0]), float(own[1]))
    to_viewer = np.column_stack([linear, origin - linear @ np.array([0.5, 0.5])])
    return Image(pixels=pixels, spacing_mm=spacing, to_viewer=to_viewer)


def _volume(image: sitk.Image, path: Path) -> Volume:
    """A volume in LPS: its axes permuted, and where they are oblique, resampled."""
    image = sitk.DICOMOrient(image, "LPS")
    direction = np.array(image.GetDirection()).reshape(3, 3)
    if np.abs(direction - np.eye(3)).max() > OBLIQUE:
        image = _straighten(image)
    affine: Matrix = np.column_stack([np.diag(image.GetSpacing()), image.GetOrigin()])
    return Volume(voxels=_pixels(image, path), index_to_patient=affine)


def _straighten(image: sitk.Image) -> sitk.Image:
    """The image on an axis-aligned grid of the same spacing that holds all of it; its minimum is put around it."""
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    corners = [(x, y, z) for x in (0, size[0] - 1) for y in (0, size[1] - 1) for z in (0, size[2] - 1)]
    points = np.array([image.TransformContinuousIndexToPhysicalPoint([float(v) for v in c]) for c in corners])
    low, high = points.min(0), points.max(0)
    resampler = sitk.ResampleImageFilter()
    resampler.SetOutputOrigin(low.tolist())
    resampler.SetOutputSpacing(spacing.tolist())
    resampler.SetSize([int(n) for n in np.ceil((high - low) / spacing + 1)])
    resampler.SetOutputDirection(np.eye(3).ravel().tolist())
    resampler.SetDefaultPixelValue(float(sitk.GetArrayViewFromImage(image).min()))
    return resampler.Execute(image)


def _read_series(folder: Path, max_voxels: int) -> sitk.Image:
    """The one DICOM series of a folder. Raises ValueError for none, several, or one with slices missing."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        raise ValueError(f"folder {folder} holds {len(series)} DICOM series; allowed: exactly one")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    try:
        _check_slices(names, folder, max_voxels)
        return reader.Execute()
    except RuntimeError as error:
        raise ValueError(f"DICOM series {folder} cannot be read: {_reason(error)}") from error


def _check_slices(names: tuple[str, ...], folder: Path, max_voxels: int) -> None:
    if len(names) < 2:
        raise ValueError(f"DICOM series {folder} has {len(names)} slices; a volume needs at least 2")
    header = sitk.ImageFileReader()
    positions = []
    for name in names:
        header.SetFileName(name)
        header.ReadImageInformation()
        normal = np.array(header.GetDirection()).reshape(3, 3)[:, 2]
        positions.append(float(normal @ np.array(header.GetOrigin())))
    width, height = header.GetSize()[:2]
    if width * height * len(names) > max_voxels:
        raise ValueError(f"DICOM series {folder} has {width} x {height} x {len(names)} voxels; allowed: {max_voxels}")
    gaps = np.diff(np.sort(positions))
    if gaps.min() <= 0 or gaps.max() > 1.05 * gaps.min():
        text = f"slices lie {gaps.min():.3g} to {gaps.max():.3g} mm apart"
        raise ValueError(f"DICOM series {folder} is incomplete or uneven: {text}; export it again")
