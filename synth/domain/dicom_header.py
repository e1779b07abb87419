"""One DICOM header, read with pydicom: its numbers and codes, never its free text.

Only the tags listed here are parsed, and their text is compared with known codes, never repeated: what a person or a
hospital wrote into a header reaches no message, note or file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from synth.domain.cases import is_dicom
from synth.domain.posture import LYING, Up

RADIOGRAPHS = ("CR", "DX", "RF", "XA", "MG", "PX", "IO", "RG")
MODALITIES = ("CT", "MR", "PT", "NM", "US", "OT", "SC", *RADIOGRAPHS)
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
TAGS = (
    "SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "ImageType", "PatientPosition",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "NumberOfFrames",
    "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "PixelData", *GROUPS,
)  # fmt: skip
PIXELS = 0x7FE00010
DEFERRED = 1 << 16  # bytes; pixels are not read here, only their length


def read_header(file: Path, tags: Sequence[str] = TAGS) -> Dataset | None:
    """The listed tags of a file, None where it is no DICOM."""
    if not is_dicom(file):
        return None
    try:
        header = pydicom.dcmread(file, defer_size=DEFERRED, specific_tags=list(tags), force=True)
        _convert(header)
    except Exception as error:  # whatever pydicom trips over in a damaged file; its text may quote the header
        raise ValueError(f"DICOM file {file} is damaged or truncated; export it again") from error
    if not header:
        raise ValueError(f"DICOM file {file} is damaged or truncated; export it again")
    return header


def _convert(header: Dataset) -> None:
    """Turn bytes into values now, all but the pixels: pydicom does so at first use, and raises whatever it likes."""
    for tag in list(header.keys()):
        if tag != PIXELS and (element := header[tag]).VR == "SQ":
            for item in element.value:
                _convert(item)


def lying(header: Dataset) -> tuple[str, Up | None]:
    """(how the patient lay, the side that faced up); empty and None where the header does not say."""
    code = str(header.get("PatientPosition", "")).strip()
    return LYING.get(code[2:], ("", None)) if code[:2] in ("HF", "FF") else ("", None)


def modality(header: Dataset) -> str:
    """A known modality, "" for any other."""
    text = str(header.get("Modality", "")).strip()
    return text if text in MODALITIES else ""


def is_localizer(header: Dataset) -> bool:
    """Whether the header calls its image one that others are planned on."""
    return "LOCALIZER" in str(header.get("ImageType", ""))


def whole(header: Dataset, keyword: str) -> int:
    """A whole number, 0 where it is absent or none."""
    try:
        return int(header.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def numbers(header: Dataset, keyword: str, count: int, where: str = "") -> tuple[float, ...]:
    """The `count` finite numbers of an attribute. Raises ValueError, a predicate, where it holds anything else."""
    try:
        value: Any = header[keyword].value
        numbers = tuple(float(v) for v in ([value] if count == 1 else value))
    except (KeyError, TypeError, ValueError, OverflowError):
        numbers = ()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"has a {keyword} that is not {count} numbers{where}; export it again")
    return numbers
