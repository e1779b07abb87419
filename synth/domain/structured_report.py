"""Landmarks of a DICOM series as a DICOM structured report: TID 1500, a point in the patient (SCOORD3D) for each.

A report must name the patient to be filed: it copies patient and study from the series, and so it leaves only on
request, for its owner alone to read. Points and radii are coded in a scheme of our own: no code of SNOMED CT says them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from highdicom import UID
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    ImageRegion3D,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from synth.domain.dicom import read_series

SCHEME = "99SYNTHMARK"
SERIES_NUMBER = 9001
NEEDED = ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")
COPIED = ("PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
          "ReferringPhysicianName")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ReportedPoint:
    """A landmark of a report. patient_mm: (x, y, z) LPS; radius90_mm: conformal radius in the image plane, NaN: none"""

    name: str
    patient_mm: tuple[float, float, float]
    radius90_mm: float


def write_structured_report(
    path: Path, series: Path, points: Sequence[ReportedPoint], *, version: str, wanted: str | None = None
) -> None:
    """Write the report of a series' landmarks, readable by its owner alone.

    series: a folder with its slices, or a file; wanted: which one of several, see dicom.read_series
    version: of the algorithm, e.g. of the package and the model's weights
    Raises: ValueError without points, and for a series that does not say whose it is or where it lies.
    """
    if not points:
        raise ValueError("no landmark was placed, so there is nothing to report")
    headers = [_header(file) for file in read_series(series, wanted).files]
    frames = {str(header.FrameOfReferenceUID) for header in headers}
    if len(frames) != 1:
        raise ValueError(f"DICOM series {series} has {len(frames)} frames of reference; a report needs one")
    report = Comprehensive3DSR(
        evidence=headers,
        content=_content(points, frames.pop(), version),
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer="synthmark",
        is_complete=True,
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)  # a file that was there keeps its mode
        report.save_as(stream, enforce_file_format=True)


def _header(file: Path) -> Dataset:
    """A slice's header with what a report needs of it; what may be empty is."""
    header = pydicom.dcmread(file, stop_before_pixels=True)
    if missing := [name for name in NEEDED if not header.get(name)]:
        raise ValueError(f"DICOM file {file} has no {', '.join(missing)}; without it a report cannot be filed")
    for name in COPIED:
        if name not in header:
            setattr(header, name, "")
    return header


def _content(points: Sequence[ReportedPoint], frame_of_reference: str, version: str) -> MeasurementReport:
    algorithm = AlgorithmIdentification(name="synthmark", version=version)
    device = DeviceObserverIdentifyingAttributes(uid=UID(), name="synthmark", manufacturer_name="synthmark")
    observer = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=[_group(point, frame_of_reference, algorithm) for point in points],
    )


def _group(
    point: ReportedPoint, frame_of_reference: str, algorithm: AlgorithmIdentification
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """TID 1410 of one landmark."""
    radius = CodedConcept("radius90", SCHEME, "In-plane radius that holds the landmark with probability 0.9")
    known = np.isfinite(point.radius90_mm)
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=UID(), identifier=point.name),
        referenced_region=ImageRegion3D("POINT", np.array([point.patient_mm], np.float64), frame_of_reference),
        finding_type=CodedConcept(point.name, SCHEME, point.name.replace("_", " ")),
        algorithm_id=algorithm,
        measurements=[Measurement(radius, round(float(point.radius90_mm), 3), codes.UCUM.Millimeter)] if known else [],
    )
