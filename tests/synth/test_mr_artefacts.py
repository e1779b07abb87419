"""Each artefact by its closed form: where signal goes, how strong it is there, and what is left alone."""

import numpy as np
import pytest

from synth.mr_artefacts import AXES, Artefacts, scanned, tissue_signal, water_and_fat
from synth.voxels import dixon_volumes, mr_volume

SPACING = (1.0, 1.0, 1.0)
AFFINE = np.column_stack([np.eye(3), [5.0, 6.0, 7.0]])


def rod():
    """A limb along z: a square rod of 24 voxels, 40 long, in the middle of (60, 50, 96)."""
    mask = np.zeros((60, 50, 96), bool)
    mask[10:50, 13:37, 36:60] = True
    return mask


def rng():
    return np.random.default_rng([3, 1])


def shown(artefacts, mask=None):
    return scanned((rod() if mask is None else mask).astype(np.float32), SPACING, artefacts, rng())[0]


def test_without_artefacts_signal_is_the_mask():
    np.testing.assert_array_equal(tissue_signal(rod(), SPACING, Artefacts()), rod())
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
    volume = mr_volume(rod(), AFFINE, 1.0, 0.1, rng(), Artefacts(wrap_mm=4.0, phase="z"))
    assert volume.index_to_patient[:, 3] == pytest.approx([5, 6, 7 + 14])
    assert (volume.voxels[:34] > 100).any(0).sum() == 24 * 24


def test_a_sand_bag_flattens_and_takes_no_column():
    signal = tissue_signal(rod(), SPACING, Artefacts(pressed_mm=5.0))
    assert (signal.sum(1) > 0).sum() == 40 * 24
    assert signal[30].sum() == 24 * 19 and signal[12].sum() == 24 * 24


@pytest.mark.parametrize("marrow", [0.0, 1.0])
def test_bone_is_dark_inside_the_limb_alone(marrow):
    signal = tissue_signal(rod(), SPACING, Artefacts(marrow=marrow))
    dark = rod() & (signal == 0)
    assert dark[20:40].any((1, 2)).all() and not dark[:, 13:15].any() and not dark[:, :, 36:38].any()
    assert (signal[30, 25, 48] == 1) == (marrow == 1)


def test_dark_skin_is_as_thick_as_asked():
    signal = tissue_signal(rod(), SPACING, Artefacts(skin_mm=2.5))
    assert signal[30, 13:17, 48] == pytest.approx([0.3, 0.3, 1, 1])


def test_chemical_shift_moves_fat_along_frequency_alone():
    moved = tissue_signal(rod(), SPACING, Artefacts(chemical_shift=1))
    assert moved.sum() == pytest.approx(rod().sum())
    assert [moved[z, 25, 48] for z in (9, 10, 11, 13, 14)] == [0, 0, 1, 2, 1]  # fat is three voxels thick
    assert [moved[z, 25, 48] for z in (46, 47, 48, 50, 51)] == [1, 0, 1, 1, 0]
    assert np.array_equal(moved[30, :, 48] > 0, rod()[30, :, 48])


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
    strong = Artefacts(coil=4.0, slice_gain=0.2, ghost=0.1, zipper=0.2, spike=0.1, marrow=0.0)
    one, again = (mr_volume(rod(), AFFINE, 25.0, 0.6, rng(), strong) for _ in range(2))
    np.testing.assert_array_equal(one.voxels, again.voxels)


def test_water_and_fat_add_up_to_all_but_cortex():
    water, fat = water_and_fat(rod(), SPACING)
    assert not (water * fat).any()
    missing = rod() & (water + fat == 0)
    assert 0.02 < missing.sum() / rod().sum() < 0.4
    assert not (water + fat)[~rod()].any()
    volumes = dixon_volumes(rod(), AFFINE, 5.0, 0.6, rng())
    assert all(volume.voxels.max() > 300 for volume in volumes)


def test_impossible_strengths_are_refused():
    with pytest.raises(ValueError, match="coil"):
        Artefacts(coil=0.5)
    with pytest.raises(ValueError, match="strengths"):
        Artefacts(ghost=-0.1)
