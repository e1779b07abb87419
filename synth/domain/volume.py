"""Reads medical images and volumes with SimpleITK, and writes them: the only file that imports it.

`read` believes nothing: headers.py and dicom.py hold what a file claims against what is there before a voxel is read.
It still runs C++ on foreign bytes; reader.py does that in a process of its own, under limits.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from synth.domain.cases import SUFFIXES, is_dicom, suffix_of
from synth.domain.dicom import Series, read_series
from synth.domain.headers import FLAT, check_bytes, check_header
from synth.domain.limits import MAX_VOXELS, check_size, check_spacing
from synth.domain.mr import add_dixon
from synth.domain.patch import Matrix
from synth.domain.plain_slices import plain_voxels
from synth.domain.posture import Up, lying_notes
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.shared import Stacked, stacked
from synth.domain.stack import Stack

OBLIQUE = 1e-4  # direction cosines further from an axis than this are resampled: 0.2 mm over two metres


def read(
    path: Path,
    *,
    spacing_mm: float | None = None,
    series: str | None = None,
    up: Up | None = None,
    max_voxels: int = MAX_VOXELS,
    make: Stacked = stacked,
) -> Image | Volume:
    """The image or volume in a file, or of the DICOM series in a folder.

    spacing_mm: size of a pixel of a 2D image whose file does not tell it; series: which one, see dicom.read_series
      (with + between two: the water and the fat of one MR scan, added)
    up: the side of the patient that faced up, away from the couch; None takes it from a DICOM header
    make: makes the array of a series that needs no decoding
    Raises: ValueError for anything that is not one complete greyscale image or volume.
    """
    if not path.exists():
        raise ValueError(f"image {path} does not exist, or is a link to nothing")
    suffix = "" if path.is_dir() else suffix_of(path)
    if path.is_dir() or (not suffix and is_dicom(path)):
        wanted = [None] if series is None else series.split("+")
        scans = [_read_dicom(read_series(path, one), path, spacing_mm, up, max_voxels, make) for one in wanted]
        return scans[0] if len(scans) == 1 else _added(scans, path)
    if not suffix or not path.is_file():
        allowed = " ".join(SUFFIXES)
        raise ValueError(
            f"image {path} is no DICOM and has an unknown extension, or is no file; allowed: {allowed}, or DICOM"
        )
    try:
        notes = check_header(path, suffix)
        image = _decode(path, suffix, max_voxels)
        if image.GetDimension() == 3:
            return _volume(image, notes + lying_notes("", None, up), max_voxels)
        return _flat(image, spacing_mm, notes, trusted=suffix not in FLAT)
    except ValueError as error:
        raise ValueError(f"image {path} {error}") from error


def write_volume(volume: Volume, path: Path, rotation: Matrix | None = None) -> None:
    """Write a volume (NIfTI by its extension); its name appears when it is whole.

    rotation (3, 3): turns the volume's axes about the patient's origin into those of an oblique scan
    """
    turn = np.eye(3) if rotation is None else rotation
    image = sitk.GetImageFromArray(volume.voxels)
    image.SetSpacing(volume.spacing_mm)
    image.SetDirection([float(v) for v in turn.ravel()])
    image.SetOrigin([float(v) for v in turn @ volume.index_to_patient[:, 3]])
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
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"cannot write {path}: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _decode(path: Path, suffix: str, max_voxels: int) -> sitk.Image:
    """The image in a file. Raises ValueError, a predicate, without SimpleITK's words: they may quote the header."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        check_size(size, reader.GetNumberOfComponents(), max_voxels)
        voxel = sitk.Image([1] * len(size), reader.GetPixelID()).GetSizeOfPixelComponent()
        check_bytes(path, suffix, int(np.prod([float(n) for n in size])), voxel)
        return reader.Execute()
    except RuntimeError as error:
        _check_memory(error)
        raise ValueError(f"cannot be read: it is damaged, or no {suffix[1:]} file; export it again") from error


def _check_memory(error: RuntimeError) -> None:
    """Raise MemoryError where that is what SimpleITK ran out of."""
    if "alloc" in str(error):
        raise MemoryError from error


def _pixels(image: sitk.Image) -> NDArray[np.generic]:
    """(…) array of an image, its dtype kept where that is small. Raises ValueError for NaN or infinite values."""
    array = sitk.GetArrayFromImage(image)
    if array.dtype.kind == "c":
        raise ValueError("has complex values; convert it to magnitudes")
    if array.dtype.itemsize > 4:
        with np.errstate(over="ignore"):  # what overflows is reported as infinite
            array = array.astype(np.float32)
    if array.dtype.kind == "f" and not np.isfinite(array.sum(dtype=np.float64)):
        raise ValueError("holds NaN or infinite values; replace them by that of air")
    return np.asarray(array)


def _flat(image: sitk.Image, spacing_mm: float | None, notes: tuple[str, ...], *, trusted: bool) -> Image:
    """A 2D image; `trusted` where the file's own geometry means millimetres."""
    pixels = np.asarray(_pixels(image), np.float32)
    spacing: tuple[float, float] | None = None if spacing_mm is None else (spacing_mm, spacing_mm)
    linear = np.eye(2)
    origin = np.zeros(2)
    if trusted:
        own = np.array(image.GetSpacing())
        check_spacing(own, image.GetSize())
        linear = np.array(image.GetDirection()).reshape(2, 2) * own
        origin = np.array(image.GetOrigin())
        if spacing is None:
            spacing = (float(own[0]), float(own[1]))
    to_viewer = np.column_stack([linear, origin - linear @ np.array([0.5, 0.5])])
    return Image(pixels=pixels, spacing_mm=spacing, to_viewer=to_viewer, notes=notes)


def _added(scans: Sequence[Image | Volume], path: Path) -> Volume:
    """Water and fat of one MR scan as one volume."""
    volumes = [scan for scan in scans if isinstance(scan, Volume) and scan.modality == "MR"]
    if len(volumes) != 2 or len(scans) != 2:
        raise ValueError(f"DICOM series {path} are not two MR volumes; --series 1+2 adds water and fat of one scan")
    try:
        return add_dixon(*volumes)
    except ValueError as error:
        raise ValueError(f"DICOM series {path}: {error}") from error


def _volume(image: sitk.Image, notes: tuple[str, ...], max_voxels: int, modality: str = "") -> Volume:
    """A volume in LPS: its axes permuted, and where they are oblique or sheared, resampled."""
    check_spacing(np.array(image.GetSpacing()), image.GetSize())
    direction = np.array(image.GetDirection()).reshape(3, 3)
    if np.abs(np.linalg.norm(direction, axis=0) - 1).max() > 1e-3:
        raise ValueError("has directions that are no unit vectors (scaled or sheared); resample it to straight axes")
    if np.abs(direction - np.eye(3)).max() > OBLIQUE:
        image = sitk.DICOMOrient(image, "LPS")
        direction = np.array(image.GetDirection()).reshape(3, 3)
    if np.abs(direction - np.eye(3)).max() > OBLIQUE:
        image = _straighten(image, max_voxels)
    affine: Matrix = np.column_stack([np.diag(image.GetSpacing()), image.GetOrigin()])
    return Volume(voxels=_pixels(image), index_to_patient=affine, notes=notes, modality=modality)


def _straighten(image: sitk.Image, max_voxels: int) -> sitk.Image:
    """The image on an axis-aligned grid of the same spacing that holds all of it; its minimum is put around it."""
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    corners = [(x, y, z) for x in (0, size[0] - 1) for y in (0, size[1] - 1) for z in (0, size[2] - 1)]
    points = np.array([image.TransformContinuousIndexToPhysicalPoint([float(v) for v in c]) for c in corners])
    low, high = points.min(0), points.max(0)
    grid = [int(n) for n in np.ceil((high - low) / spacing + 1)]
    check_size(tuple(grid), 1, max_voxels)
    resampler = sitk.ResampleImageFilter()
    resampler.SetOutputOrigin(low.tolist())
    resampler.SetOutputSpacing(spacing.tolist())
    resampler.SetSize(grid)
    resampler.SetOutputDirection(np.eye(3).ravel().tolist())
    resampler.SetDefaultPixelValue(float(sitk.GetArrayViewFromImage(image).min()))
    return resampler.Execute(image)


def _read_dicom(
    series: Series, path: Path, spacing_mm: float | None, up: Up | None, max_voxels: int, make: Stacked
) -> Image | Volume:
    try:
        if series.num_voxels > max_voxels:
            raise ValueError(f"has {series.num_voxels} voxels; allowed: {max_voxels}")
        if series.stack is None:
            return _radiograph(series, spacing_mm)
        notes = series.notes + lying_notes(series.lies, series.up, up)
        known = series.modality if series.modality in ("CT", "MR") else ""
        plain = _plain(series.stack, notes, known, make)
        return plain or _volume(_stacked(series, series.stack), notes, max_voxels, known)
    except RuntimeError as error:
        _check_memory(error)
        raise ValueError(f"DICOM series {path} cannot be read: its pixels are missing or damaged") from error
    except ValueError as error:
        raise ValueError(f"DICOM series {path} {error}") from error


def _plain(stack: Stack, notes: tuple[str, ...], modality: str, make: Stacked) -> Volume | None:
    """The volume of a stack that needs neither decoding nor turning; None for any other."""
    if np.abs(stack.direction - np.eye(3)).max() > OBLIQUE:
        return None
    size = (*stack.frames[0].size, len(stack.frames))
    check_size(size, 1, MAX_VOXELS)
    check_spacing(stack.spacing_mm, size)
    voxels = plain_voxels(stack, make)
    affine: Matrix = np.column_stack([np.diag(stack.spacing_mm), stack.origin_mm])
    return None if voxels is None else Volume(voxels=voxels, index_to_patient=affine, notes=notes, modality=modality)


def _stacked(series: Series, stack: Stack) -> sitk.Image:
    """The slices of a series decoded, each by its own slope and intercept, and placed as the headers say."""
    names = list(dict.fromkeys(str(frame.file) for frame in stack.frames))
    scales = {(frame.slope, frame.intercept) for frame in stack.frames}
    reader: sitk.ImageSeriesReader | sitk.ImageFileReader
    if len(names) > 1:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(names)
    else:
        reader = sitk.ImageFileReader()
        reader.SetFileName(names[0])
    if len(scales) > 1:
        reader.SetOutputPixelType(sitk.sitkFloat32)  # else the first slice's type would cut the others' values
    image = reader.Execute()
    check_size(image.GetSize(), image.GetNumberOfComponentsPerPixel(), MAX_VOXELS)
    if len(names) == 1:
        image = _reordered(image, series.scale, stack)
    image.SetDirection([float(v) for v in stack.direction.ravel()])
    image.SetSpacing([float(v) for v in stack.spacing_mm])
    image.SetOrigin([float(v) for v in stack.origin_mm])
    return image


def _reordered(image: sitk.Image, scale: tuple[float, float], stack: Stack) -> sitk.Image:
    """The frames of one file in the order of the stack, each by its own slope and intercept; see dicom.Series."""
    frames = sitk.GetArrayViewFromImage(image)
    picked = frames[[frame.index for frame in stack.frames]]
    if any((frame.slope, frame.intercept) != scale for frame in stack.frames):
        slopes, intercepts = (np.array([getattr(f, name) for f in stack.frames]) for name in ("slope", "intercept"))
        stored = (picked - scale[1]) / scale[0]
        picked = (stored * slopes[:, None, None] + intercepts[:, None, None]).astype(np.float32)
    return sitk.GetImageFromArray(picked)


def _radiograph(series: Series, spacing_mm: float | None) -> Image:
    """The one image of a series; 3D Slicer shows its first pixel at 0, 0."""
    image = sitk.ReadImage(str(series.files[0]))
    size = image.GetSize()
    check_size(size[:2], image.GetNumberOfComponentsPerPixel(), MAX_VOXELS)
    pixels = np.asarray(_pixels(image), np.float32).reshape(size[1], size[0])
    spacing = series.pixel_mm if spacing_mm is None else (spacing_mm, spacing_mm)
    own = np.array(series.pixel_mm or (1.0, 1.0))
    check_spacing(own, size[:2])
    return Image(
        pixels=pixels,
        spacing_mm=spacing,
        to_viewer=np.column_stack([np.diag(own), -own / 2]),
        notes=series.notes,
        bright=True,  # SimpleITK (2.5.7) has turned MONOCHROME1 round
    )
