"""Studies: maps from patch to patient and back, cases that fit together, and clear lines for those that do not."""

from dataclasses import replace

import numpy as np
import pytest

from synth.domain.anatomy import BODY, HAND, INSIDE, OUTLINE, OUTSIDE
from synth.domain.landmarks import Annotation
from synth.domain.patch import Crop, apply_affine
from synth.domain.projection import ZERO_PLANE_MM, Volume
from synth.domain.radiograph import Image
from synth.domain.schema import unpack_silhouettes
from synth.domain.settings import ImportSettings
from synth.domain.study import assemble, import_case, patch_landmarks, prepare
from synth.domain.turn import turn_matrix, turned
from synth.domain.volume import read, write_image, write_volume

LEFT = ImportSettings(side="left")


def hand_volume(mirrored=False, origin=(-40.0, 20.0, 500.0)):
    """A slab with a thumb towards +x (towards -x when mirrored) and one finger up; its landmarks in mm (LPS)."""
    voxels = np.zeros((90, 30, 80), np.int16)
    voxels[5:60, 10:20, 25:55] = 400  # palm
    voxels[20:28, 12:18, 55:72] = 400  # thumb
    voxels[60:85, 12:18, 36:44] = 400  # finger
    spacing = np.array([1.0, 1.5, 1.2])
    index = np.array([[71.0, 15, 24], [38, 15, 84], [40, 15, 84], [42, 15, 84], [25, 15, 58]])
    if mirrored:
        voxels = voxels[:, :, ::-1].copy()
        index[:, 0] = 79 - index[:, 0]
    affine = np.column_stack([np.diag(spacing), origin])
    return Volume(voxels=voxels, index_to_patient=affine), apply_affine(affine, index)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("crop", [Crop(), Crop(fit="stretch"), Crop(pixel_mm=2.0)])
def test_patch_to_patient_and_back_is_exact(side, crop):
    volume, _ = hand_volume(side == "right")
    prepared = prepare(volume, HAND, crop, ImportSettings(side=side))
    points = np.random.default_rng([5, 1]).uniform(0, 96, (50, 3))
    there = prepared.patch_map.patient_points(points)
    np.testing.assert_allclose(prepared.patch_map.patch_points(there), points, atol=1e-6)
    assert np.linalg.det(prepared.patch_map.to_patient[:, :3]) * (1 if side == "left" else -1) > 0
    source = prepared.patch_map.source_points(points)
    np.testing.assert_allclose(
        apply_affine(prepared.source.to_patient, np.column_stack([source, points[:, 2]])), there, atol=1e-6
    )


def test_a_right_hand_gives_the_patch_of_its_left_mirror_image(tmp_path):
    (left, left_mm), (right, right_mm) = hand_volume(), hand_volume(mirrored=True)
    cases = []
    for name, volume, mm in (("left", left, left_mm), ("right", right, right_mm)):
        write_volume(volume, tmp_path / f"{name}.nii.gz")
        annotation = Annotation(case=name, subject="s", points=mm)
        cases.append(
            import_case(read(tmp_path / f"{name}.nii.gz"), annotation, HAND, Crop(), ImportSettings(side=name))
        )
    np.testing.assert_array_equal(cases[0].silhouette, cases[1].silhouette)
    np.testing.assert_allclose(cases[0].landmarks, cases[1].landmarks, atol=1e-3)
    np.testing.assert_allclose(cases[0].depth_mm, cases[1].depth_mm, atol=1e-3)
    for case, mm in zip(cases, (left_mm, right_mm), strict=True):
        np.testing.assert_allclose(case.patch_map.patient_points(case.landmarks), mm, atol=0.02)
        assert not any("mirrored" in note for note in case.notes)


@pytest.mark.parametrize(
    ("back", "fingers"),
    [
        ("posterior", "superior"),
        ("anterior", "inferior"),
        ("superior", "left"),
        ("left", "posterior"),
        ("right", "inferior"),
    ],
)
def test_a_hand_that_lay_in_any_way_gives_the_same_patch(back, fingers):
    volume, mm = hand_volume()
    turn = turn_matrix(back, fingers)  # patient -> shown; the hand as given lies as it is shown
    lying, _ = turned(volume, turn.T)
    settings = replace(LEFT, back=back, fingers=fingers)
    want, got = prepare(volume, HAND, Crop(), LEFT), prepare(lying, HAND, Crop(), settings)
    np.testing.assert_array_equal(got.silhouette, want.silhouette)
    np.testing.assert_allclose(got.depth_mm, want.depth_mm, atol=1e-4)
    annotation = Annotation(case="a", subject="a", points=mm @ turn)
    np.testing.assert_allclose(
        patch_landmarks(annotation, got, lying, HAND), want.patch_map.patch_points(mm), atol=1e-6
    )
    np.testing.assert_allclose(got.patch_map.patient_points(want.patch_map.patch_points(mm)), mm @ turn, atol=1e-6)
    assert not any("is taken to lie" in note for note in got.notes) and any("is taken" in n for n in want.notes)
    index = np.array([[3.0, 4, 5]])
    at = np.round(
        (apply_affine(volume.index_to_patient, index) @ turn - lying.index_to_patient[:, 3]) / lying.spacing_mm
    )
    x, y, z = at[0].astype(int)
    assert lying.voxels[z, y, x] == volume.voxels[5, 4, 3]


def two_hands(gap=30):
    """A picture of two hands side by side, the wrists cut off at its lower edge."""
    pixels = np.zeros((80, 100 + gap), np.float32)
    pixels[20:, 10:40] = pixels[25:, 50 + gap : 80 + gap] = 200
    return Image(pixels=pixels, spacing_mm=None, to_viewer=np.eye(2, 3))


def test_two_hands_in_one_picture_are_not_chosen_between():
    both = two_hands()
    with pytest.raises(ValueError, match="one 92% of the size of the other: two hands"):
        prepare(both, HAND, Crop(), LEFT)
    volume, _ = hand_volume()
    with pytest.raises(ValueError, match="two hands"):
        prepare(replace(volume, voxels=np.concatenate([volume.voxels, volume.voxels], 2)), HAND, Crop(), LEFT)
    prepare(both, BODY, Crop(), ImportSettings())


def test_markers_fingertips_and_frames_are_no_second_hand():
    one = two_hands()
    one.pixels[:, 75:] = 0
    one.pixels[5:15, 90:120] = 200  # a marker
    one.pixels[:3] = one.pixels[:, :3] = 200  # a corner of the collimation
    one.pixels[30:, 126:] = one.pixels[75:, 60:] = 200  # and another
    assert prepare(one, HAND, Crop(), LEFT).silhouette.any()


def test_the_wrong_side_is_noted(tmp_path):
    volume, mm = hand_volume()
    write_volume(volume, tmp_path / "a.nii.gz")
    case = import_case(
        read(tmp_path / "a.nii.gz"),
        Annotation(case="a", subject="a", points=mm),
        HAND,
        Crop(),
        ImportSettings(side="right"),
    )
    assert any("mirrored" in note for note in case.notes)


def test_patch_shows_the_silhouette_at_its_landmarks(tmp_path):
    volume, mm = hand_volume()
    write_volume(volume, tmp_path / "a.nii.gz")
    mm[2] = np.nan
    case = import_case(read(tmp_path / "a.nii.gz"), Annotation(case="a", subject="p", points=mm), HAND, Crop(), LEFT)
    assert case.silhouette.shape == (96, 96)
    assert set(case.visible[[0, 1, 3, 4]]) <= {OUTLINE, INSIDE} and case.visible[2] == OUTSIDE
    assert np.isnan(case.landmarks[2]).all()
    assert (case.depth_mm[case.silhouette] >= ZERO_PLANE_MM - 1e-3).all() and (
        case.depth_mm[~case.silhouette] == 0
    ).all()
    assert np.array_equal(case.thickness_mm > 0, case.silhouette)
    samples = assemble([case, case])
    assert np.array_equal(samples.thickness_mm[1], case.thickness_mm)
    assert assemble([case, replace(case, thickness_mm=None)]).thickness_mm is None
    scale = 80 * 1.2 * 1.08 / 96
    np.testing.assert_allclose(case.pixel_mm, scale, rtol=0.01)


def test_what_lies_beyond_the_image_is_not_observed(tmp_path):
    pixels = np.zeros((200, 160), np.uint8)
    pixels[40:, 40:120] = 200  # cut off at the lower edge, 160 high
    write_image(pixels, tmp_path / "a.png")
    px = np.array([[80.0, 100, np.nan], [80, 204, np.nan], *[[np.nan] * 3] * 3])
    case = import_case(read(tmp_path / "a.png"), Annotation(case="a", subject="a", points=px), HAND, Crop(), LEFT)
    margin = 96 * 0.04 / 1.08
    below = np.arange(96) + 0.5 > 96 - margin
    assert not case.observed[below].any() and case.observed[~below][:, 10:86].all()
    assert case.landmarks[1, 1] < 96 and case.visible.tolist() == [INSIDE] + [OUTSIDE] * 4
    samples = assemble([case])
    np.testing.assert_array_equal(unpack_silhouettes(samples.observed, HAND.size)[0], case.observed)


def test_a_hands_side_is_never_guessed():
    with pytest.raises(ValueError, match="never guessed"):
        prepare(hand_volume()[0], HAND, Crop(), ImportSettings())


@pytest.mark.parametrize("spacing", [None, 0.5])
def test_image_landmarks_in_px_reach_the_patch(tmp_path, spacing):
    pixels = np.zeros((200, 160), np.uint8)
    pixels[20:180, 40:120] = 200
    write_image(pixels, tmp_path / "a.png")
    px = np.array([[40.0, 20, np.nan], [120, 180, np.nan], [80, 100, np.nan], [40, 180, np.nan], [np.nan] * 3])
    settings = replace(LEFT, spacing_mm=spacing)
    case = import_case(
        read(tmp_path / "a.png", spacing_mm=spacing),
        Annotation(case="a", subject="a", points=px),
        HAND,
        Crop(),
        settings,
    )
    np.testing.assert_allclose(case.patch_map.source_points(case.landmarks)[:4], px[:4, :2], atol=1e-3)
    scale = 160 * 1.08 / 96
    np.testing.assert_allclose(case.landmarks[2, :2], [48, 48], atol=1e-4)
    np.testing.assert_allclose(case.landmarks[1, :2] - case.landmarks[0, :2], np.array([80, 160]) / scale, rtol=1e-5)
    assert case.depth_mm is None and np.isnan(case.landmarks[:, 2]).all()
    if spacing is None:
        assert np.isnan(case.pixel_mm).all()
    else:
        np.testing.assert_allclose(case.pixel_mm, spacing * scale, rtol=1e-6)


def test_slicer_positions_and_pixels_of_an_image_differ_by_half_a_pixel(tmp_path):
    pixels = np.zeros((50, 60), np.uint8)
    pixels[10:40, 10:50] = 200
    write_image(pixels, tmp_path / "a.png")
    px = np.column_stack([np.linspace(12, 45, 5), np.linspace(15, 35, 5), np.full(5, np.nan)])
    slicer = np.column_stack([px[:, :2] - 0.5, np.zeros(5)])
    one, two = (
        import_case(
            read(tmp_path / "a.png"), Annotation(case="a", subject="a", points=p, viewer=viewer), HAND, Crop(), LEFT
        )
        for p, viewer in ((px, False), (slicer, True))
    )
    np.testing.assert_allclose(one.landmarks, two.landmarks, atol=1e-5)
    prepared = prepare(
        Image(pixels=pixels.astype(np.float32), spacing_mm=None, to_viewer=np.eye(2, 3) - 0.5 * np.eye(3)[2]),
        HAND,
        Crop(),
        LEFT,
    )
    back = apply_affine(prepared.to_viewer, np.column_stack([one.landmarks[:, :2], np.zeros(5)]))
    np.testing.assert_allclose(back, slicer, atol=1e-4)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.full((5, 3), 4000.0), "far outside"),
        (np.column_stack([np.zeros((5, 2)), np.full(5, np.nan)]), "needs z"),
    ],
)
def test_coordinates_that_do_not_suit_a_volume_are_refused(tmp_path, points, words):
    write_volume(hand_volume()[0], tmp_path / "a.nii.gz")
    with pytest.raises(ValueError, match=words) as caught:
        import_case(read(tmp_path / "a.nii.gz"), Annotation(case="a", subject="a", points=points), HAND, Crop(), LEFT)
    assert "case 'a'" in str(caught.value) and "\n" not in str(caught.value)


def test_an_image_takes_no_z(tmp_path):
    pixels = np.zeros((20, 20), np.uint8)
    pixels[5:15, 5:15] = 9
    write_image(pixels, tmp_path / "a.png")
    with pytest.raises(ValueError, match="no z"):
        import_case(
            read(tmp_path / "a.png"), Annotation(case="a", subject="a", points=np.full((5, 3), 8.0)), HAND, Crop(), LEFT
        )


def test_study_rows_keep_order_maps_and_names(tmp_path):
    cases = []
    for k, name in enumerate(("a", "b")):
        volume, mm = hand_volume(origin=(-40.0 + k, 20.0, 500.0))
        write_volume(volume, tmp_path / f"{name}.mha")
        cases.append(
            import_case(
                read(tmp_path / f"{name}.mha"), Annotation(case=name, subject="p", points=mm), HAND, Crop(), LEFT
            )
        )
    samples = assemble(cases, first_id=7)
    assert samples.case == ("a", "b") and samples.subject == ("p", "p") and samples.sample_id.tolist() == [7, 8]
    np.testing.assert_array_equal(unpack_silhouettes(samples.packed, HAND.size)[1], cases[1].silhouette)
    np.testing.assert_array_equal(samples.to_patient[1], cases[1].patch_map.to_patient)
    assert samples.depth_mm.shape == (2, 96, 96) and samples.landmarks.shape == (2, 5, 3)
    with pytest.raises(ValueError, match="mixed"):
        assemble([cases[0], replace(cases[1], depth_mm=None)])


def body_volume():
    voxels = np.full((100, 20, 40), -1000, np.int16)
    voxels[5:95, 8:14, 10:30] = 40
    return Volume(voxels=voxels, index_to_patient=np.column_stack([np.diag([4.0, 4, 4]), [-80.0, 0, 0]]))


def test_left_and_right_exchanged_in_a_body_are_noted(tmp_path):
    write_volume(body_volume(), tmp_path / "a.nii.gz")
    x = np.array([0, 30, -30, 35, -35, 20, -20, 15, -15.0])
    for sign in (1, -1):
        points = np.column_stack([sign * x, np.full(9, 40.0), np.linspace(370, 30, 9)])
        case = import_case(
            read(tmp_path / "a.nii.gz"),
            Annotation(case="a", subject="a", points=points),
            BODY,
            Crop(),
            ImportSettings(),
        )
        assert any("exchanged" in note for note in case.notes) == (sign < 0)


@pytest.mark.parametrize(
    "bad",
    [
        {"back": "up"},
        {"up": "down"},
        {"up": "left", "couch": "fit"},
        {"side": "middle"},
        {"spacing_mm": 0.0},
        {"spacing_mm": float("nan")},
        {"couch_mm": -1.0},
    ],
)
def test_settings_are_checked(bad):
    with pytest.raises(ValueError, match="allowed"):
        ImportSettings(**bad)
