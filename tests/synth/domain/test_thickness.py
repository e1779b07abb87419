"""Thickness from skin to skin: hollows are full, air between limbs is not, and no chest wall is taken for a couch."""

import numpy as np
import pytest
from scipy import ndimage

from synth.domain.patch import sample_nearest
from synth.domain.projection import Volume, project
from synth.phantom import body_phantoms, make_patient
from synth.template import load_template
from synth.voxels import ct_volume, voxelise

SPACING = (3.0, 3.0, 4.0)


@pytest.mark.parametrize(("index", "couch"), [(0, "none"), (3, "fit"), (5, "fit"), (7, "fit")])
def test_a_body_with_lungs_and_gas_is_as_thick_as_its_mesh(index, couch) -> None:
    template = load_template("body")
    person = make_patient(body_phantoms(), template, 3, index)
    body, affine = voxelise(person.vertices, template.triangles, SPACING, (20.0, 60.0, 20.0))
    share = np.arange(len(body))[:, None, None] / len(body)
    deep = ndimage.distance_transform_edt(body, sampling=SPACING[::-1]) > 20
    middle = np.flatnonzero(body.any((0, 1))).mean()
    deep &= np.abs(np.arange(body.shape[2]) - middle) * SPACING[0] < 130  # the trunk, not the shoulders
    gas = np.sin(share * len(body) * 4 / 9) > 0  # slabs of 28 mm
    hollow = deep & ((share > 0.69) & (share < 0.8) | (share > 0.55) & (share < 0.68) & gas)
    view = project(ct_volume(body & ~hollow, affine, 20.0, 0.6, np.random.default_rng([1, 2])), couch=couch)
    to_source = np.array([[1.0, 0, 0], [0, 3 / 4, 0]])
    truth, tissue = (
        sample_nearest((mask.sum(1)[::-1] * 3).astype(np.float32), to_source, view.silhouette.shape)
        for mask in (body, body & ~hollow)
    )
    seen = view.silhouette & (truth > 0)
    assert (np.abs(view.thickness_mm - truth) <= 3)[seen].mean() > 0.95
    assert (np.abs(tissue - truth) <= 3)[seen].mean() < 0.9  # there was something to fill


def test_dark_bone_of_a_finger_is_full_and_air_between_fingers_is_not() -> None:
    z, y, x = np.indices((80, 60, 60))
    voxels = np.zeros((80, 60, 60), np.int16)
    for centre in (12, 42):  # one finger before the other
        distance = np.hypot(y - centre, x - 30)
        voxels[(distance < 8) & (z > 5)] = 400
        voxels[(distance < 5) & (distance > 2) & (z > 9)] = 0  # cortex around marrow, cut by the end of the scan
    view = project(Volume(voxels=voxels, index_to_patient=np.eye(3, 4)), threshold=200)
    assert view.thickness_mm[10:60, 30] == pytest.approx(30, abs=1)
