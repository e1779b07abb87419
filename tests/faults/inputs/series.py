"""DICOM as hospitals export it: series, files of several frames, radiographs, and what is none of these."""

# ruff: noqa: E501  a table of inputs

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from tests.dicoms import dataset, save, write_enhanced, write_radiograph, write_series
from tests.faults.inputs.shapes import ORIGIN, SPACING, Input, pixels, voxels

SINE = float(np.sin(np.deg2rad(10)))
Change = Callable[[int, Dataset], None]


def series(change: Change = lambda k, made: None, **options: Any) -> Callable[[Path], Path]:
    """Writes the body as a CT series."""

    def make(folder: Path) -> Path:
        return write_series(
            folder / "case", voxels(), **{"step": (0, 0, SPACING), "origin": ORIGIN, "change": change, **options}
        )

    return make


def having(**attributes: Any) -> Callable[[Path], Path]:
    """A series with attributes of every slice replaced."""

    def change(k: int, made: Dataset) -> None:
        for name, value in attributes.items():
            setattr(made, name, value)

    return series(change)


def then(make: Callable[[Path], Path], more: Callable[[Path], object]) -> Callable[[Path], Path]:
    """`make`, and something done to what it made."""

    def both(folder: Path) -> Path:
        path = make(folder)
        more(path)
        return path

    return both


def each(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Does something to every file of a folder."""
    return lambda folder: [change(file) for file in sorted(folder.iterdir())] and None


def as_syntax(syntax: str) -> Callable[[Path], None]:
    """Writes a file again in another transfer syntax."""

    def change(file: Path) -> None:
        made = dcmread(file)
        if syntax == RLELossless:
            made.compress(RLELossless)
        elif syntax == ExplicitVRBigEndian:
            made.PixelData = np.frombuffer(made.PixelData, "<i2").astype(">i2").tobytes()
        made.file_meta.TransferSyntaxUID = syntax
        plain = Dataset()
        plain.update(made)
        plain.file_meta = made.file_meta
        plain.save_as(file, enforce_file_format=True)

    return change


def compressed(kind: str) -> Callable[[Path], None]:
    """Writes a file again with lossless JPEG or JPEG 2000, as SimpleITK can."""

    def change(file: Path) -> None:
        image = sitk.ReadImage(str(file), imageIO="GDCMImageIO")
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor(kind)
        writer.SetFileName(str(file))
        writer.Execute(image)

    return change


def bare(file: Path) -> None:
    """Writes a file again as old exports are: no preamble, no group 2, implicit little-endian."""
    made = dcmread(file)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, True
    plain = Dataset()
    plain.update(made)
    write_dataset(stream, plain)
    file.write_bytes(stream.getvalue())


def bytes_changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Writes a file again with other bytes."""
    return lambda file: file.write_bytes(change(file.read_bytes())) and None


def one_slice(folder: Path) -> Path:
    """One file of a series."""
    return series()(folder) / "IM0003"


def enhanced(folder: Path) -> Path:
    """The body in one file; write_enhanced places it at 0 with steps of 3 mm, so the header is mended."""
    path = write_enhanced(folder / "a.dcm", voxels() + 10, order=range(23, -1, -1), slopes=[1] * 24)
    made = dcmread(path)
    for k, frame in enumerate(made.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [*ORIGIN[:2], ORIGIN[2] + SPACING * (23 - k)]
    made.save_as(path)
    return path


def film(folder: Path) -> Path:
    """Frames that lie nowhere."""
    return save(dataset(voxels(), SecondaryCaptureImageStorage, NumberOfFrames=24, Modality="OT"), folder / "a.dcm")


def radiograph(**attributes: Any) -> Callable[[Path], Path]:
    """Writes the hand as a computed radiograph."""
    return lambda folder: write_radiograph(folder / "a.dcm", pixels().astype(np.uint16), **attributes)


def without(*names: str) -> Callable[[Path], None]:
    """Writes a file again without some attributes."""

    def change(file: Path) -> None:
        made = dcmread(file)
        for name in names:
            delattr(made, name)
        made.save_as(file)

    return change


def second_series(folder: Path) -> None:
    """Another series in a folder within."""
    write_series(folder / "b", voxels()[:9], change=lambda k, made: setattr(made, "SeriesInstanceUID", "1.2.3"))


def dixon(fat_mm: float) -> Callable[[Path], Path]:
    """Writes an MR scan of two series, the body's upper part in the other; `fat_mm` is the spacing of its pixels."""

    def mr(uid: str) -> Change:
        def change(k: int, made: Dataset) -> None:
            made.Modality, made.SeriesInstanceUID = "MR", uid

        return change

    def make(folder: Path) -> Path:
        place, water, fat = {"step": (0, 0, SPACING), "origin": ORIGIN}, voxels() + 1000, voxels() + 1000
        water[10:], fat[:10] = 0, 0
        write_series(folder / "case" / "a", water, **place, change=mr("1.2.3"))
        write_series(folder / "case" / "b", fat, **place, spacing=(fat_mm, fat_mm), change=mr("1.2.4"))
        return folder / "case"

    return make


def disc(more: Callable[[Path], object] = lambda folder: None) -> Callable[[Path], Path]:
    """Writes an export of a disc, its series where PATIENT/STUDY/SERIES are; `more` is done in the series' folder."""

    def make(folder: Path) -> Path:
        place = folder / "disc" / "DICOM" / "PA000001" / "ST000001"
        more(series()(place))
        (place / "case").rename(place / "SE000001")
        save(dataset(pixels().astype(np.uint16)), folder / "disc" / "DICOMDIR")
        return folder / "disc"

    return make


def deep(folder: Path) -> None:
    """Nine folders, each in another."""
    folder.joinpath(*"abcdefghi").mkdir(parents=True)


def shifted(k: int, made: Dataset) -> None:
    """From the middle on, slices lie 3 mm apart."""
    made.ImagePositionPatient = [*ORIGIN[:2], ORIGIN[2] + 2 * k + max(0, k - 11)]


def scaled(k: int, made: Dataset) -> None:
    """Air stays at −1000; without its own intercept the last slice would be all tissue."""
    made.RescaleSlope, made.RescaleIntercept = 1 + k, 1000 * k


def copied(folder: Path) -> None:
    """One file twice."""
    (folder / "copy").write_bytes((folder / "IM0007").read_bytes())


def doubled(folder: Path) -> None:
    """Another slice at the place of one."""
    made = dcmread(folder / "IM0007")
    made.PixelData = bytes(len(made.PixelData))
    made.save_as(folder / "echo")


def tilted(folder: Path) -> Path:
    """The body as a gantry tilted by 10 degrees sees it."""
    cosine = np.sqrt(1 - SINE**2)
    directions = np.array([[1, 0, 0], [0, cosine, -SINE], [0, SINE, cosine]])
    origin, step = np.array([-30.0, -28, 90]), np.array([0, 0, SPACING / cosine])
    places = np.moveaxis(np.indices((36, 30, 30))[::-1], 0, -1)
    points = origin + places[..., :2] @ (SPACING * directions[:, :2]).T + places[..., 2:] * step
    index = np.rint((points - ORIGIN) / SPACING).astype(int)
    inside = ((index >= 0) & (index < (30, 20, 24))).all(-1)
    x, y, z = np.where(inside[..., None], index, 0).transpose(3, 0, 1, 2)
    values = np.where(inside, voxels()[z, y, x], -1000).astype(np.int16)
    return write_series(folder / "case", values, axes=directions[:, :2].T.ravel(), step=step, origin=origin)


INPUTS = (
    Input(given="DICOM series, files without extension", make=series()),
    Input(given="DICOM series in a folder within", make=lambda folder: series()(folder).parent),
    Input(given="DICOM series with a DICOMDIR and a text beside it", make=then(series(), lambda f: [
        (f / name).write_bytes((f / "IM0007").read_bytes() if name == "DICOMDIR" else b"read me " * 99)
        for name in ("DICOMDIR", "readme.txt")])),
    Input(given="DICOM export of a disc: DICOMDIR, patient, study, series", make=disc()),
    Input(given="DICOM export of a disc with two series", make=disc(second_series), told="holds 2 series .*choose one with --series N"),
    Input(given="DICOM, folders within folders without end", make=disc(deep), told="holds folders more than 8 deep"),
    Input(given="DICOM, implicit little-endian", make=then(series(), each(as_syntax(ImplicitVRLittleEndian)))),
    Input(given="DICOM, big-endian", make=then(series(), each(as_syntax(ExplicitVRBigEndian)))),
    Input(given="DICOM, deflated", make=then(series(), each(as_syntax(DeflatedExplicitVRLittleEndian)))),
    Input(given="DICOM, run-length encoded", make=then(series(), each(as_syntax(RLELossless)))),
    Input(given="DICOM, JPEG lossless", make=then(series(), each(compressed("JPEG")))),
    Input(given="DICOM, JPEG 2000", make=then(series(), each(compressed("JPEG2000")))),
    Input(given="DICOM without preamble", make=then(series(), each(bare))),
    Input(given="DICOM, one file of several frames", make=enhanced, notes="how the patient lay"),
    Input(given="DICOM, a film of frames", make=film, told="frames without places"),
    Input(given="DICOM, another slope in every slice", make=series(scaled)),
    Input(given="DICOM, a slice is missing", make=series(drop=(7,)), told="lacks 1 of 24 slices, between 112.0 and 116.0 mm"),
    Input(given="DICOM, uneven slices", make=series(shifted), told="uneven slices: 2 to 3 mm apart"),
    Input(given="DICOM, a slice is there twice", make=then(series(), copied), notes="dropped 1 slices"),
    Input(given="DICOM, two slices at one place", make=then(series(), doubled), told="different slices at one position"),
    Input(given="DICOM, tilted gantry", make=tilted, notes="tilted by 10.0 degrees"),
    Input(given="DICOM, several series", make=then(series(), second_series), told="holds 2 series .*choose one with --series N"),
    Input(given="DICOM MR, water and fat, `--series 1+2`", make=dixon(SPACING), series="1+2"),
    Input(given="DICOM MR, two scans, `--series 1+2`", make=dixon(3.0), series="1+2", told="differ in size or place"),
    Input(given="DICOM CT, two series, `--series 1+2`", make=then(series(), second_series), series="1+2",
          told="are not two MR volumes"),
    Input(given="DICOM, slices of two sizes in a series", make=then(series(), lambda f: write_series(
        f / "b", voxels()[:, :9])), told="mixes slices of 2 sizes"),
    Input(given="DICOM, prone", make=having(PatientPosition="HFP"), told="lies prone: .* give --up posterior"),
    Input(given="DICOM, on the side", make=having(PatientPosition="FFDR"), told="on the right side: .* give --up left"),
    Input(given="DICOM, position not known", make=having(PatientPosition=""), notes="how the patient lay"),
    Input(given="DICOM, pixel of 0 mm", make=having(PixelSpacing=[0, 2]), told="allowed: above 0"),
    Input(given="DICOM, pixel of 900 mm", make=having(PixelSpacing=[900, 2]), told="is its unit mm?"),
    Input(given="DICOM, no spacing", make=then(series(), each(without("PixelSpacing"))), told="has no PixelSpacing"),
    Input(given="DICOM, axes not at right angles", make=having(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
          told="no pair of unit vectors"),
    Input(given="DICOM, header claims more rows", make=having(Rows=60), told="bytes of pixels .* where its header speaks of"),
    Input(given="DICOM, header claims fewer rows", make=having(Rows=10), told="bytes of pixels .* where its header speaks of"),
    Input(given="DICOM, truncated", make=then(series(), each(bytes_changed(lambda d: d[:-300]))), told="is truncated"),
    Input(given="DICOM, truncated JPEG", make=then(then(series(), each(compressed("JPEG"))), each(bytes_changed(
        lambda data: data[:-60]))), told="damaged or truncated"),
    Input(given="DICOM without pixels", make=then(series(), each(without("PixelData"))), told="has no pixels"),
    Input(given="DICOM, colour", make=having(SamplesPerPixel=3), told="export it in greyscale"),
    Input(given="DICOM, a palette of colours", make=having(PhotometricInterpretation="PALETTE COLOR"), told="no grey values"),
    Input(given="DICOM, inverted CT numbers", make=having(PhotometricInterpretation="MONOCHROME1"), told="MONOCHROME2"),
    Input(given="DICOM, one slice of a series", make=one_slice, told="give the folder with all of its slices"),
    Input(given="DICOM, a report", make=then(series(), each(without("Rows", "PixelData"))), told="holds no DICOM image"),
    Input(given="DICOM header of garbage", make=then(series(), each(bytes_changed(lambda d: d[:132] + b"\7" * 900))),
          told="damaged or truncated"),
    Input(given="DICOM radiograph", make=radiograph(ImagerPixelSpacing=[0.2, 0.2]), notes="magnified"),
    Input(given="DICOM radiograph, small values bright", make=radiograph(PhotometricInterpretation="MONOCHROME1")),
    Input(given="DICOM radiograph, 12 bits, JPEG lossless", make=then(
        radiograph(BitsStored=12, HighBit=11), compressed("JPEG"))),
)  # fmt: skip
