"""DICOM: however a body was scanned and exported, it gives the same silhouette, or one line says why it cannot."""

import re

import numpy as np
import pytest
from pydicom.uid import generate_uid
from scipy import ndimage

from synth.domain.cases import case_name
from synth.domain.dicom import subject_key
from synth.domain.projection import Volume, project
from synth.domain.radiograph import Image
from synth.domain.volume import read
from tests.dicoms import dataset, save, write_enhanced, write_radiograph, write_series

LOW, HIGH = np.array([-60.0, -40, 0]), np.array([60.0, 40, 120])  # mm, LPS
ACQUISITIONS = {  # along a row, down a column, from slice to slice
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "feet first": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "from above": ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


def body(points):
    """CT numbers of a lopsided body at points (…, 3) in mm: a trunk, an arm to the left, a foot at the lower right."""
    x, y, z = np.moveaxis(points, -1, 0)
    trunk = 20 * (1 - np.sqrt((x / 32) ** 2 + (y / 20) ** 2 + ((z - 70) / 45) ** 2))
    arm = np.minimum(9 - np.hypot(y, z - 85), np.minimum(x, 52 - x))
    foot = np.minimum(9 - np.hypot(x + 18, y + 8), np.minimum(z - 4, 50 - z))
    inside_mm = np.maximum(trunk, np.maximum(arm, foot))
    return np.rint(-480 + 520 * np.clip(inside_mm / 2, -1, 1)).astype(np.int16)  # partial volume over 4 mm


def acquire(folder, axes, *, spacing=2.0, step=None, **options):
    """A series of the body: axes as unit vectors along row, column and normal; `step` between slices where tilted."""
    directions = np.array(axes, float).T
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (HIGH - LOW) + LOW
    inside = corners @ directions
    counts = np.ceil((inside.max(0) - inside.min(0)) / spacing).astype(int) + 1
    start = directions @ inside.min(0)
    steps = directions * spacing
    if step is not None:
        steps[:, 2] = step
    grid = np.moveaxis(np.indices(counts[::-1])[::-1], 0, -1)
    voxels = body(start + grid @ steps.T)
    return write_series(
        folder, voxels, axes=np.ravel(axes[:2]), step=steps[:, 2], origin=start, spacing=(spacing, spacing), **options
    )


def silhouette(volume):
    """(rows, cols) of the body at 2 mm, on one grid for every acquisition."""
    view = project(volume, threshold=-480)
    z, x = np.mgrid[115:5:-2.0, -55:55:2.0]
    col = (x - view.to_patient[0, 3]) / view.to_patient[0, 0] - 0.5
    row = (z - view.to_patient[2, 3]) / view.to_patient[2, 1] - 0.5
    return ndimage.map_coordinates(view.silhouette.astype(float), [row, col], order=1) > 0.5


def apart(one, other):
    """Largest distance in px, diagonals counting one, of a pixel that only one mask has to the other's nearest."""
    to_edge = [ndimage.distance_transform_cdt(mask, metric="chessboard") for mask in (one, ~one, other, ~other)]
    return float(np.max([distance[one != other].max(initial=0) for distance in to_edge]))


def axial(tmp_path, **options):
    return acquire(tmp_path / "case", ACQUISITIONS["axial"], **options)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return silhouette(read(acquire(tmp_path_factory.mktemp("axial"), ACQUISITIONS["axial"])))


@pytest.mark.parametrize("name", list(ACQUISITIONS))
def test_every_acquisition_of_a_body_gives_the_same_silhouette(tmp_path, reference, name):
    volume = read(acquire(tmp_path, ACQUISITIONS[name]))
    assert reference.sum() > 500 and apart(silhouette(volume), reference) <= 1
    assert volume.notes == ()


def test_an_oblique_acquisition_does_too(tmp_path, reference):
    a, b = np.deg2rad([20, 15])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )
    assert apart(silhouette(read(acquire(tmp_path, turn.T, spacing=1.0))), reference) <= 1


def test_a_tilted_gantry_is_straightened_and_noted(tmp_path, reference):
    tilt = np.deg2rad(12)
    axes = ((1, 0, 0), (0, np.cos(tilt), np.sin(tilt)), (0, -np.sin(tilt), np.cos(tilt)))
    volume = read(acquire(tmp_path, axes, spacing=1.0, step=(0, 0, 1 / np.cos(tilt))))
    assert "tilted by 12.0 degrees" in volume.notes[0]
    assert apart(silhouette(volume), reference) <= 1


def test_values_places_and_types_are_those_of_the_headers(tmp_path):
    voxels = np.random.default_rng([4, 1]).integers(-1000, 1000, (5, 6, 7), np.int16)
    write_series(tmp_path, voxels, step=(0, 0, 2.5), origin=(-10, 4, 30), spacing=(1.5, 1.25))
    volume = read(tmp_path)
    assert isinstance(volume, Volume) and volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(volume.index_to_patient, [[1.25, 0, 0, -10], [0, 1.5, 0, 4], [0, 0, 2.5, 30]])


def test_every_slice_has_its_own_slope_and_intercept(tmp_path):
    voxels = np.random.default_rng([4, 2]).integers(-1000, 1000, (5, 6, 7), np.int16)
    slopes, intercepts = np.array([1, 0.5, 0.25, 3, 1]), np.array([0, 10, -7.5, 2, 0])

    def change(k, made):
        made.RescaleSlope, made.RescaleIntercept = float(slopes[k]), float(intercepts[k])

    want = voxels * slopes[:, None, None] + intercepts[:, None, None]
    np.testing.assert_allclose(read(write_series(tmp_path, voxels, change=change)).voxels, want, atol=1e-3)


@pytest.mark.parametrize("slopes", [(1, 1, 1, 1, 1), (1, 0.5, 0.25, 3, 1)])
def test_frames_of_one_file_are_sorted_and_each_has_its_slope(tmp_path, slopes):
    voxels = np.random.default_rng([4, 3]).integers(-1000, 1000, (5, 6, 7), np.int16)
    path = write_enhanced(tmp_path / "a.dcm", voxels, order=[2, 0, 1, 4, 3], slopes=slopes)
    by_slice = np.array([slopes[[2, 0, 1, 4, 3].index(k)] for k in range(5)])
    volume = read(path, up="anterior")
    np.testing.assert_allclose(volume.voxels, voxels * by_slice[:, None, None] - 10, atol=1e-3)
    np.testing.assert_allclose(volume.index_to_patient[:, 3], 0)
    np.testing.assert_allclose(volume.spacing_mm, (2, 2, 3))
    assert case_name(path) == "a"


def test_inverted_mr_is_turned_round_and_inverted_ct_is_refused(tmp_path):
    voxels = np.random.default_rng([4, 4]).integers(0, 1000, (5, 6, 7), np.int16)

    def change(k, made):
        made.PhotometricInterpretation, made.Modality = "MONOCHROME1", "MR"

    one = read(write_series(tmp_path / "mr", voxels, change=change)).voxels
    assert (np.argsort(one.ravel()) == np.argsort(-voxels.ravel().astype(int))).mean() > 0.9
    assert np.ptp(one.astype(int) + voxels) == 0
    with pytest.raises(ValueError, match="MONOCHROME2"):
        read(write_series(tmp_path / "ct", voxels, change=lambda k, m: setattr(m, "PhotometricInterpretation", "MONOCHROME1")))  # fmt: skip  # noqa: E501


def test_missing_slices_are_counted_and_placed(tmp_path):
    with pytest.raises(ValueError, match=r"lacks 3 of 61 slices, between 18\.0 and 22\.0, 38\.0 and 44\.0 mm"):
        read(axial(tmp_path, drop=(10, 20, 21)))


def test_uneven_slices_are_refused(tmp_path):
    def change(k, made):
        made.ImagePositionPatient = [-60, -40, 2 * k if k < 30 else 60 + 3 * (k - 30)]

    with pytest.raises(ValueError, match=r"uneven slices: 2 to 3 mm apart instead of .* between .* mm"):
        read(axial(tmp_path, change=change))


def test_slices_shifted_sideways_are_refused(tmp_path):
    def change(k, made):
        made.ImagePositionPatient = [-60 + 3 * (k == 20), -40, 2 * k]

    with pytest.raises(ValueError, match="shifted sideways by up to 3 mm"):
        read(axial(tmp_path, change=change))


def test_copies_of_slices_are_dropped_and_others_at_their_place_refused(tmp_path, reference):
    folder = axial(tmp_path)
    copy = (folder / "IM0020").read_bytes()
    (folder / "copy").write_bytes(copy)
    volume = read(folder)
    assert "dropped 1 slices" in volume.notes[0] and apart(silhouette(volume), reference) == 0
    at = copy.rindex(b"\x18\xfc" * 8)  # air
    (folder / "copy").write_bytes(copy[:at] + b"\0\0" + copy[at + 2 :])
    with pytest.raises(ValueError, match="different slices at one position"):
        read(folder)


def test_several_series_are_listed_and_one_is_chosen_by_number_or_uid(tmp_path, reference):
    folder = tmp_path / "case"
    acquire(folder / "a", ACQUISITIONS["axial"], change=lambda k, m: setattr(m, "SeriesNumber", 7))
    uid = generate_uid()

    def other(k, made):
        made.SeriesInstanceUID, made.SeriesNumber, made.Modality = uid, 3, "MR"

    acquire(folder / "b", ACQUISITIONS["coronal"], spacing=4.0, change=other)
    with pytest.raises(
        ValueError, match=r"2 series \(1: MR, 21 of 31 x 31, 4 mm; 2: CT, 61 of 61 x 41, 2 mm\); .*--ser"
    ):
        read(folder)
    assert apart(silhouette(read(folder, series="2")), reference) == 0
    assert read(folder, series=uid).spacing_mm == (4, 4, 4)
    with pytest.raises(ValueError, match="none of them is --series 3"):
        read(folder, series="3")
    with pytest.raises(ValueError, match="none of them is the --series given"):  # a UID is not repeated
        read(folder, series="1.2.3.4")


def test_what_is_no_image_is_passed_over(tmp_path, reference):
    folder = axial(tmp_path)
    save(dataset(np.zeros((2, 2), np.int16)), folder / "DICOMDIR")
    (folder / "readme").write_text("x" * 300)
    (folder / "nothing").write_bytes(b"")
    report = dataset(np.zeros((2, 2), np.int16), SeriesInstanceUID="1.2.3", Modality="SR")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    save(report, folder / "report.dcm")
    assert apart(silhouette(read(folder)), reference) == 0


def test_a_localizer_in_the_series_is_left_out_and_a_real_mixture_refused(tmp_path, reference):
    folder = axial(tmp_path)
    scout = dataset(
        np.zeros((30, 30), np.int16), Modality="CT", PatientPosition="HFS", ImageType=["ORIGINAL", "LOCALIZER"]
    )
    scout.ImagePositionPatient, scout.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 0, -1]
    scout.PixelSpacing = [1, 1]
    save(scout, folder / "scout")
    volume = read(folder)
    assert volume.notes[0].startswith("left out 1 slices") and "1 of 30 x 30" in volume.notes[0]
    assert apart(silhouette(volume), reference) == 0
    acquire(folder / "more", ACQUISITIONS["coronal"])
    with pytest.raises(ValueError, match=r"mixes slices of 3 sizes or directions \(61 of 61 x 41, 41 of 61 x 61, 1 of"):
        read(folder)


@pytest.mark.parametrize(
    ("code", "words", "up"),
    [("HFP", "prone.*between viewer and body", "posterior"), ("FFDL", "left side.*beside the body", "right")],
)
def test_a_patient_who_does_not_lie_on_the_back_is_asked_about(tmp_path, code, words, up):
    folder = axial(tmp_path, change=lambda k, m: setattr(m, "PatientPosition", code))
    with pytest.raises(ValueError, match=f"{words}.*--up {up}"):
        read(folder)
    assert f"the {up} side faced up" in read(folder, up=up).notes[0]
    assert "against the header" in read(folder, up="anterior").notes[0]


@pytest.mark.parametrize("code", ["", "ANONYMOUS", "HFX"])
def test_an_unknown_position_is_assumed_aloud(tmp_path, code):
    (note,) = read(axial(tmp_path, change=lambda k, m: setattr(m, "PatientPosition", code))).notes
    assert "how the patient lay is not known" in note


@pytest.mark.parametrize(
    ("attributes", "spacing", "note"),
    [
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.3, 0.3]}, (0.1, 0.2), ""),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.1, 0.2), "magnified"),
        ({}, None, ""),
    ],
)
def test_a_radiograph_has_the_spacing_of_its_header(tmp_path, attributes, spacing, note):
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    image = read(write_radiograph(tmp_path / "a.dcm", pixels, **attributes))
    assert isinstance(image, Image) and image.spacing_mm == spacing
    np.testing.assert_array_equal(image.pixels, pixels)
    assert note in " ".join(image.notes)
    inverted = read(write_radiograph(tmp_path / "b.dcm", pixels, PhotometricInterpretation="MONOCHROME1", **attributes))
    np.testing.assert_array_equal(inverted.pixels, 65535 - pixels.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PixelSpacing": [0, 2]}, "PixelSpacing of 0 x 2 mm"),
        ({"PixelSpacing": [-2, 2]}, "allowed: above 0"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no pair of unit vectors"),
        ({"Rows": 400}, "bytes of pixels in IM0001 where its header speaks of"),
        ({"SamplesPerPixel": 3}, "export it in greyscale"),
        ({"RescaleSlope": None}, "RescaleSlope that is not 1 numbers"),
    ],
)
def test_a_header_that_cannot_be_meant_is_named(tmp_path, change, words):
    def lie(k, made):
        for name, value in change.items():
            setattr(made, name, value)

    with pytest.raises(ValueError, match=words) as caught:
        read(axial(tmp_path, change=lie))
    assert "\n" not in str(caught.value)


def test_one_slice_alone_is_no_volume(tmp_path):
    folder = axial(tmp_path)
    with pytest.raises(ValueError, match="give the folder"):
        read(folder / "IM0001")


def test_a_subject_is_a_keyed_hash_of_the_patients_id(tmp_path):
    for name, patient in (("a", "MRN 12345"), ("b", "MRN 12345"), ("c", "MRN 12346"), ("d", "")):
        write_series(
            tmp_path / name, np.zeros((2, 4, 4), np.int16), change=lambda k, m, p=patient: setattr(m, "PatientID", p)
        )
    one, again, other = (subject_key(tmp_path / name, b"key") for name in "abc")
    assert one == again != other and re.fullmatch("[0-9a-f]{16}", one)
    assert subject_key(tmp_path / "a", b"another key") != one
    with pytest.raises(ValueError, match="give the subjects"):
        subject_key(tmp_path / "d", b"key")
