"""Values taken straight from the files are those that SimpleITK decodes, of the same type, or it decodes them."""

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import MRImageStorage

from synth.domain.dicom import read_series
from synth.domain.plain_slices import plain_voxels
from synth.domain.reader import Reader
from synth.domain.shared import Shared, stacked
from synth.domain.volume import read
from tests.dicoms import write_series
from tests.synth.domain.test_dicom_elements import implicit


def words(signed):
    return (
        np.random.default_rng([8, 1]).integers(0, 1 << 16, (4, 5, 6), np.uint16).view(np.int16 if signed else np.uint16)
    )


def series(folder, voxels, **attributes):
    def change(k, made):
        for name, value in attributes.items():
            setattr(made, name, value)

    return write_series(folder, voxels, change=change)


def decoded(folder):
    """The array as SimpleITK has it; files are numbered backwards."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in sorted(folder.iterdir(), reverse=True)])
    return sitk.GetArrayFromImage(reader.Execute())


def plain(folder, make=stacked):
    stack = read_series(folder).stack
    return plain_voxels(stack, make)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [9, 12, 15, 16])
@pytest.mark.parametrize("intercept", [0, -1, -1024, -32768, -40000])
def test_values_and_types_are_those_of_simpleitk(tmp_path, signed, bits, intercept):
    folder = series(tmp_path, words(signed), BitsStored=bits, HighBit=bits - 1, RescaleIntercept=intercept)
    found, wanted = plain(folder), decoded(folder)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(read(folder).voxels, wanted)


def test_a_raised_unsigned_series_stays_unsigned(tmp_path):
    folder = series(tmp_path, words(False), BitsStored=12, HighBit=11, RescaleIntercept=1000)
    assert plain(folder).dtype == np.uint16
    np.testing.assert_array_equal(plain(folder), decoded(folder))


def test_implicit_files_are_plain_too(tmp_path):
    folder = series(tmp_path, words(True))
    wanted = decoded(folder)
    for file in folder.iterdir():
        implicit(file)
    np.testing.assert_array_equal(plain(folder), wanted)


@pytest.mark.parametrize(
    "attributes",
    [
        {"RescaleSlope": 2},
        {"RescaleIntercept": 0.5},
        {"BitsStored": 8, "HighBit": 7},
        {"BitsStored": 12, "HighBit": 15},
        {"RescaleIntercept": 40000, "BitsStored": 15, "HighBit": 14, "PixelRepresentation": 0},  # uint32 in SimpleITK
        {"SOPClassUID": MRImageStorage},
        {"Modality": "MR", "PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_what_is_not_plain_is_left_to_simpleitk(tmp_path, attributes):
    folder = series(tmp_path, words(True), **attributes)
    assert plain(folder) is None
    np.testing.assert_array_equal(read(folder).voxels, decoded(folder))


def test_slices_that_are_stored_in_different_ways_are_left_to_simpleitk(tmp_path):
    folder = write_series(tmp_path, words(True), change=lambda k, made: setattr(made, "RescaleIntercept", -k))
    assert plain(folder) is None


def test_a_file_that_lost_its_end_meanwhile_is_told(tmp_path):
    folder = series(tmp_path, words(True))
    stack = read_series(folder).stack
    (folder / "IM0002").write_bytes((folder / "IM0002").read_bytes()[:-1])
    with pytest.raises(ValueError, match="is truncated: IM0002 ends within its pixels"):
        plain_voxels(stack, stacked)


def test_shared_memory_holds_one_scan_after_another_without_changing_what_was_given(tmp_path):
    folder = series(tmp_path, words(True))
    with Shared() as shared:
        one = plain(folder, shared.stacked)
        shared.hold(one)
        np.testing.assert_array_equal(np.fromfile(f"/proc/self/fd/{shared.descriptor}", np.int16), one.ravel())
        shared.hold(one[::-1] + 1)
        np.testing.assert_array_equal(
            np.fromfile(f"/proc/self/fd/{shared.descriptor}", np.int16), (one[::-1] + 1).ravel()
        )
        np.testing.assert_array_equal(one, words(True))


def test_a_child_gives_the_same(tmp_path):
    folder = series(tmp_path, words(False), BitsStored=12, HighBit=11, RescaleIntercept=-1024)
    with Reader() as reader:
        found, wanted = reader.read(folder), read(folder)
    assert found.voxels.dtype == wanted.voxels.dtype == np.int16
    np.testing.assert_array_equal(found.voxels, wanted.voxels)
    np.testing.assert_array_equal(found.index_to_patient, wanted.index_to_patient)
