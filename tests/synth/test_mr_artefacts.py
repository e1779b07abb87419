"""Each artefact by its closed form: where signal goes, how strong it is there, and what is left alone."""

import numpy as np
import pytest

from synth.compartments import Label
from synth.intensities import mr_intensities
from synth.mr_artefacts import AXES, NO_ARTEFACTS, Artefacts, pressed, scanned, tissue_signal
from synth.voxels import dixon_volumes, mr_volume

SPACING = (1.0, 1.0, 1.0)
AFFINE = np.column_stack([np.eye(3), [5.0, 6.0, 7.0]])


def rod():
    """A limb along z: a square rod of 24 voxels, 40 long, in the middle of (60, 50, 96)."""
    mask = np.zeros((60, 50, 96), bool)
    mask[10:50, 13:37, 36:60] = True
    return mask


def limb():
    """Labels of the rod: skin, fat two voxels thick, muscle, and marrow within cortex."""
    labels = np.zeros((60, 50, 96), np.uint8)
    for inset, label in ((0, Label.SKIN), (1, Label.FAT), (3, Label.MUSCLE), (8, Label.CORTEX), (9, Label.MARROW)):
        labels[10 + inset : 50 - inset, 13 + inset : 37 - inset, 36 + inset : 60 - inset] = label
    return labels


def rng():
    return np.random.default_rng([3, 1])


def shown(artefacts, mask=None):
    return scanned((rod() if mask is None else mask).astype(np.float32), SPACING, artefacts, rng())[0]


def test_without_artefacts_signal_is_the_mask():
    signal = tissue_signal(limb(), AFFINE, NO_ARTEFACTS, rng())
    np.testing.assert_array_equal(signal, mr_intensities(limb(), "t1", AFFINE, rng()))
    np.testing.assert_array_equal(shown(Artefacts()), rod())


@pytest.mark.parametrize("ratio", [4.0, 8.0])
def test_a_coil_changes_signal_by_its_ratio_and_keeps_the_mean_of_its_logarithm(ratio):
    signal = shown(Artefacts(coil=ratio))[rod()]
    assert np.percentile(signal, 99.5) / np.percentile(signal, 0.5) == pytest.approx(ratio, rel=0.01)
    assert np.log(signal).mean() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("phase", ["x", "y", "z"])
def test_a_ghost_is_a_copy_half_a_field_of_view_away(phase):
    place = np.zeros((60, 50, 96), bool)
    place[28:32, 23:27, 46:50] = True
    signal = shown(Artefacts(ghost=0.1, phase=phase), place)
    ghost = np.roll(place, place.shape[AXES[phase]] // 2, AXES[phase])
    assert signal[ghost] == pytest.approx(0.1) and signal[place] == pytest.approx(1)
    assert not signal[~ghost & ~place].any()


@pytest.mark.parametrize(("phase", "axis"), [("x", 2), ("y", 1), ("z", 0)])
def test_wrap_around_shows_at_the_far_end_what_lies_before_the_field_of_view(phase, axis):
    mask = rod()
    signal, cut = scanned(mask.astype(np.float32), SPACING, Artefacts(wrap_mm=4.0, phase=phase), rng())
    assert signal.sum() == mask.sum() and signal.shape[axis] == mask.shape[axis] - cut[axis]
    assert np.moveaxis(signal, axis, 0)[0].any() and np.moveaxis(signal, axis, 0)[-4:].any((1, 2)).all()
    inside = np.moveaxis(mask, axis, 0)[cut[axis] :]
    assert (np.moveaxis(signal, axis, 0)[inside] > 0).all()


def test_a_scan_with_wrap_around_keeps_its_place():
    volume = mr_volume(limb(), AFFINE, 1.0, 0.1, rng(), Artefacts(wrap_mm=4.0, phase="z"))
    assert volume.index_to_patient[:, 3] == pytest.approx([5, 6, 7 + 14])
    assert (volume.voxels[:34] > 100).any(0).sum() == 24 * 24


def test_a_sand_bag_flattens_and_takes_no_column():
    flat = pressed(rod(), SPACING, 5.0)
    assert flat.any(1).sum() == 40 * 24
    assert flat[30].sum() == 24 * 19 and flat[12].sum() == 24 * 24


def test_fat_and_marrow_are_dark_where_fat_is_suppressed_and_muscle_stays():
    plain, suppressed = (tissue_signal(limb(), AFFINE, Artefacts(weighting=w), rng()) for w in ("t1", "water"))
    muscle, fat = limb() == Label.MUSCLE, (limb() == Label.FAT) | (limb() == Label.MARROW)
    np.testing.assert_array_equal(suppressed[muscle], plain[muscle])
    assert (suppressed[fat] < 0.2 * plain[fat]).all()


def test_dark_skin_keeps_its_share_and_all_else_its_signal():
    plain, dark = (tissue_signal(limb(), AFFINE, Artefacts(skin=share), rng()) for share in (1.0, 0.3))
    skin = limb() == Label.SKIN
    np.testing.assert_allclose(dark[skin], 0.3 * plain[skin], rtol=1e-6)
    np.testing.assert_array_equal(dark[~skin], plain[~skin])


def test_chemical_shift_moves_fat_along_frequency_alone():
    plain, moved = (tissue_signal(limb(), AFFINE, Artefacts(chemical_shift=k), rng()) for k in (0, 1))
    assert moved.sum() == pytest.approx(plain.sum(), rel=1e-5)
    fat, other = (np.where(part, plain, 0) for part in ((limb() == 2) | (limb() == 6), (limb() != 2) & (limb() != 6)))
    np.testing.assert_allclose(moved, other + np.roll(fat, 1, 0), atol=1e-6)


def test_ringing_overshoots_and_keeps_the_mean():
    signal = shown(Artefacts(sharp=0.4))
    assert 1.05 < signal[30, 25].max() < 1.2
    assert signal[30, 25, 36:60].mean() == pytest.approx(1, abs=0.03)


def test_slices_differ_by_their_gain_alone():
    signal = shown(Artefacts(slice_gain=0.3, slices="y"))
    gain = signal[30, 13:37, 40]
    assert np.log(gain).std() == pytest.approx(0.3, rel=0.4)
    np.testing.assert_array_equal(signal, np.where(rod(), signal[30, :, 40][:, None], 0))


def test_a_zipper_is_one_line_across_frequency():
    extra = shown(Artefacts(zipper=0.5)) - rod()
    assert (np.abs(extra).max((1, 2)) > 0).sum() == 1


def test_a_spike_is_a_wave_over_the_whole_volume():
    extra = np.abs(shown(Artefacts(spike=0.1)) - rod())
    assert extra.max() == pytest.approx(0.1, rel=1e-3) and extra.mean() == pytest.approx(0.2 / np.pi, rel=0.02)


def test_scans_are_seeded():
    strong = Artefacts(coil=4.0, slice_gain=0.2, ghost=0.1, zipper=0.2, spike=0.1, skin=0.5)
    one, again = (mr_volume(limb(), AFFINE, 25.0, 0.6, rng(), strong) for _ in range(2))
    np.testing.assert_array_equal(one.voxels, again.voxels)


def test_water_and_fat_show_what_the_other_lacks():
    water, fat = (volume.voxels for volume in dixon_volumes(limb(), AFFINE, 1.0, 0.1, rng()))
    muscle, fatty = limb() == Label.MUSCLE, limb() == Label.FAT
    assert (water[muscle] > 4 * fat[muscle]).all() and (fat[fatty] > 4 * water[fatty]).all()
    assert ((water + fat)[limb() == Label.SKIN] > 250).all()


def test_impossible_strengths_are_refused():
    with pytest.raises(ValueError, match="coil"):
        Artefacts(coil=0.5)
    with pytest.raises(ValueError, match="skin"):
        Artefacts(skin=1.5)
    with pytest.raises(ValueError, match="strengths"):
        Artefacts(ghost=-0.1)
