"""Reading and writing images: every storage of a body gives the same volume; damaged files are refused."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from synth.domain.cases import case_name
from synth.domain.patch import apply_affine
from synth.domain.projection import Volume, project
from synth.domain.radiograph import Image
from synth.domain.volume import read, write_image, write_volume


@pytest.fixture
def volume():
    """A lopsided body, so that every flip and permutation shows."""
    voxels = np.full((24, 20, 30), -1000, np.int16)
    voxels[4:20, 6:14, 8:22] = 40
    voxels[16:20, 6:9, 22:28] = 60
    affine = np.column_stack([np.diag([2.0, 2.5, 3.0]), [-31.0, 12.0, 105.0]])
    return Volume(voxels=voxels, index_to_patient=affine)


def as_itk(volume):
    image = sitk.GetImageFromArray(volume.voxels)
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.index_to_patient[:, 3].tolist())
    return image


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_volume_round_trip(volume, tmp_path, suffix):
    path = tmp_path / f"case{suffix}"
    write_volume(volume, path)
    back = read(path)
    assert isinstance(back, Volume)
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    np.testing.assert_allclose(back.index_to_patient, volume.index_to_patient, atol=1e-4)
    assert back.voxels.dtype == np.int16


@pytest.mark.parametrize("storage", ["LPS", "RAS", "LIP", "PIR", "ASL", "SAR", "IPL"])
def test_any_storage_order_gives_the_same_projection(volume, tmp_path, storage):
    path = tmp_path / "case.nii.gz"
    sitk.WriteImage(sitk.DICOMOrient(as_itk(volume), storage), str(path))
    want, got = project(volume), project(read(path))
    np.testing.assert_array_equal(got.silhouette, want.silhouette)
    np.testing.assert_allclose(got.depth_mm, want.depth_mm, atol=1e-3)
    np.testing.assert_allclose(got.to_patient, want.to_patient, atol=1e-3)


def test_oblique_volume_is_resampled_to_where_it_lies(volume, tmp_path):
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    image = as_itk(volume)
    image.SetDirection(turn.ravel().tolist())
    path = tmp_path / "oblique.nii"
    sitk.WriteImage(image, str(path))
    back = read(path)
    tissue = np.argwhere(back.voxels > -400)[:, ::-1].astype(float)
    centre = apply_affine(back.index_to_patient, tissue).mean(0)
    inside = np.argwhere(volume.voxels > -400)[:, ::-1] * np.array(volume.spacing_mm)
    want = (inside @ turn.T).mean(0) + volume.index_to_patient[:, 3]
    np.testing.assert_allclose(centre, want, atol=0.6)
    assert back.voxels.min() == -1000


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("keep", [0.1, 0.6, 0.98])
def test_truncated_volume_is_refused(volume, tmp_path, suffix, keep):
    rng = np.random.default_rng([3, 1])
    noisy = Volume(
        voxels=rng.integers(-1000, 1000, (24, 20, 30), np.int16), index_to_patient=volume.index_to_patient
    )  # noise does not compress, so cutting the file cuts the data
    path = tmp_path / f"case{suffix}"
    write_volume(noisy, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ValueError, match=r"truncated|cannot be read") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".png"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_truncated_compressed_data_is_refused(tmp_path, suffix, keep):
    rng = np.random.default_rng([3, 2])
    shape = (60, 50) if suffix == ".png" else (20, 30, 40)
    path = tmp_path / f"case{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(rng.integers(0, 255, shape, np.uint8)), str(path), useCompression=True)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ValueError, match=r"truncated|cannot be read"):
        read(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_last_voxel_of_an_odd_number_is_looked_at_too(tmp_path, suffix):
    voxels = np.zeros((3, 3, 3), np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / f"whole{suffix}"))
    read(tmp_path / f"whole{suffix}")
    voxels[-1, -1, -1] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / f"last{suffix}"))
    with pytest.raises(ValueError, match="NaN"):
        read(tmp_path / f"last{suffix}")


def test_header_that_claims_too_much_is_refused_before_reading(tmp_path):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 2000, 2000, 2000, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(ValueError, match="claims 2000 x 2000 x 2000"):
        read(path)
    struct.pack_into("<8h", header, 40, 3, 500, 500, 500, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(ValueError, match="truncated"):
        read(path)


def test_gzip_of_several_members_is_read(volume, tmp_path):
    path = tmp_path / "case.nii"
    write_volume(volume, path)
    data = path.read_bytes()
    packed = tmp_path / "case.nii.gz"
    packed.write_bytes(gzip.compress(data[:5000]) + gzip.compress(data[5000:]))
    np.testing.assert_array_equal(read(packed).voxels, volume.voxels)


def test_png_has_no_spacing_unless_given(tmp_path):
    pixels = np.arange(600, dtype=np.uint8).reshape(20, 30)
    write_image(pixels, tmp_path / "a.png", spacing_mm=(0.3, 0.3))
    image = read(tmp_path / "a.png")
    assert isinstance(image, Image) and image.spacing_mm is None
    np.testing.assert_array_equal(image.pixels, pixels)
    np.testing.assert_allclose(apply_affine(image.to_viewer, np.array([[0.5, 0.5]])), [[0, 0]])
    assert read(tmp_path / "a.png", spacing_mm=0.25).spacing_mm == (0.25, 0.25)


def test_mha_image_keeps_its_geometry(tmp_path):
    image = sitk.GetImageFromArray(np.arange(600, dtype=np.uint16).reshape(20, 30))
    image.SetSpacing((0.5, 0.5))
    image.SetOrigin((7.0, -3.0))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    back = read(tmp_path / "a.mha")
    assert back.spacing_mm == (0.5, 0.5)
    np.testing.assert_allclose(apply_affine(back.to_viewer, np.array([[2.5, 4.5]])), [[8.0, -1.0]])


def test_header_with_data_beside_it_is_read_and_checked(tmp_path, volume):
    sitk.WriteImage(as_itk(volume), str(tmp_path / "case.mhd"))
    np.testing.assert_array_equal(read(tmp_path / "case.mhd").voxels, volume.voxels)
    (tmp_path / "case.raw").write_bytes((tmp_path / "case.raw").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"truncated|cannot be read"):
        read(tmp_path / "case.mhd")


def _bad(kind, folder):
    path = folder / "bad.mha"
    if kind == "colour":
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 9, 3), np.uint8), isVector=True), str(path))
    elif kind == "4D":
        path = folder / "bad.nii.gz"
        sitk.WriteImage(sitk.JoinSeries([sitk.Image(4, 4, 4, sitk.sitkUInt8)] * 3), str(path))
    elif kind == "flat":
        sitk.WriteImage(sitk.Image(9, 9, 1, sitk.sitkUInt8), str(path))
    elif kind == "nan":
        voxels = np.zeros((4, 4, 4), np.float32)
        voxels[1, 2, 3] = np.nan
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    elif kind == "empty":
        path = folder / "bad.nii.gz"
        path.write_bytes(b"")
    elif kind == "text":
        path = folder / "bad.png"
        path.write_text("not an image")
    elif kind == "extension":
        path = folder / "bad.tiff"
        path.write_text("")
    elif kind == "folder":
        path = folder
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist"),
        ("colour", "greyscale"),
        ("4D", "4 dimensions"),
        ("flat", "at least 2"),
        ("nan", "NaN"),
        ("empty", "bad.nii.gz"),
        ("text", "cannot be read"),
        ("extension", "allowed"),
        ("folder", "holds no DICOM image"),
    ],
)
def test_what_is_not_one_greyscale_image_is_one_clear_line(tmp_path, kind, words, capfd):
    with pytest.raises(ValueError, match=words) as caught:
        read(_bad(kind, tmp_path))
    assert "\n" not in str(caught.value)


def test_failed_write_leaves_nothing(tmp_path, volume):
    with pytest.raises(ValueError, match="cannot write"):
        write_volume(volume, tmp_path / "missing" / "case.nii.gz")
    with pytest.raises(ValueError, match="cannot write"):
        write_volume(volume, tmp_path / "case.unknown")
    with pytest.raises(ValueError, match=r"write \.mha"):
        write_volume(volume, tmp_path / "case.mhd")
    assert list(tmp_path.iterdir()) == []


def _series(folder, volume, drop=()):
    image = sitk.Cast(as_itk(volume), sitk.sitkInt16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(image.GetSize()[2]):
        if k in drop:
            continue
        part = image[:, :, k]
        position = "\\".join(f"{v:g}" for v in image.TransformIndexToPhysicalPoint((0, 0, k)))
        for key, value in {
            "0008|0060": "CT", "0020|000e": "1.2.3.4", "0020|000d": "1.2.3", "0008|0018": f"1.2.3.4.{k + 1}",
            "0020|0032": position, "0020|0037": "1\\0\\0\\0\\1\\0", "0020|0013": str(k), "0018|0050": "3",
        }.items():  # fmt: skip
            part.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{k:03d}.dcm"))
        writer.Execute(part)


def test_dicom_series_is_read_and_a_missing_slice_is_noticed(tmp_path, volume):
    whole, holed = tmp_path / "whole", tmp_path / "holed"
    whole.mkdir()
    holed.mkdir()
    _series(whole, volume)
    back = read(whole)
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    np.testing.assert_allclose(back.index_to_patient, volume.index_to_patient, atol=1e-3)
    _series(holed, volume, drop=(9,))
    with pytest.raises(ValueError, match="lacks 1 of 24 slices"):
        read(holed)


@pytest.mark.parametrize(
    ("name", "case"), [("a.nii.gz", "a"), ("b.1.mha", "b.1"), ("C.NII", "C"), ("d.png", "d"), ("folder", "folder")]
)
def test_case_is_named_after_its_file_without_extensions(tmp_path, name, case):
    assert case_name(tmp_path / name) == case
