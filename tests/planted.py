"""Scans that are full of identifiers: in every text a header may have, in comments, in names of folders within."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngInfo
from pydicom import dcmread
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from tests.dicoms import write_radiograph, write_series
from tests.faults.inputs.shapes import pixels, voxels
from tests.faults.inputs.volumes import meta, nifti, nrrd

SECRET, BORN = "ZQXJ7SECRET", "19570131"
TEXTS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR"}
GROUPS = {0x0008, 0x0010, 0x0012, 0x0014, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040, 0x0088, 0x4008}
WORKING = {"SpecificCharacterSet", "CodeString"}  # a secret there would make the text unreadable, not public


def plant(k: int, made: Dataset) -> None:
    """Put the secret into every element of text that a slice may have, and a date of birth into those of dates.

    Every seventh slice has it all, the others the name alone: the test is to take seconds.
    """
    made.PatientPosition, made.PatientName = SECRET, SECRET
    if k % 7:
        return
    for tag, (kind, _count, _name, _retired, keyword) in DicomDictionary.items():
        if tag >> 16 in GROUPS and keyword and keyword not in WORKING and keyword not in made:
            if kind in TEXTS:
                setattr(made, keyword, SECRET)
            elif kind in ("DA", "DT"):
                setattr(made, keyword, BORN)
    block = made.private_block(0x0009, SECRET, create=True)
    block.add_new(1, "LO", SECRET)


def planted_nifti(folder: Path) -> Path:
    """A NIfTI whose free texts hold the secret."""

    def change(data: bytes) -> bytes:
        header = bytearray(data)
        for at, length in ((14, 18), (148, 80), (228, 24), (328, 16)):
            header[at : at + length] = SECRET.encode().ljust(length, b"\0")
        return bytes(header)

    return nifti(change)(folder)


def planted_nrrd(folder: Path, **fields: str) -> Path:
    """An NRRD with the secret in a comment, in its content and in a key of its own."""
    path = nrrd(**fields)(folder)
    data = path.read_bytes()
    text = f"NRRD0004\n# {SECRET}\ncontent: {SECRET}\n{SECRET}:={SECRET}\n".encode()
    path.write_bytes(text + data[len(b"NRRD0004\n") :])
    return path


def planted_png(folder: Path) -> Path:
    """A PNG with the secret in a text chunk."""
    text = PngInfo()
    text.add_text(SECRET, SECRET)
    PIL.Image.fromarray(pixels()).save(folder / "a.png", pnginfo=text)
    return folder / "a.png"


def series(folder: Path, change: Callable[[int, Dataset], None] = lambda k, made: None, **options: object) -> Path:
    """A DICOM series full of the secret."""

    def both(k: int, made: Dataset) -> None:
        plant(k, made)
        change(k, made)

    return write_series(folder / "scan", voxels(), step=(0, 0, 2), change=both, **options)  # type: ignore[arg-type]


def several(folder: Path) -> Path:
    write_series(series(folder) / "more", voxels(), change=lambda k, made: setattr(made, "SeriesInstanceUID", "1.2.3"))
    return folder / "scan"


def truncated(folder: Path) -> Path:
    file = series(folder) / "IM0003"
    file.write_bytes(file.read_bytes()[:-900])
    return folder / "scan"


def garbled(folder: Path) -> Path:
    file = series(folder) / "IM0003"
    data = file.read_bytes()
    file.write_bytes(data[:400] + os.urandom(1) * 60 + data[460:])
    return folder / "scan"


def radiograph(folder: Path) -> Path:
    path = write_radiograph(folder / "a.dcm", pixels().astype(np.uint16))
    made = dcmread(path)
    plant(0, made)
    made.save_as(path)
    return path


def nested(folder: Path) -> Path:
    """A series as a disc has it, in folders called after the patient; the folder that is given is not."""
    (folder / "disc" / SECRET / f"{SECRET}^ANNA").mkdir(parents=True)
    series(folder).rename(folder / "disc" / SECRET / f"{SECRET}^ANNA" / "SERIES")
    return folder / "disc"


def nested_without_a_slice(folder: Path) -> Path:
    disc = nested(folder)
    next(disc.rglob("IM0004")).unlink()
    return disc


READABLE = (
    series,
    nested,
    planted_nifti,
    planted_nrrd,
    radiograph,
    planted_png,
    lambda f: meta(Comment=SECRET, Name=SECRET)(f),
)
UNREADABLE = (
    several, truncated, garbled, nested_without_a_slice,
    lambda f: series(f, drop=(4,)),
    lambda f: series(f, lambda k, made: setattr(made, "PixelSpacing", [0, 0])),
    lambda f: series(f, lambda k, made: setattr(made, "ImageOrientationPatient", [1, 1, 1, 1, 1, 1])),
    lambda f: series(f, lambda k, made: setattr(made, "PhotometricInterpretation", SECRET)),
    lambda f: planted_nrrd(f, type=SECRET),
    lambda f: planted_nrrd(f, space_directions=f"({SECRET},0,0) (0,2,0) (0,0,2)"),
    lambda f: meta(ElementType=SECRET)(f),
    lambda f: meta(ElementDataFile=f"{SECRET}.raw")(f),
)  # fmt: skip
