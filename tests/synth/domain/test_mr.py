"""MR volumes under what scanners do to them, against the shapes they were made of."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, rotate

from synth.compartments import Label
from synth.domain.anatomy import anatomy_named
from synth.domain.bias import find_field
from synth.domain.mr import LEVEL, add_dixon, even_signal
from synth.domain.patch import Crop
from synth.domain.projection import Volume, project
from synth.domain.study import ImportSettings, prepare
from synth.mr_artefacts import NO_ARTEFACTS, Artefacts
from synth.voxels import dixon_volumes, mr_volume

AFFINE = np.column_stack([np.eye(3), [-40.0, 10.0, -70.0]])


def comb(shape=(170, 60, 150)):
    """A hand of boxes: a palm 70 high and 80 wide, and four fingers of 15 mm with gaps of 6 mm between them."""
    mask = np.zeros(shape, bool)
    mask[15:85, 20:40, 30:114] = True
    for finger in range(4):
        left = 32 + 21 * finger
        mask[85:145, 22:37, left : left + 15] = True
    return mask


def filled(mask):
    """Labels of a mask: skin around muscle, and a bone in each finger."""
    depth = distance_transform_edt(mask)
    depth[:85] = np.minimum(depth[:85], 5)
    layers = (Label.AIR, Label.SKIN, Label.MUSCLE, Label.CORTEX, Label.MARROW)
    return np.array(layers, np.uint8)[np.digitize(depth, (0.5, 1.5, 5.5, 6.5))]


def scan(artefacts=NO_ARTEFACTS, noise=25.0, seed=1, mask=None):
    labels = filled(comb() if mask is None else mask)
    return mr_volume(labels, AFFINE, noise, 0.6, np.random.default_rng([seed, 2]), artefacts)


def dice(volume, mask=None):
    even, level = even_signal(volume)
    own, truth = project(even, threshold=level).silhouette, (comb() if mask is None else mask).any(1)[::-1]
    return 2 * (own & truth).sum() / (own.sum() + truth.sum())


@pytest.mark.parametrize(
    ("artefacts", "noise"),
    [
        (Artefacts(coil=8.0), 25.0),
        (Artefacts(coil=8.0), 70.0),
        (Artefacts(ghost=0.15), 25.0),
        (Artefacts(coil=8.0, ghost=0.15), 25.0),
        (Artefacts(weighting="water"), 25.0),
        (Artefacts(zipper=0.5), 25.0),
        (Artefacts(spike=0.15), 25.0),
        (Artefacts(slice_gain=0.25), 25.0),
        (Artefacts(skin=0.6), 25.0),
        (Artefacts(coil=5.0, ghost=0.1, weighting="water", slice_gain=0.1, sharp=0.6, zipper=0.2, spike=0.05), 40.0),
    ],
)
def test_silhouette_is_that_of_the_tissue_and_fingers_stay_apart(artefacts, noise):
    assert dice(scan(artefacts, noise)) > 0.99
    even, level = even_signal(scan(artefacts, noise))
    gaps = ~project(even, threshold=level).silhouette[::-1][90:140, [50, 71, 92]]
    assert gaps.mean() > 0.98  # noise may leave a pixel


def test_otsu_alone_would_lose_what_is_far_from_the_coil():
    volume = scan(Artefacts(coil=8.0))
    truth = comb().any(1)[::-1]
    own = project(volume).silhouette
    assert 2 * (own & truth).sum() / (own.sum() + truth.sum()) < 0.95


def test_tissue_is_even_wherever_the_coil_lies():
    for seed in range(1, 4):
        even, _ = even_signal(scan(Artefacts(coil=8.0), seed=seed))
        middle = even.voxels[filled(comb()) == Label.MUSCLE]
        assert np.percentile(middle, 20) > 70 and np.percentile(middle, 95) < 150


def test_air_is_measured_and_not_believed_where_it_was_set_to_zero():
    volume = scan()
    field = find_field(volume)
    assert field.air == pytest.approx(25 * np.sqrt(np.pi / 2), rel=0.03)
    assert field.noise == pytest.approx(25 * np.sqrt(2 - np.pi / 2), rel=0.05)
    blank = Volume(voxels=np.where(volume.voxels < 120, 0, volume.voxels), index_to_patient=AFFINE)
    assert find_field(blank).air == 0 == find_field(blank).noise
    assert dice(blank) > 0.99


def test_what_is_dark_inside_counts_as_tissue_and_what_is_open_to_a_side_does_not():
    mask = np.zeros((60, 60, 60), bool)
    mask[10:50, 15:45, 15:45] = True
    truth = mask.copy()
    mask[20:40, 25:35, 25:35] = False  # a cavity
    truth[20:40, 25:35, 36:], mask[20:40, 25:35, 36:] = False, False  # a notch from the side
    even, level = even_signal(Volume(voxels=(400 * mask).astype(np.int16), index_to_patient=np.eye(3, 4)))
    np.testing.assert_array_equal(even.voxels > level, truth)


def test_a_mask_is_its_own_tissue():
    even, level = even_signal(Volume(voxels=comb().astype(np.uint8), index_to_patient=AFFINE))
    np.testing.assert_array_equal(even.voxels > level, comb())


def test_loose_pieces_go_and_a_second_hand_stays_to_be_asked_about():
    volume = scan()
    speck = volume.voxels.copy()
    speck[100:110, 5:15, 135:145] = 400
    even, level = even_signal(Volume(voxels=speck, index_to_patient=AFFINE))
    assert not (even.voxels[100:110, 5:15, 135:145] > level).any()
    two = np.concatenate([comb(), comb()[:, :, ::-1]], axis=2)
    with pytest.raises(ValueError, match="two hands"):
        prepare(scan(mask=two), anatomy_named("hand"), Crop(), ImportSettings(side="left"))


@pytest.mark.parametrize("phase", ["x", "z"])
def test_wrap_around_is_noticed(phase):
    even, _ = even_signal(scan(Artefacts(wrap_mm=8.0, phase=phase)))
    assert [("left" in note, "top" in note) for note in even.notes if "wrapped" in note] == [
        (phase == "x", phase == "z")
    ]
    assert even_signal(scan())[0].notes == ()


def test_weak_and_uneven_tissue_is_told():
    assert any("noise" in note for note in even_signal(scan(Artefacts(coil=8.0), 140.0))[0].notes)
    assert any("differs in signal" in note for note in even_signal(scan(Artefacts(coil=30.0), 5.0))[0].notes)


def test_a_ghost_as_strong_as_the_weakest_tissue_is_told():
    strong, weak = (even_signal(scan(Artefacts(coil=8.0, ghost=share)))[0].notes for share in (0.25, 0.05))
    assert any("ghost" in note for note in strong) and not any("ghost" in note for note in weak)


def test_values_are_the_same_however_they_lie_in_memory():
    volume = scan(Artefacts(coil=4.0), 60.0)
    turned = volume.voxels.transpose(2, 1, 0).copy().transpose(2, 1, 0)
    one, other = (even_signal(Volume(voxels=v, index_to_patient=AFFINE))[0] for v in (volume.voxels, turned))
    np.testing.assert_array_equal(one.voxels, other.voxels)


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_units_do_not_matter(scale):
    volume = scan(Artefacts(coil=4.0))
    scaled = Volume(voxels=volume.voxels.astype(np.float32) * np.float32(scale) + 7, index_to_patient=AFFINE)
    assert dice(scaled) > 0.99


@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 5, 40), (3, 3, 3)])
def test_a_volume_of_few_voxels_is_cut_too(shape):
    voxels = np.zeros(shape, np.int16)
    voxels[0, 0] = 100
    even, level = even_signal(Volume(voxels=voxels, index_to_patient=np.eye(3, 4)))
    np.testing.assert_array_equal(even.voxels > level, voxels > 0)


def test_air_alone_is_an_error():
    with pytest.raises(ValueError, match="tell tissue from air"):
        even_signal(Volume(voxels=np.full((9, 9, 9), 3), index_to_patient=np.eye(3, 4)))


def test_a_study_evens_mr_out_unless_a_threshold_is_given():
    hand, crop = anatomy_named("hand"), Crop()
    volume = scan(Artefacts(coil=8.0))
    chosen = prepare(volume, hand, crop, ImportSettings(side="left"))
    assert chosen.source.threshold == LEVEL
    assert (chosen.source.silhouette == comb().any(1)[::-1]).mean() > 0.99
    given = prepare(volume, hand, crop, ImportSettings(side="left", threshold=600.0))
    assert given.source.threshold == 600 and given.source.silhouette.sum() < chosen.source.silhouette.sum()


def test_water_and_fat_together_are_the_whole_hand():
    labels = filled(comb())
    labels[:50][labels[:50] > 0] = Label.FAT
    water, fat = dixon_volumes(labels, AFFINE, 25.0, 0.6, np.random.default_rng([1, 2]))
    assert dice(water) < 0.95 and dice(add_dixon(water, fat)) > 0.985
    with pytest.raises(ValueError, match="one scan"):
        add_dixon(water, Volume(voxels=fat.voxels[1:], index_to_patient=AFFINE))


@pytest.mark.parametrize("degrees", [6, 20])
def test_padding_of_an_oblique_scan_is_not_taken_for_its_air(degrees):
    straight = scan(noise=60.0)
    voxels, mask = np.asarray(straight.voxels, np.float32), comb().astype(np.float32)
    for axes in ((0, 1), (1, 2), (0, 2)):
        voxels, mask = (rotate(array, degrees, axes, order=1) for array in (voxels, mask))  # beyond it is 0
    turned = Volume(voxels=voxels, index_to_patient=AFFINE)
    assert find_field(turned).air == pytest.approx(np.median(straight.voxels[:10]), rel=0.05)
    assert dice(turned, mask > 0.5) > 0.99
