"""One DICOM header, read with pydicom: its numbers and codes, never its free text.

Only the tags listed here are parsed, and their text is compared with known codes, never repeated: what a person or a
hospital wrote into a header reaches no message, note or file.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from synth.domain.cases import is_dicom
from synth.domain.dicom_elements import PIXELS, plain_elements
from synth.domain.posture import LYING, Up

RADIOGRAPHS = ("CR", "DX", "RF", "XA", "MG", "PX", "IO", "RG")
MODALITIES = ("CT", "MR", "PT", "NM", "US", "OT", "SC", *RADIOGRAPHS)
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
TAGS = (
    "SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "ImageType", "PatientPosition",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "NumberOfFrames",
    "PhotometricInterpretation", "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence", "RescaleSlope",
    "RescaleIntercept", "PixelData", *GROUPS,
)  # fmt: skip
DEFERRED = 1 << 16  # bytes; pixels are not read here, only their length
LONGEST = 1 << 16  # bytes before the pixels of a file that is looked at without pydicom

Attributes = Mapping[str, Any] | Dataset
Known = dict[tuple[int, bytes], Any]


class Header(dict[str, Any]):
    """The listed attributes that a file has: keyword -> value as pydicom has it, but for the pixels.

    syntax: how the file is encoded, None where it does not say
    pixels: (first byte, number of bytes) of the pixels in the file, None where there are none; 0, 0 for no plain bytes
    """

    def __init__(self, values: Mapping[str, Any], syntax: UID | None, pixels: tuple[int, int] | None) -> None:
        super().__init__(values)
        self.syntax, self.pixels = syntax, pixels


def read_headers(files: Sequence[Path]) -> Iterator[tuple[Path, Header]]:
    """(file, header) of those that are DICOM. Raises ValueError for a damaged one.

    Where a header says what one before it did, that is not worked out again.
    """
    known: Known = {}
    for file in files:
        header = _plain_header(file, known) or read_header(file)
        if header is not None:
            yield file, header


def read_header(file: Path, tags: Sequence[str] = TAGS) -> Header | None:
    """The listed tags of a file, None where it is no DICOM. Raises ValueError where it is damaged."""
    if not is_dicom(file):
        return None
    try:
        header = pydicom.dcmread(file, defer_size=DEFERRED, specific_tags=list(tags), force=True)
        values = _converted(header)
    except Exception as error:  # whatever pydicom trips over in a damaged file; its text may quote the header
        raise ValueError(f"DICOM file {file} is damaged or truncated; export it again") from error
    if not header:
        raise ValueError(f"DICOM file {file} is damaged or truncated; export it again")
    syntax = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
    if PIXELS not in header:
        return Header(values, syntax, None)
    raw = header.get_item(PIXELS, keep_deferred=True)
    return Header(values, syntax, (raw.value_tell, raw.length) if isinstance(raw, RawDataElement) else (0, 0))


def _converted(header: Dataset) -> dict[str, Any]:
    """Keyword -> value now, all but the pixels: pydicom does so at first use, and raises whatever it likes."""
    values = {}
    for tag in list(header.keys()):
        if tag != PIXELS:
            element = header[tag]
            values[element.keyword] = element.value
            if element.VR == "SQ":
                for item in element.value:
                    _converted(item)
    return values


def _plain_header(file: Path, known: Known) -> Header | None:
    """The header of a plain file, whose values alone are pydicom's work; None for any other, and for no file."""
    if not file.is_file():
        return None
    with open(file, "rb", buffering=0) as stream:
        head = stream.read(LONGEST)
        elements = plain_elements(head, stream.seek(0, 2))
    if elements is None:
        return None
    values = {}
    for tag, (keyword, vr) in _listed().items():
        if (element := elements.get(tag)) is None:
            continue
        if element.vr != vr or vr == b"SQ":
            return None
        content = head[element.start : element.start + element.length]
        if (tag, content) not in known:
            try:
                known[tag, content] = _value(tag, vr, content)
            except Exception:  # pydicom will raise it again where the whole file is read with it
                return None
        values[keyword] = known[tag, content]
    pixels = elements[PIXELS]
    return Header(values, ExplicitVRLittleEndian, (pixels.start, pixels.length))


@cache
def _listed() -> dict[int, tuple[str, bytes]]:
    """Tag -> (keyword, VR) of what a plain file may say."""
    tags = ((keyword, int(tag_for_keyword(keyword) or 0)) for keyword in TAGS)
    return {tag: (keyword, dictionary_VR(tag).encode()) for keyword, tag in tags if tag != PIXELS}


def _value(tag: int, vr: bytes, content: bytes) -> Any:
    """A value as pydicom has it. Raises whatever pydicom does."""
    raw = RawDataElement(Tag(tag), vr.decode(), len(content), content, 0, False, True)
    return convert_raw_data_element(raw).value


def lying(header: Attributes) -> tuple[str, Up | None]:
    """(how the patient lay, the side that faced up); empty and None where the header does not say."""
    code = str(header.get("PatientPosition", "")).strip()
    return LYING.get(code[2:], ("", None)) if code[:2] in ("HF", "FF") else ("", None)


def modality(header: Attributes) -> str:
    """A known modality, "" for any other."""
    text = str(header.get("Modality", "")).strip()
    return text if text in MODALITIES else ""


def is_localizer(header: Attributes) -> bool:
    """Whether the header calls its image one that others are planned on."""
    return "LOCALIZER" in str(header.get("ImageType", ""))


def whole(header: Attributes, keyword: str) -> int:
    """A whole number, 0 where it is absent or none."""
    try:
        return int(header.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def numbers(header: Attributes, keyword: str, count: int, where: str = "") -> tuple[float, ...]:
    """The `count` finite numbers of an attribute. Raises ValueError, a predicate, where it holds anything else."""
    try:
        value: Any = header.get(keyword)
        numbers = tuple(float(v) for v in ([value] if count == 1 else value))
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"has a {keyword} that is not {count} numbers{where}; export it again")
    return numbers
