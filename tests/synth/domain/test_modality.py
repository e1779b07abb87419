"""Whether a volume is CT or MR: its header decides, values only where there is none, and doubt is told."""

import numpy as np
import pytest

from synth.domain.mr import ready_to_cut
from synth.domain.projection import CT_THRESHOLD_HU, Volume, air_threshold, is_ct, project
from synth.domain.reader import Reader
from synth.domain.turn import turn_matrix, turned
from synth.domain.volume import read
from tests.dicoms import write_series


def block(air, tissue):
    voxels = np.full((20, 24, 28), air, np.int16)
    voxels[4:16, 6:18, 8:20] = tissue
    return voxels


def volume(air, tissue, modality=""):
    return Volume(voxels=block(air, tissue), index_to_patient=np.eye(3, 4), modality=modality)


def written(folder, voxels, modality):
    return write_series(
        folder / modality, voxels, step=(0, 0, 2), change=lambda k, made: setattr(made, "Modality", modality)
    )


@pytest.mark.parametrize(("modality", "known"), [("CT", "CT"), ("MR", "MR"), ("OT", "")])
def test_the_header_says_it_to_the_reader_and_its_child(tmp_path, modality, known):
    folder = written(tmp_path, block(0, 400), modality)
    with Reader() as reader:
        assert read(folder).modality == reader.read(folder).modality == known


def test_a_ct_stored_with_an_offset_is_no_mr_and_is_cut_between_air_and_tissue(tmp_path):
    scan = read(written(tmp_path, block(24, 1064), "CT"))
    assert is_ct(scan) and 200 < air_threshold(scan) < 900
    shown, level = ready_to_cut(scan, None)
    assert level is None and any("offset" in note for note in shown.notes)
    np.testing.assert_array_equal(project(shown, threshold=level).silhouette, (scan.voxels > 500).any(1)[::-1])


def test_an_mr_with_values_far_below_zero_is_no_ct(tmp_path):
    scan = read(written(tmp_path, block(-900, 400), "MR"))
    assert not is_ct(scan)
    shown, level = ready_to_cut(scan, None)
    assert shown.notes == scan.notes
    np.testing.assert_array_equal(shown.voxels > level, scan.voxels > 0)


@pytest.mark.parametrize(
    ("air", "ct", "doubt"), [(-1000, True, False), (-700, True, True), (-200, False, True), (0, False, False)]
)
def test_without_a_header_values_decide_and_doubt_is_told(air, ct, doubt):
    scan = volume(air, 300)
    assert is_ct(scan) == ct and (air_threshold(scan) == CT_THRESHOLD_HU) == ct
    assert any("taken for" in note for note in ready_to_cut(scan, None)[0].notes) == doubt


def test_a_volume_keeps_its_modality_when_it_is_turned_or_evened():
    scan = volume(0, 300, "MR")
    assert turned(scan, turn_matrix("left", "superior"))[0].modality == "MR" == ready_to_cut(scan, None)[0].modality
