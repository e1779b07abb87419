"""A structured report says where the landmarks are, of which patient and images, and to its owner alone."""

import math

import numpy as np
import pytest
from highdicom.sr import srread
from pydicom import dcmread
from pydicom.uid import generate_uid

from synth.domain.structured_report import ReportedPoint, write_structured_report
from tests.dicoms import write_series

POINTS = (
    ReportedPoint(name="left_middle_fingertip", patient_mm=(12.3456, -78.9, 1234.5678), radius90_mm=7.25),
    ReportedPoint(name="head_top", patient_mm=(-0.125, 3.0, -900.0), radius90_mm=math.nan),
)
HOSTILE = "=HYPERLINK(1)<script>^x"


def series_of(folder, **attributes):
    frame = generate_uid()
    given = {"PatientID": "4711", "PatientName": HOSTILE, "FrameOfReferenceUID": frame, "Modality": "CT"} | attributes

    def change(_, made):
        for name, value in given.items():
            setattr(made, name, value)

    return write_series(folder, np.zeros((4, 8, 8), np.int16), change=change)


def reported(tmp_path, points=POINTS):
    path = tmp_path / "report.dcm"
    write_structured_report(path, series_of(tmp_path / "series"), points, version="0.1.0")
    return path, dcmread(path)


def test_points_and_radii_come_back_in_the_frame_of_reference_of_the_series(tmp_path):
    path, _ = reported(tmp_path)
    frame = dcmread(next((tmp_path / "series").iterdir())).FrameOfReferenceUID
    groups = srread(path).content.get_planar_roi_measurement_groups()
    for group, point in zip(groups, POINTS, strict=True):
        assert group.tracking_identifier == group.finding_type.value == point.name
        assert (group.roi.graphic_type.value, group.roi.frame_of_reference_uid) == ("POINT", frame)
        np.testing.assert_allclose(group.roi.value[0], point.patient_mm, atol=1e-3)
        radii = [(measured.value, measured.unit.value) for measured in group.get_measurements()]
        assert radii == ([(point.radius90_mm, "mm")] if math.isfinite(point.radius90_mm) else [])


def test_it_is_filed_with_its_patient_and_refers_to_every_slice(tmp_path):
    _, report = reported(tmp_path)
    slices = [dcmread(file) for file in (tmp_path / "series").iterdir()]
    assert (report.PatientID, str(report.PatientName), report.StudyInstanceUID) == ("4711", HOSTILE, "1.2.826.0.1")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    known = {item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence}
    assert known == {one.SOPInstanceUID for one in slices} and len(known) == 4
    assert report.VerificationFlag == "UNVERIFIED" and report.Modality == "SR"


def test_only_its_owner_may_read_it_also_where_a_file_was_open_to_all(tmp_path):
    (tmp_path / "report.dcm").touch(mode=0o644)
    path, _ = reported(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_filed_is_refused_in_one_line(tmp_path):
    nowhere = series_of(tmp_path / "nowhere", FrameOfReferenceUID="")
    with pytest.raises(ValueError, match="has no FrameOfReferenceUID; without it"):
        write_structured_report(tmp_path / "x.dcm", nowhere, POINTS, version="0.1.0")
    nobody = series_of(tmp_path / "nobody", PatientID="")
    with pytest.raises(ValueError, match="has no PatientID"):
        write_structured_report(tmp_path / "x.dcm", nobody, POINTS, version="0.1.0")
    with pytest.raises(ValueError, match="nothing to report"):
        write_structured_report(tmp_path / "x.dcm", nobody, (), version="0.1.0")
    assert not (tmp_path / "x.dcm").exists()
