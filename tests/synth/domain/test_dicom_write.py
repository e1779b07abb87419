"""Written DICOM series: every reader finds the same voxels in the same places, and nobody's name."""

import hashlib
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import UID

from synth.domain.dicom_write import write_series
from synth.domain.export import Export
from synth.domain.projection import Volume
from synth.domain.volume import read

CT = Export(modality="ct", number=7, source="test/1/0007")
WAYS = [
    CT,
    replace(CT, modality="mr"),
    replace(CT, position="FFS"),
    replace(CT, deflated=True),
    replace(CT, plane="sagittal"),
    replace(CT, plane="coronal", position="FFS"),
]


def scan(seed=1):
    """A volume without symmetry, of other counts and spacings along each axis."""
    rng = np.random.default_rng([8, seed])
    voxels = rng.integers(0, 3072, (6, 9, 7)).astype(np.int16)
    affine = np.column_stack([np.diag([0.8, 1.1, 2.5]), [-13.7, 1 / 3, 101.5]])
    return Volume(voxels=voxels, index_to_patient=affine)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_our_reader_finds_the_same_voxels_in_the_same_places(tmp_path, way):
    volume = scan()
    write_series(volume, tmp_path / "case", way)
    found = read(tmp_path / "case")
    np.testing.assert_array_equal(found.voxels, volume.voxels)
    np.testing.assert_allclose(found.index_to_patient, volume.index_to_patient, atol=1e-9)
    assert not found.notes  # nothing was mended or assumed


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_simpleitk_finds_each_voxel_where_it_was(tmp_path, way):
    volume = scan()
    write_series(volume, tmp_path / "case", way)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "case")))
    image = reader.Execute()
    for index in ((0, 0, 0), (6, 8, 5), (3, 1, 4)):
        place = volume.index_to_patient[:, :3] @ index + volume.index_to_patient[:, 3]
        there = image.TransformPhysicalPointToIndex([float(v) for v in place])
        assert image.GetPixel(there) == volume.voxels[index[::-1]]


def test_an_oblique_series_turns_about_the_patients_origin(tmp_path):
    turn, tilt = np.deg2rad(20), np.deg2rad(-11)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    volume, rotation = scan(), about_z @ about_x
    write_series(volume, tmp_path / "case", replace(CT, rotation=rotation))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "case")))
    image = reader.Execute()
    place = rotation @ (volume.index_to_patient[:, :3] @ (3, 1, 4) + volume.index_to_patient[:, 3])
    assert image.GetPixel(image.TransformPhysicalPointToIndex(place.tolist())) == volume.voxels[4, 1, 3]
    assert read(tmp_path / "case").voxels.size > volume.voxels.size  # straightened


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_headers_hold_valid_values_and_nobodys_identity(tmp_path, way):
    write_series(scan(), tmp_path / "case", way)
    files = sorted((tmp_path / "case").iterdir())
    headers = [pydicom.dcmread(file) for file in files]
    for k, header in enumerate(headers):
        for element in header.iterall():
            pydicom.dataelem.DataElement(element.tag, element.VR, element.value, validation_mode=pydicom.config.RAISE)
        assert (header.PatientName, header.PatientID) == ("Phantom^0007", "PHANTOM-0007")
        assert not header.PatientBirthDate and not header.StudyDate
        assert header.InstanceNumber == k + 1
        assert (header.Modality, header.PatientPosition) == (way.modality.upper(), way.position)
        assert header.SliceThickness == pytest.approx({"axial": 2.5, "sagittal": 0.8, "coronal": 1.1}[way.plane])
    uids = {UID(header.SOPInstanceUID) for header in headers}
    assert len(uids) == len(files) and all(uid.is_valid and uid.startswith("2.25.") for uid in uids)
    assert len({header.SeriesInstanceUID for header in headers}) == 1


def test_the_same_series_has_the_same_bytes_and_another_case_other_uids(tmp_path):
    for name, way in (("one", CT), ("again", CT), ("other", replace(CT, source="test/1/0008"))):
        write_series(scan(), tmp_path / name, way)
    one, again, other = (
        [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((tmp_path / name).iterdir())]
        for name in ("one", "again", "other")
    )
    assert one == again
    assert not set(one) & set(other)


def test_padding_is_declared_where_there_is_some(tmp_path):
    volume = scan()
    volume.voxels[:, :2] = -2000
    write_series(volume, tmp_path / "case", CT)
    header = pydicom.dcmread(tmp_path / "case" / "IM0001.dcm")
    assert header.PixelPaddingValue * header.RescaleSlope + header.RescaleIntercept == -2000
    np.testing.assert_array_equal(read(tmp_path / "case").voxels, volume.voxels)
    write_series(scan(), tmp_path / "full", CT)
    assert "PixelPaddingValue" not in pydicom.dcmread(tmp_path / "full" / "IM0001.dcm")


def test_a_folder_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    saved = pydicom.dataset.Dataset.save_as

    def stop(self, path, **options):
        if str(path).endswith("IM0004.dcm"):
            raise OSError("no space left")
        saved(self, path, **options)

    monkeypatch.setattr(pydicom.dataset.Dataset, "save_as", stop)
    with pytest.raises(OSError, match="space"):
        write_series(scan(), tmp_path / "case", CT)
    assert not [item for item in tmp_path.iterdir() if item.name[0] != "."]
    monkeypatch.undo()
    write_series(scan(), tmp_path / "case", CT)
    assert [item.name for item in tmp_path.iterdir()] == ["case"]
    assert len(list((tmp_path / "case").iterdir())) == 6


def test_other_voxels_than_int16_are_refused(tmp_path):
    volume = replace(scan(), voxels=scan().voxels.astype(np.float32))
    with pytest.raises(ValueError, match="allowed: int16"):
        write_series(volume, tmp_path / "case", CT)
