"""What is inside a virtual patient: compartments that fill the mask and nothing else, each where it may be."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from synth.bones import Bone, bones_along
from synth.compartments import Insides, Label, bmi_of, label_voxels, usual_fat_mm
from synth.domain.projection import project
from synth.intensities import add_shading, add_streaks, hounsfield, mr_intensities, smooth_field
from synth.phantom import body_phantoms, hand_phantoms, make_patient
from synth.template import load_template
from synth.voxels import ct_volume, voxelise

SPACING = (5.0, 5.0, 5.0)
LITRE = 1e6 / np.prod(SPACING)
ALL = Insides(airway=1.0, metal=1.0)


@pytest.fixture(scope="module", params=[0, 2])
def body(request):
    """(patient, mask, affine, labels) of a body with everything in it."""
    template = load_template("body")
    patient = make_patient(body_phantoms(), template, 1, request.param)
    mask, affine = voxelise(patient.vertices, template.triangles, SPACING, 20.0)
    labels = label_voxels(mask, affine, patient.joints, patient.bones, ALL, np.random.default_rng([6, request.param]))
    return patient, mask, affine, labels


def ball(radius_mm, spacing, margin=3):
    """(mask, affine) of a ball about the origin."""
    counts = [int(np.ceil(radius_mm / s)) + margin for s in spacing]
    x, y, z = (np.arange(-n, n + 1) * s for n, s in zip(counts, spacing, strict=True))
    mask = x**2 + y[:, None] ** 2 + z[:, None, None] ** 2 < radius_mm**2
    return mask, np.column_stack([np.diag(spacing), [x[0], y[0], z[0]]])


def test_shells_of_a_ball_are_as_thick_as_they_should_be():
    mask, affine = ball(40.0, (1.0, 1.0, 1.0))
    insides = Insides(skin_mm=(2.0, 2.0), fat=(0.5, 0.5))
    labels = label_voxels(mask, affine, {}, (), insides, np.random.default_rng([6, 2]))
    line = labels[labels.shape[0] // 2, labels.shape[1] // 2]
    thickness = {label: (line == label).sum() / 2 for label in (Label.SKIN, Label.FAT)}
    assert thickness[Label.SKIN] == pytest.approx(2, abs=1)
    assert thickness[Label.FAT] == pytest.approx(0.5 * usual_fat_mm(25.0), abs=1.5)
    assert set(np.unique(labels)) == {Label.AIR, Label.SKIN, Label.FAT, Label.MUSCLE}


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 2.0, 1.5)])
def test_a_bone_is_a_tapered_capsule_of_marrow_in_cortex_and_never_leaves_the_skin(spacing):
    mask, affine = ball(40.0, spacing)
    bone = Bone(name="long", start=np.zeros(3), end=np.array([60.0, 0, 0]), radius_start_mm=12.0, radius_end_mm=9.0)
    labels = label_voxels(mask, affine, {}, [bone], Insides(), np.random.default_rng([6, 3]))
    hard = np.isin(labels, [Label.CORTEX, Label.MARROW])
    assert not (ndimage.binary_dilation(hard) & ~mask).any()
    middle = hard[:, :, round(-affine[0, 3] / spacing[0])]
    assert middle.sum() * spacing[1] * spacing[2] == pytest.approx(np.pi * 12**2, rel=0.08)
    centre = tuple(round(-affine[a, 3] / spacing[a]) for a in (2, 1, 0))
    assert labels[centre] == Label.MARROW


def test_a_bone_without_a_radius_is_refused():
    with pytest.raises(ValueError, match="allowed: above 0"):
        Bone(name="none", start=np.zeros(3), end=np.ones(3), radius_start_mm=0.0, radius_end_mm=1.0)


@pytest.mark.parametrize("bad", [{"skin_mm": (3.0, 2.0)}, {"gas": (-1, 2)}, {"airway": 1.5}, {"metal": -0.1}])
def test_insides_are_checked(bad):
    with pytest.raises(ValueError, match="allowed"):
        Insides(**bad)


@pytest.mark.slow
def test_labels_fill_the_mask_and_nothing_else_and_are_the_same_again(body):
    patient, mask, affine, labels = body
    np.testing.assert_array_equal(labels > 0, mask)
    again = [
        label_voxels(mask, affine, patient.joints, patient.bones, ALL, np.random.default_rng([6, k])) for k in (7, 7)
    ]
    np.testing.assert_array_equal(*again)


@pytest.mark.slow
def test_two_lungs_of_a_plausible_volume_are_open_to_nothing(body):
    _, mask, _, labels = body
    lungs, count = ndimage.label(labels == Label.LUNG)
    sizes = np.bincount(lungs.ravel())[1:] / LITRE
    assert count == 2
    assert sizes.min() > 0.9 and sizes.sum() < 7.5
    assert not (ndimage.binary_dilation(labels == Label.LUNG, iterations=2) & ~mask).any()


@pytest.mark.slow
def test_compartments_have_the_shares_of_people(body):
    """Skeleton 12-20 % of a body's mass at a density near 1.4 is about 4-12 % of its volume."""
    _, mask, _, labels = body
    share = {label: (labels == label).sum() / mask.sum() for label in Label}
    assert 0.03 < share[Label.CORTEX] + share[Label.MARROW] < 0.12
    assert 0.03 < share[Label.FAT] < 0.55
    assert share[Label.MUSCLE] > 0.3
    assert 0 < share[Label.GAS] < 0.01
    assert 0 < share[Label.METAL] < 0.002


@pytest.mark.slow
def test_bones_and_metal_lie_below_the_skin(body):
    _, mask, _, labels = body
    rim = mask & ~ndimage.binary_erosion(mask)
    assert not np.isin(labels[rim], [Label.CORTEX, Label.MARROW, Label.METAL, Label.LUNG, Label.FAT]).any()


@pytest.mark.slow
def test_the_airway_opens_to_the_outside_only_when_asked(body):
    patient, mask, affine, _ = body
    for airway in (0.0, 1.0):
        insides = replace(ALL, airway=airway, gas=(0, 0))
        labels = label_voxels(mask, affine, patient.joints, patient.bones, insides, np.random.default_rng([6, 5]))
        gas = labels == Label.GAS
        assert gas.any()
        assert (ndimage.binary_dilation(gas) & ~mask).any() == bool(airway)


@pytest.mark.slow
def test_heavier_people_have_thicker_fat(body):
    patient, mask, affine, _ = body
    litres = float(mask.sum()) / LITRE
    assert 15 < bmi_of(litres, patient.joints) < 55
    assert usual_fat_mm(20) < usual_fat_mm(30) < usual_fat_mm(45)
    thin, plump = (
        label_voxels(mask, affine, patient.joints, (), replace(ALL, fat=(f, f)), np.random.default_rng([6, 5]))
        for f in (0.5, 1.5)
    )
    assert (thin == Label.FAT).sum() < 0.7 * (plump == Label.FAT).sum()


@pytest.mark.slow
def test_hounsfield_units_lie_in_their_ranges(body):
    _, _, affine, labels = body
    values = hounsfield(labels, affine, np.random.default_rng([6, 8]))
    ranges = {
        Label.AIR: (-1000, -1000), Label.SKIN: (20, 70), Label.FAT: (-110, -70), Label.MUSCLE: (30, 70),
        Label.LUNG: (-850, -700), Label.CORTEX: (600, 1500), Label.MARROW: (100, 300), Label.GAS: (-1000, -1000),
        Label.METAL: (3071, 3071),
    }  # fmt: skip
    for label, (low, high) in ranges.items():
        own = values[labels == label]
        assert low <= own.min() and own.max() <= high
        assert low == high or own.std() > 0.08 * (high - low)


@pytest.mark.slow
def test_mr_contrasts_are_those_of_t1_and_dixon(body):
    _, _, affine, labels = body
    t1, water, fat = (mr_intensities(labels, w, affine, np.random.default_rng([6, 9])) for w in ("t1", "water", "fat"))
    for image, bright, dark in (
        (t1, Label.FAT, Label.MUSCLE), (t1, Label.MUSCLE, Label.CORTEX), (t1, Label.MARROW, Label.CORTEX),
        (water, Label.MUSCLE, Label.FAT), (fat, Label.FAT, Label.MUSCLE), (fat, Label.MARROW, Label.CORTEX),
    ):  # fmt: skip
        assert image[labels == bright].mean() > 1.5 * image[labels == dark].mean()
    assert (water + fat)[np.isin(labels, [Label.FAT, Label.MUSCLE])].min() > 0.8  # together they show the whole body
    assert not t1[np.isin(labels, [Label.AIR, Label.GAS, Label.METAL])].any()


@pytest.mark.slow
def test_what_is_inside_changes_nothing_of_the_silhouette(body):
    _, mask, affine, labels = body
    scan = ct_volume(mask, affine, 20.0, 0.6, np.random.default_rng([6, 10]), labels=labels)
    plain = ct_volume(mask, affine, 20.0, 0.6, np.random.default_rng([6, 10]))
    seen, known = project(scan).silhouette, project(plain).silhouette
    assert 2 * (seen & known).sum() / (seen.sum() + known.sum()) > 0.995


def test_streaks_of_metal_fade_and_are_as_bright_as_dark():
    labels = np.full((3, 61, 61), Label.MUSCLE, np.uint8)
    labels[1, 29:32, 29:32] = Label.METAL
    values = np.zeros(labels.shape, np.float32)
    affine = np.column_stack([np.eye(3) * 3.0, np.zeros(3)])
    add_streaks(values, labels, affine, np.random.default_rng([6, 11]))
    assert not values[[0, 2]].any() and not values[labels == Label.METAL].any()
    near = np.abs(values[1, 24:37, 24:37]).mean()
    assert near > 4 * np.abs(values[1, :8, :8]).mean() > 0
    assert abs(values[1].mean()) < 0.1 * near


def test_shading_is_slow_and_slight():
    values = np.zeros((60, 50, 70), np.float32)
    add_shading(values, np.random.default_rng([6, 14]))
    assert 1 < np.abs(values).max() <= 12
    assert max(np.abs(np.diff(values, axis=a)).max() for a in range(3)) < 1


def test_a_smooth_field_stays_within_one_and_changes_slowly():
    affine = np.column_stack([np.diag([2.0, 2.0, 3.0]), np.zeros(3)])
    field = smooth_field((30, 40, 50), affine, 40.0, np.random.default_rng([6, 12]))
    assert -1 <= field.min() < -0.2 < 0.2 < field.max() <= 1
    assert max(np.abs(np.diff(field, axis=a)).max() for a in range(3)) < 2 * 3 / 30


@pytest.mark.slow
def test_a_hand_has_bones_in_every_finger_and_no_lungs():
    template = load_template("hand")
    patient = make_patient(hand_phantoms(), template, 1, 0)
    mask, affine = voxelise(patient.vertices, template.triangles, (0.8, 1.0, 0.8), 8.0)
    labels = label_voxels(
        mask, affine, patient.joints, bones_along(patient.joints), ALL, np.random.default_rng([6, 13])
    )
    assert set(np.unique(labels)) == {Label.AIR, Label.SKIN, Label.FAT, Label.MUSCLE, Label.CORTEX, Label.MARROW}
    for k in range(1, 6):
        middle = (patient.joints[f"finger{k}-2.L"] + patient.joints[f"finger{k}-3.L"]) / 2  # joints lie near the skin
        x, y, z = np.rint((middle - affine[:, 3]) / np.diag(affine[:, :3])).astype(int)
        assert np.isin(labels[z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3], [Label.CORTEX, Label.MARROW]).mean() > 0.2
