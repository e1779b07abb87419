"""DICOM series: which files make them up, where their slices lie, how the patient lay. Pixels are decoded in volume.py.

No text of a header is repeated here (dicom_header.py); subject_key makes a keyed hash of a patient's id.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from synth.domain.cases import files_in, is_dicom
from synth.domain.dicom_header import (
    GROUPS,
    RADIOGRAPHS,
    Attributes,
    Header,
    is_localizer,
    lying,
    modality,
    numbers,
    read_header,
    read_headers,
    whole,
)
from synth.domain.plain_slices import stored_in
from synth.domain.posture import Up
from synth.domain.stack import Frame, Stack, arrange

DEEPEST = 8  # folders within folders; exports have 3 or 4
MOST_FILES = 100_000


@dataclass(frozen=True, kw_only=True)
class Series:
    """What the headers of one series tell.

    files: all of them; stack: None for a single 2D image
    pixel_mm: (x, y) of a 2D image, None where unknown
    scale: slope and intercept of its first frame, which SimpleITK (2.5.7) applies to every frame of a file
    lies: how the patient lay, "" where the header does not say; up: the side that faced up
    modality: see dicom_header.modality
    """

    files: tuple[Path, ...]
    stack: Stack | None
    pixel_mm: tuple[float, float] | None
    scale: tuple[float, float]
    lies: str
    up: Up | None
    num_voxels: int
    notes: tuple[str, ...]
    modality: str


def read_series(path: Path, wanted: str | None = None) -> Series:
    """The series in a folder (and the folders in it), or the one a single file holds.

    wanted: a number of the list that the error for several series gives, or a SeriesInstanceUID.
    Raises: ValueError for none, several without `wanted`, and whatever makes them no image or volume.
    """
    found: dict[str, list[tuple[Path, Header]]] = {}
    for file, header in read_headers(_files(path) if path.is_dir() else [path]):
        if "Rows" in header:  # reports and plans have no pixels
            found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((file, header))
    if not found:
        raise ValueError(f"{_kind(path)} {path} holds no DICOM image; give the folder with the slices themselves")
    ordered = sorted(found.items(), key=lambda item: (whole(item[1][0][1], "SeriesNumber"), item[0]))
    items = _chosen(ordered, path, wanted)
    try:
        return _series(items)
    except ValueError as error:
        raise ValueError(f"DICOM series {path} {error}") from error


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files of a folder and of the folders in it, by name. Raises ValueError as _files does."""
    return [file for file in _files(folder) if is_dicom(file)]


def _files(folder: Path) -> list[Path]:
    """The files of a folder and of the folders in it, by name; DICOMDIR and hidden files are none of them.

    Exports lie in PATIENT/STUDY/SERIES or the like. A folder that links lead to again is entered once.
    Raises: ValueError for folders within more than DEEPEST others, and for more than MOST_FILES files.
    """
    files: list[Path] = []
    entered: set[Path] = set()
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        if place.resolve() in entered:
            continue
        entered.add(place.resolve())
        if depth > DEEPEST:
            raise ValueError(f"folder {folder} holds folders more than {DEEPEST} deep; give the one with the scan")
        files += [file for file in files_in(place) if file.name.upper() != "DICOMDIR"]
        if len(files) > MOST_FILES:
            raise ValueError(f"folder {folder} holds more than {MOST_FILES} files; give the one with the scan")
        within = sorted((item for item in place.iterdir() if item.is_dir() and item.name[0] != "."), reverse=True)
        waiting += [(item, depth + 1) for item in within]
    return files


def subject_key(path: Path, key: bytes) -> str:
    """HMAC-SHA256 of the patient's id, 16 hexadecimal digits: the same for all of a person's scans under one key.

    Raises: ValueError where the first DICOM file at `path` has no id.
    """
    files = dicom_files(path) if path.is_dir() else [path] if is_dicom(path) else []
    header = read_header(files[0], ("PatientID", "IssuerOfPatientID")) if files else None
    if header is None or not str(header.get("PatientID", "")).strip():
        raise ValueError(f"{path} is no DICOM with a patient id to make a subject of; give the subjects in a CSV")
    text = f"{header.get('IssuerOfPatientID', '')}\n{header['PatientID']}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]


def _chosen(
    ordered: Sequence[tuple[str, list[tuple[Path, Header]]]], path: Path, wanted: str | None
) -> list[tuple[Path, Header]]:
    """The files of the wanted series, or of the only one."""
    if wanted is None and len(ordered) == 1:
        return ordered[0][1]
    for number, (uid, items) in enumerate(ordered, 1):
        if wanted in (str(number), uid):
            return items
    text = "; ".join(f"{number}: {_summary(items)}" for number, (_, items) in enumerate(ordered, 1))
    told = (
        f"--series {wanted}" if wanted is not None and wanted.isdecimal() else "the --series given"
    )  # a UID is private
    asked = "choose one with --series N" if wanted is None else f"none of them is {told}"
    raise ValueError(
        f"{_kind(path)} {path} holds {len(ordered)} series ({text}); {asked}, or its UID, or give its files alone"
    )


def _summary(items: Sequence[tuple[Path, Header]]) -> str:
    """A series in words that identify nobody: modality, number of images, size and spacing."""
    first = items[0][1]
    count = sum(max(1, whole(header, "NumberOfFrames")) for _, header in items)
    try:
        spacing = f", {numbers(first, 'PixelSpacing', 2)[1]:.3g} mm"
    except ValueError:
        spacing = ""
    size = f"{whole(first, 'Columns')} x {whole(first, 'Rows')}"
    return f"{modality(first) or 'image'}, {count} of {size}{spacing}"


def _series(items: Sequence[tuple[Path, Header]]) -> Series:
    first = items[0][1]
    for file, header in items:
        _check_pixels(file, header)
    files = tuple(file for file, _ in items)
    frames = max(1, whole(first, "NumberOfFrames"))
    if len({lying(header) for _, header in items}) > 1:
        raise ValueError("holds slices of a patient who lay in different ways; export one of them alone")
    lies, up = lying(first)
    placed = "ImagePositionPatient" in first and "ImageOrientationPatient" in first
    stack, pixel_mm, scale = None, None, (1.0, 0.0)
    notes: tuple[str, ...] = ("taken as stored: its upper edge is up",)
    if frames > 1 or (placed and modality(first) not in RADIOGRAPHS and not (len(items) == 1 and is_localizer(first))):
        slices = _frames(items)
        scale = (slices[0].slope, slices[0].intercept)
        stack = arrange(slices, _same_pixels)
        notes = stack.notes
    elif len(items) > 1:
        raise ValueError(f"holds {len(items)} images without places; give one file")
    else:
        pixel_mm, more = _pixel_mm(first)
        notes += more
    return Series(
        files=files,
        stack=stack,
        pixel_mm=pixel_mm,
        scale=scale,
        lies=lies,
        up=up,
        num_voxels=whole(first, "Rows") * whole(first, "Columns") * (len(items) if frames == 1 else frames),
        notes=notes,
        modality=modality(first),
    )


def _frames(items: Sequence[tuple[Path, Header]]) -> list[Frame]:
    if len(items) == 1:
        file, header = items[0]
        if (count := whole(header, "NumberOfFrames")) < 2:
            return [_frame(file, 0, header, (header,))]
        if len(header.get(GROUPS[1], ())) != count:
            raise ValueError(f"holds {count} frames without places (a film?); export it as slices")
        shared = list(header.get(GROUPS[0], ()))
        return [
            _frame(file, k, header, [item for group in (own, *shared) for item in _macros(group)])
            for k, own in enumerate(header[GROUPS[1]])
        ]
    if any(whole(header, "NumberOfFrames") > 1 for _, header in items):
        raise ValueError(f"holds {len(items)} files of several frames each; give one of the files")
    return [_frame(file, 0, header, (header,)) for file, header in items]


def _macros(group: Dataset) -> list[Dataset]:
    """The functional groups of a frame, each an item of a sequence of one."""
    return [element.value[0] for element in group if element.VR == "SQ" and len(element.value) == 1]


def _frame(file: Path, index: int, header: Header, places: Sequence[Attributes]) -> Frame:
    """One slice; `places` are where its attributes may stand."""

    def values(keyword: str, count: int, absent: tuple[float, ...] | None = None) -> tuple[float, ...]:
        holder = next((place for place in places if keyword in place), None)
        if holder is None and absent is not None:
            return absent
        if holder is None:
            raise ValueError(f"has no {keyword} in {file.name}; export it again")
        return numbers(holder, keyword, count, f" in {file.name}")

    axes = np.array(values("ImageOrientationPatient", 6)).reshape(2, 3).T
    if np.abs(axes.T @ axes - np.eye(2)).max() > 1e-3:
        raise ValueError(f"has an ImageOrientationPatient that is no pair of unit vectors in {file.name}")
    axes[:, 0] /= np.linalg.norm(axes[:, 0])
    axes[:, 1] -= axes[:, 0] * (axes[:, 0] @ axes[:, 1])
    axes[:, 1] /= np.linalg.norm(axes[:, 1])
    down, across = values("PixelSpacing", 2)
    if not (0 < down < 1e3 and 0 < across < 1e3):
        raise ValueError(f"has a PixelSpacing of {down:g} x {across:g} mm in {file.name}; allowed: above 0")
    return Frame(
        file=file,
        index=index,
        size=(whole(header, "Columns"), whole(header, "Rows")),
        spacing_mm=(across, down),
        axes=axes,
        origin_mm=np.array(values("ImagePositionPatient", 3)),
        slope=values("RescaleSlope", 1, (1.0,))[0],
        intercept=values("RescaleIntercept", 1, (0.0,))[0],
        localizer=is_localizer(header),
        stored=stored_in(header),
    )


def _check_pixels(file: Path, header: Header) -> None:
    """Raise ValueError where a file cannot hold the pixels it speaks of."""
    if (samples := whole(header, "SamplesPerPixel")) > 1:
        raise ValueError(f"has {samples} values per pixel (colour?) in {file.name}; export it in greyscale")
    if header.get("PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"shows no grey values (a palette of colours?) in {file.name}; export it in greyscale")
    if modality(header) == "CT" and header.get("PhotometricInterpretation") == "MONOCHROME1":
        raise ValueError("stores inverted CT numbers (MONOCHROME1); export it as MONOCHROME2")
    if header.pixels is None:
        raise ValueError(f"has no pixels in {file.name}; export it again")
    if header.syntax is not None and (not header.syntax.is_transfer_syntax or header.syntax.is_compressed):
        return
    frames = max(1, whole(header, "NumberOfFrames"))
    wanted = whole(header, "Rows") * whole(header, "Columns") * frames * whole(header, "BitsAllocated") // 8
    start, held = header.pixels
    if not wanted <= held <= wanted + 1:  # lengths are even
        raise ValueError(
            f"has {held} bytes of pixels in {file.name} where its header speaks of {wanted}; export it again"
        )
    if header.syntax != DeflatedExplicitVRLittleEndian and file.stat().st_size < start + held:
        raise ValueError(f"is truncated: {file.name} ends within its pixels; export it again")


def _same_pixels(one: Frame, other: Frame) -> bool:
    if one.file == other.file or (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    data = [pydicom.dcmread(frame.file, specific_tags=["PixelData"], force=True) for frame in (one, other)]
    return bool(data[0].get("PixelData", 0) == data[1].get("PixelData", 1))


def _pixel_mm(header: Header) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """((x, y) size of a pixel of a 2D image, None where unknown; what to know of it)."""
    for keyword, note in (
        ("PixelSpacing", ""),
        ("ImagerPixelSpacing", "spacing is that of the detector: the patient appears magnified by some percent"),
        ("NominalScannedPixelSpacing", "spacing is that of the scanned film"),
    ):
        if keyword in header:
            down, across = numbers(header, keyword, 2)
            if not (0 < down < 1e3 and 0 < across < 1e3):
                raise ValueError(f"has a {keyword} of {down:g} x {across:g} mm; allowed: above 0")
            return (across, down), (note,) if note else ()
    return None, ()


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"
