"""DICOM files as scanners write them, for tests: series, several frames in one file, radiographs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

Change = Callable[[int, Dataset], None]
AXIAL = (1.0, 0, 0, 0, 1, 0)


def dataset(pixels: NDArray[np.integer], storage: str = CTImageStorage, **attributes: object) -> Dataset:
    """One greyscale image, (H, W) or (frames, H, W), 16 bits a pixel, with pixels and nothing else but `attributes`."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = storage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.826.0.1", "1.2.826.0.1.1"
    made.Rows, made.Columns = pixels.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, int(np.issubdtype(pixels.dtype, np.signedinteger))
    made.PixelData = pixels.astype("<i2" if made.PixelRepresentation else "<u2").tobytes()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def save(made: Dataset, path: Path) -> Path:
    """The path, written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    voxels: NDArray[np.integer],
    *,
    axes: Sequence[float] = AXIAL,
    step: Sequence[float] = (0.0, 0, 3),
    origin: Sequence[float] = (0.0, 0, 0),
    spacing: tuple[float, float] = (2.0, 2.0),
    drop: Sequence[int] = (),
    change: Change = lambda k, made: None,
) -> Path:
    """The folder, with a CT series of `voxels` (slices, rows, columns) at `step` from each other.

    spacing: (down, across); change: applied to each slice before it is written. Files are numbered backwards.
    """
    for k, pixels in enumerate(voxels):
        if k in drop:
            continue
        made = dataset(pixels, Modality="CT", InstanceNumber=k + 1, PatientPosition="HFS")
        made.ImageOrientationPatient = [float(v) for v in axes]
        made.ImagePositionPatient = [float(f"{o + k * s:.6g}") for o, s in zip(origin, step, strict=True)]
        made.PixelSpacing = list(spacing)
        made.RescaleSlope, made.RescaleIntercept = 1, 0
        change(k, made)
        save(made, folder / f"IM{len(voxels) - k:04d}")
    return folder


def write_enhanced(path: Path, voxels: NDArray[np.integer], *, order: Sequence[int], slopes: Sequence[float]) -> Path:
    """The path, with an enhanced CT: frame i shows slice order[i] at 3 mm steps, its values times slopes[i] less 10."""
    made = dataset(voxels[list(order)], EnhancedCTImageStorage, Modality="CT", NumberOfFrames=len(order))
    shared, plane, measures = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing = [2.0, 2.0]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [plane], [measures]
    made.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for k, slope in zip(order, slopes, strict=True):
        frame, place, values = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0.0, 0.0, 3.0 * k]
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, -10.0, "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [values]
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = frames
    return save(made, path)


def write_radiograph(path: Path, pixels: NDArray[np.integer], **attributes: object) -> Path:
    """The path, with a computed radiograph."""
    made = dataset(pixels, ComputedRadiographyImageStorage, Modality="CR", SeriesInstanceUID=generate_uid())
    for name, value in attributes.items():
        setattr(made, name, value)
    return save(made, path)
