"""Writes a volume as a DICOM series of one slice a file, as a scanner exports it, of a patient who never lived.

Its names are plainly made up (Phantom^0007), it has no dates, and its UIDs are hashes of what it was made from: the
same series has the same bytes each time.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
)
from pydicom.valuerep import DSfloat

from synth.domain.export import Export, Plane, Position
from synth.domain.patch import Matrix
from synth.domain.projection import Volume

INTERCEPT = -1024  # of CT: what is stored is never below 0, but for padding
AIR_HU = -1024  # values below are padding
# Patient axes (0 x, 1 y, 2 z) along a row, down a column and across the slices, and whether each runs backwards.
_AXES: dict[tuple[Plane, Position], tuple[tuple[int, int, int], tuple[bool, bool, bool]]] = {
    ("axial", "HFS"): ((0, 1, 2), (False, False, False)),
    ("axial", "FFS"): ((0, 1, 2), (True, False, True)),
    ("sagittal", "HFS"): ((1, 2, 0), (False, True, False)),
    ("sagittal", "FFS"): ((1, 2, 0), (False, True, False)),
    ("coronal", "HFS"): ((0, 2, 1), (False, True, False)),
    ("coronal", "FFS"): ((0, 2, 1), (False, True, False)),
}


def write_series(volume: Volume, folder: Path, export: Export) -> None:
    """Write the slices of an int16 volume as IM0001.dcm, … into a new folder, which appears when it is whole.

    Raises: ValueError for voxels that are no int16.
    """
    if volume.voxels.dtype != np.int16:
        raise ValueError(f"DICOM series {folder} would hold {volume.voxels.dtype} voxels; allowed: int16")
    temporary = folder.with_name(f".tmp.{folder.name}")  # hidden: no reader takes it for a series
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was stopped
    temporary.mkdir(parents=True)
    shared = _shared(volume, export)
    slices, origins, axes, spacing = _slices(volume, export)
    for k, (pixels, origin) in enumerate(zip(slices, origins, strict=True)):
        made = _slice(shared, pixels, export, k)
        made.ImagePositionPatient = _numbers(origin)
        made.ImageOrientationPatient = _numbers(axes[:, :2].T.ravel())
        made.PixelSpacing = _numbers([spacing[1], spacing[0]])
        made.SliceThickness = _numbers(spacing[2:])[0]
        made.SpacingBetweenSlices = made.SliceThickness
        made.save_as(temporary / f"IM{k + 1:04d}.dcm", enforce_file_format=True)
    temporary.rename(folder)


def _slices(
    volume: Volume, export: Export
) -> tuple[NDArray[np.int16], NDArray[np.float64], Matrix, NDArray[np.float64]]:
    """(slices (N, rows, columns), (N, 3) mm of their first pixels, (3, 3) columns: axes along row, column and slices,
    (3,) spacing along these)."""
    order, backwards = (list(part) for part in _AXES[export.plane, export.position])
    counts, signs = np.array(volume.voxels.shape[::-1])[order], np.where(backwards, -1, 1)
    voxels = volume.voxels.astype(np.int16, copy=False).transpose([2 - axis for axis in order[::-1]])
    voxels = voxels[:: signs[2], :: signs[1], :: signs[0]]
    index = np.zeros((len(voxels), 3))  # of each slice's first pixel in the volume
    index[:, order] = np.where(backwards, counts - 1, 0)
    index[:, order[2]] += signs[2] * np.arange(len(voxels))
    rotation = np.eye(3) if export.rotation is None else export.rotation
    origins = index @ volume.index_to_patient[:, :3].T + volume.index_to_patient[:, 3]
    return voxels, origins @ rotation.T, rotation @ (np.eye(3)[:, order] * signs), np.array(volume.spacing_mm)[order]


def _shared(volume: Volume, export: Export) -> Dataset:
    """What all slices of the series have in common."""
    made = Dataset()
    made.SOPClassUID = CTImageStorage if export.modality == "ct" else MRImageStorage
    made.Modality = export.modality.upper()
    made.PatientName, made.PatientID = f"Phantom^{export.number:04d}", f"PHANTOM-{export.number:04d}"
    made.PatientBirthDate, made.PatientSex, made.ReferringPhysicianName = "", "", ""
    made.QualityControlSubject = "YES"
    made.PatientIdentityRemoved, made.DeidentificationMethod = "YES", "Virtual patient; nobody was scanned"
    made.StudyDate, made.StudyTime, made.AccessionNumber, made.Laterality = "", "", "", ""
    made.StudyInstanceUID, made.SeriesInstanceUID = UID(export.uid("study")), UID(export.uid("series"))
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = export.uid("frame"), ""
    made.StudyID, made.SeriesNumber, made.AcquisitionNumber = "1", 1, 1
    made.PatientPosition, made.Manufacturer = export.position, "synthmark"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.PixelRepresentation = 1
    if export.modality == "ct":
        made.RescaleIntercept, made.RescaleSlope, made.RescaleType, made.KVP = INTERCEPT, 1, "HU", ""
        if (least := int(volume.voxels.min())) < AIR_HU:
            made.PixelPaddingValue = least - INTERCEPT
    else:
        made.ScanningSequence, made.SequenceVariant, made.ScanOptions, made.MRAcquisitionType = "GR", "NONE", "", "3D"
        made.RepetitionTime, made.EchoTime, made.EchoTrainLength = "", "", ""
    return made


def _slice(shared: Dataset, pixels: NDArray[np.int16], export: Export, k: int) -> Dataset:
    """Slice k of the series, but for its place."""
    made = Dataset(shared)
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.SOPInstanceUID = UID(export.uid(f"slice {k}"))
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian if export.deflated else ExplicitVRLittleEndian
    made.InstanceNumber = k + 1
    if export.modality == "mr":
        made.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    elif export.plane == "axial" and export.rotation is None:
        made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    else:
        made.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]  # as scanners call what they reformat
    made.Rows, made.Columns = pixels.shape
    stored = pixels - np.int16(INTERCEPT) if export.modality == "ct" else pixels
    made.PixelData = np.ascontiguousarray(stored).astype("<i2").tobytes()
    return made


def _numbers(values: NDArray[np.float64] | list[np.float64]) -> list[DSfloat]:
    """Numbers as DICOM's decimal strings, as exact as their 16 characters allow."""
    return [DSfloat(float(value), auto_format=True) for value in values]
