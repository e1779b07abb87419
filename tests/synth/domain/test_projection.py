"""Projections of volumes with known geometry: closed forms, storage orders, couch, thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.domain.patch import apply_affine
from synth.domain.projection import ZERO_PLANE_MM, Volume, largest_component, otsu, project


def grid(shape, spacing, origin):
    """Patient coordinates (x, y, z) of every voxel of a (z, y, x) array, and its affine."""
    affine = np.column_stack([np.diag(spacing), origin]).astype(float)
    z, y, x = np.indices(shape)
    return [o + s * i for i, s, o in zip((x, y, z), spacing, origin, strict=True)], affine


def sphere(radius=30.0, spacing=(1.0, 1.5, 2.0), air=-1000.0, tissue=40.0):
    shape = tuple(int(extent / step) for extent, step in zip((120, 105, 110), spacing[::-1], strict=True))
    (x, y, z), affine = grid(shape, spacing, (-50.0, -40.0, 10.0))
    distance = np.sqrt((x - 3) ** 2 + (y - 11) ** 2 + (z - 70) ** 2)
    soft = np.clip(radius - distance + 0.5, 0, 1)  # partial volume over 1 mm
    return Volume(voxels=(air + (tissue - air) * soft).astype(np.float32), index_to_patient=affine)


def test_sphere_has_its_area_depth_and_thickness():
    view = project(sphere())
    assert view.pixel_mm == (1.0, 1.0)
    assert view.silhouette.sum() == pytest.approx(np.pi * 30**2, rel=0.02)
    rows, cols = np.nonzero(view.silhouette)
    mm = apply_affine(view.to_patient, np.column_stack([cols + 0.5, rows + 0.5, view.depth_mm[rows, cols]]))
    assert mm[:, 0].mean() == pytest.approx(3, abs=0.1)
    assert mm[:, 2].mean() == pytest.approx(70, abs=0.1)
    radius = np.linalg.norm(mm - [3, 11, 70], axis=1)
    inner = np.hypot(mm[:, 0] - 3, mm[:, 2] - 70) < 20
    assert np.abs(radius - 30)[inner].max() < 1.1  # half a slice of 2 mm seen at 45 degrees
    chord = 2 * np.sqrt(30**2 - (mm[:, 0] - 3) ** 2 - (mm[:, 2] - 70) ** 2, where=inner, out=np.zeros(len(mm)))
    assert np.abs(view.thickness_mm[rows, cols] - chord)[inner].max() < 3.1  # two voxels of 1.5 mm


def test_nearest_surface_lies_10_mm_behind_the_zero_plane():
    view = project(sphere())
    assert view.depth_mm[view.silhouette].min() == pytest.approx(ZERO_PLANE_MM, abs=1e-4)
    assert (view.depth_mm[~view.silhouette] == 0).all()
    assert (view.silhouette == (view.depth_mm > 0)).all()


def test_box_has_exact_edges():
    voxels = np.zeros((20, 10, 30), np.int16)
    voxels[5:15, 4:8, 10:25] = 1000
    affine = np.column_stack([np.diag([2.0, 3.0, 2.0]), [100.0, -50.0, 7.0]])
    view = project(Volume(voxels=voxels, index_to_patient=affine))
    rows, cols = np.nonzero(view.silhouette)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (5, 14, 10, 24)
    corner = apply_affine(view.to_patient, np.array([[10.0, 5.0, ZERO_PLANE_MM]]))[0]  # top left front corner
    assert corner == pytest.approx([100 + 2 * 9.5, -50 + 3 * 3.5, 7 + 2 * 14.5])
    assert view.thickness_mm[view.silhouette] == pytest.approx(12.0)


def test_subject_left_is_at_image_right_and_head_is_up():
    voxels = np.full((10, 10, 10), -1000, np.int16)
    voxels[2:8, 4:6, 4:6] = 40  # trunk
    voxels[7, 4:6, 4:9] = 40  # one arm: high up, on the subject's left (+x)
    view = project(Volume(voxels=voxels, index_to_patient=np.eye(3, 4)))
    assert view.silhouette[2, 8] and not view.silhouette[2, 1]
    assert not view.silhouette[7, 8]


def test_non_cubic_voxels_become_square_pixels():
    cube = project(sphere(spacing=(1.0, 1.0, 1.0)))
    flat = project(sphere(spacing=(1.0, 1.0, 2.0)))
    assert flat.pixel_mm == (1.0, 1.0)
    assert flat.silhouette.shape == (120, 110)
    assert flat.silhouette.sum() == pytest.approx(cube.silhouette.sum(), rel=0.02)


@pytest.mark.parametrize(("air", "tissue", "low", "high"), [(-1000, 40, -400, -400), (5, 400, 60, 350)])
def test_threshold_is_air_for_ct_and_otsu_otherwise(air, tissue, low, high):
    assert low <= project(sphere(air=air, tissue=tissue)).threshold <= high


def test_couch_is_removed_by_accumulation_and_only_then():
    body = sphere(spacing=(1.0, 1.0, 1.0))
    voxels = body.voxels.copy()
    voxels[:, 83:85, 5:105] = 100  # a plate right below the body
    voxels[:, 90:92, 5:105] = 100
    couched = Volume(voxels=voxels, index_to_patient=body.index_to_patient)
    clean = project(body).silhouette
    assert project(couched).silhouette.sum() > 1.5 * clean.sum()
    kept = project(couched, couch="accumulate").silhouette
    assert (kept & clean).sum() / (kept | clean).sum() > 0.97


def test_only_the_largest_body_counts():
    voxels = np.zeros((20, 20, 40), np.int16)
    voxels[5:15, 10:15, 5:20] = 100
    voxels[5:8, 0:4, 35:38] = 100  # nearer, but small
    view = project(Volume(voxels=voxels, index_to_patient=np.eye(3, 4)))
    assert view.silhouette.sum() == 150
    assert view.depth_mm.max() == pytest.approx(ZERO_PLANE_MM)


def test_specks_are_filled_and_holes_of_anatomy_stay():
    mask = np.zeros((100, 100), bool)
    mask[5:95, 5:95] = True
    mask[20, 20] = False
    mask[40:50, 40:50] = False
    body = largest_component(mask)
    assert body[20, 20] and not body[45, 45]


def test_volume_refuses_axes_that_are_not_the_patients():
    with pytest.raises(ValueError, match="LPS"):
        Volume(voxels=np.zeros((2, 2, 2)), index_to_patient=np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1.0, 0]]))


def test_air_alone_is_an_error():
    with pytest.raises(ValueError, match="tell tissue from air"):
        project(Volume(voxels=np.zeros((3, 3, 3)), index_to_patient=np.eye(3, 4)))
    with pytest.raises(ValueError, match="threshold"):
        project(Volume(voxels=np.zeros((3, 3, 3)), index_to_patient=np.eye(3, 4)), threshold=10)


@settings(deadline=None, max_examples=30)
@given(st.floats(-1000, 1000), st.floats(1, 1000), st.floats(0.05, 0.95), st.integers(0, 1000))
def test_otsu_divides_two_classes_in_the_middle(low, gap, share, seed):
    rng = np.random.default_rng([seed, 1])
    bright = rng.random((50, 60)) < share
    values = np.where(bright, low + gap, low) + rng.normal(0, 0.04 * gap, bright.shape)
    level = otsu(values)
    assert np.mean((values > level) == bright) > 0.999
    assert low + 0.2 * gap < level < low + 0.8 * gap
