"""Our conventions on a hand that shares nothing with the template: order, side, tips within the outline."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from synth.domain.anatomy import HAND
from synth.domain.landmarks import Annotation
from synth.domain.patch import Crop
from synth.domain.projection import project
from synth.domain.study import ImportSettings, import_case
from synth.voxels import voxelise
from tests import foreign_hand as foreign
from tests.foreign_hand import STILL, HandPose, draw_pose, read_glb, scan_hand

SPACING = (1.0, 1.2, 1.0)
PATCH = Crop()


def hand_of(side, index):
    """(hand, its scan, as a case of a study); index 0 is still."""
    rng = np.random.default_rng([9, index])
    hand = foreign.foreign_hand(side, draw_pose(rng) if index else STILL)
    volume = scan_hand(hand, SPACING, rng)
    note = Annotation(case=f"{side}-{index}", subject="foreign", points=hand.tips)
    return hand, volume, import_case(volume, note, HAND, PATCH, ImportSettings(side=side))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_rig_at_rest_gives_the_mesh_of_the_file(side):
    rig, hand = read_glb(foreign.FOLDER / f"{side}.glb"), foreign.foreign_hand(side)
    turned = rig.vertices @ foreign.TO_PATIENT[side].T * 1000
    np.testing.assert_allclose(hand.vertices, turned, atol=1e-3)
    np.testing.assert_allclose(np.linalg.det(foreign.TO_PATIENT[side]), 1)
    assert np.linalg.norm(hand.tips - hand.joint_tips, axis=1).max() < 14  # the rig's tips lie below the skin


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("index", range(4))
def test_a_foreign_hand_is_read_as_ours_are(side, index):
    """As a left hand's patch: the thumb to the right, then index to little finger, each tip at the outline."""
    hand, _, case = hand_of(side, index)
    x, y = case.landmarks[:, 0], case.landmarks[:, 1]
    assert (np.diff(x) < 0).all()
    assert y[2] == y.min() and (y < HAND.height).all()
    assert not [note for note in case.notes if "mirror" in note or ("side" in note and "other" in note)]
    inside = distance_transform_edt(np.pad(case.silhouette, 1))[1:-1, 1:-1]
    away = distance_transform_edt(~case.silhouette)
    columns, rows = np.clip(x.astype(int), 0, 95), np.clip(y.astype(int), 0, 95)
    assert away[rows, columns].max() <= 1
    assert inside[rows, columns].max() <= 3.5  # a tip lies at the outline, or just behind it where a finger is bent
    back = case.patch_map.to_patient[:, :3] @ case.landmarks.T + case.patch_map.to_patient[:, 3:]
    np.testing.assert_allclose(back.T, hand.tips, atol=1e-3)


def test_a_hand_read_as_of_the_other_side_is_noticed():
    hand, volume, right = hand_of("left", 1)
    note = Annotation(case="wrong", subject="foreign", points=hand.tips)
    wrong = import_case(volume, note, HAND, PATCH, ImportSettings(side="right"))
    assert len(wrong.notes) > len(right.notes)


@pytest.mark.parametrize("side", ["left", "right"])
def test_its_silhouette_is_that_of_its_voxels(side):
    hand, volume, _ = hand_of(side, 2)
    mask, _ = voxelise(hand.vertices, hand.triangles, SPACING, 12.0)
    seen, truth = project(volume).silhouette, mask.any(1)[::-1]
    assert 2 * (seen & truth).sum() / (seen.sum() + truth.sum()) > 0.98


@pytest.mark.parametrize("side", ["left", "right"])
def test_fingers_bend_to_the_palm_and_spread_to_the_thumb(side):
    still = foreign.foreign_hand(side).tips
    none, some = np.zeros(5), np.full(5, 20.0)
    bent = foreign.foreign_hand(side, HandPose(flexion=some, spread=none)).tips
    assert (bent[1:, 1] > still[1:, 1] + 10).all() and (bent[1:, 2] < still[1:, 2]).all()  # the palm faces backwards
    spread = foreign.foreign_hand(side, HandPose(flexion=none, spread=some)).tips
    assert ((spread[1:, 0] - still[1:, 0]) * (1 if side == "left" else -1) > 10).all()


def test_a_mesh_keeps_its_volume_while_it_is_posed():
    still, bent = (foreign.foreign_hand("left", pose) for pose in (STILL, draw_pose(np.random.default_rng([9, 5]))))
    litres = [voxelise(h.vertices, h.triangles, (1.0, 1.0, 1.0), 3.0)[0].sum() for h in (still, bent)]
    assert litres[1] == pytest.approx(litres[0], rel=0.06)
    assert 2e5 < litres[0] < 6e5  # mm3: hands of adults have 250 to 500 ml
