"""Crops and maps: the window holds the silhouette with its margin; affines invert; masks keep their edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.domain.patch import (
    Crop,
    PatchMap,
    apply_affine,
    compose_affine,
    invert_affine,
    sample_mask,
    sample_nearest,
    silhouette_box,
)

sizes = st.floats(1, 1000)


@given(st.floats(-500, 500), st.floats(-500, 500), sizes, sizes, st.sampled_from(["isotropic", "stretch"]))
def test_window_holds_the_box_centred_with_its_margin(x, y, width, height, fit):
    size = (160, 76)
    box = np.array([x, y, x + width, y + height])
    inside = invert_affine(Crop(fit=fit).window(box, size))
    (x0, y0), (x1, y1) = apply_affine(inside, box.reshape(2, 2))
    np.testing.assert_allclose([x0 + x1, y0 + y1], [76, 160], rtol=1e-6)
    spans = np.array([(x1 - x0) / 76, (y1 - y0) / 160]) * 1.08
    assert spans.max() == pytest.approx(1, rel=1e-6)
    if fit == "stretch":
        assert spans.min() == pytest.approx(1, rel=1e-6)
    else:
        assert inside[0, 0] == pytest.approx(inside[1, 1])


def test_fixed_pixel_size_does_not_depend_on_the_box():
    for width in (10, 400):
        window = Crop(pixel_mm=13.5).window(np.array([0, 0, width, 50]), (160, 76), source_pixel_mm=2.0)
        assert window[0, 0] == window[1, 1] == 13.5 / 2
    with pytest.raises(ValueError, match="spacing"):
        Crop(pixel_mm=13.5).window(np.array([0, 0, 10, 50]), (160, 76))


@pytest.mark.parametrize("bad", [{"margin": -0.1}, {"margin": 0.5}, {"pixel_mm": 0.0}, {"pixel_mm": -1.0}])
def test_crop_is_checked(bad):
    with pytest.raises(ValueError, match="allowed"):
        Crop(**bad)


@pytest.mark.parametrize("box", [[0, 0, 0, 5], [3, 3, 1, 5], [0, 0, np.nan, 1]])
def test_empty_box_is_refused(box):
    with pytest.raises(ValueError, match="empty"):
        Crop().window(np.array(box), (96, 96))


@given(st.integers(0, 10_000), st.sampled_from([2, 3]))
def test_affines_compose_and_invert(seed, dimension):
    rng = np.random.default_rng([seed, 2])
    a, b = (rng.normal(size=(dimension, dimension + 1)) + 3 * np.eye(dimension, dimension + 1) for _ in range(2))
    points = rng.normal(size=(7, dimension))
    np.testing.assert_allclose(apply_affine(compose_affine(a, b), points), apply_affine(a, apply_affine(b, points)))
    np.testing.assert_allclose(apply_affine(invert_affine(a), apply_affine(a, points)), points, atol=1e-6)


def test_patch_map_goes_to_the_patient_and_back_also_as_a_reflection():
    patient = np.array([[-0.7, 0, 0, 10], [0, 0, 1, -30], [0, -0.7, 0, 500.0]])
    mapped = PatchMap(to_source=np.array([[-2.0, 0, 90], [0, 2, 5]]), to_patient=patient)
    points = np.random.default_rng([7, 1]).uniform(0, 96, (20, 3))
    np.testing.assert_allclose(mapped.patch_points(mapped.patient_points(points)), points, atol=1e-9)
    np.testing.assert_allclose(mapped.source_points(points[:, :3])[:, 0], 90 - 2 * points[:, 0])
    assert np.linalg.det(patient[:, :3]) < 0


def test_box_of_a_silhouette_is_its_pixels_outer_edges():
    mask = np.zeros((10, 20), bool)
    mask[3:7, 5] = True
    assert silhouette_box(mask).tolist() == [5, 3, 6, 7]
    with pytest.raises(ValueError, match="empty"):
        silhouette_box(np.zeros((3, 3), bool))


def test_identity_samples_the_mask_itself_and_outside_is_empty():
    mask = np.random.default_rng([7, 2]).random((12, 9)) < 0.5
    identity = np.eye(2, 3)
    np.testing.assert_array_equal(sample_mask(mask, identity, (12, 9)), mask)
    larger = sample_mask(mask, identity, (20, 20))
    assert larger.sum() == mask.sum()
    depth = np.where(mask, 7.5, 0).astype(np.float32)
    np.testing.assert_array_equal(sample_nearest(depth, identity, (12, 9)), depth)
    assert sample_nearest(depth, np.array([[1.0, 0, 100], [0, 1, 0]]), (4, 4)).max() == 0


def test_mirrored_map_gives_the_mirrored_mask():
    mask = np.random.default_rng([7, 3]).random((12, 9)) < 0.5
    np.testing.assert_array_equal(sample_mask(mask, np.array([[-1.0, 0, 9], [0, 1, 0]]), (12, 9)), mask[:, ::-1])


@given(st.floats(0.3, 4.0), st.floats(-2, 2), st.floats(-2, 2))
def test_half_plane_keeps_its_edge_within_half_a_pixel(scale, dx, dy):
    mask = np.zeros((80, 80), bool)
    mask[:, :40] = True
    to_source = np.array([[scale, 0, 40 - 10 * scale + dx], [0, scale, 40 - 10 * scale + dy]])
    patch = sample_mask(mask, to_source, (20, 20))
    edge = (40 - to_source[0, 2]) / scale
    centres = np.arange(20) + 0.5
    np.testing.assert_array_equal(
        patch[10][np.abs(centres - edge) > 1e-6], (centres < edge)[np.abs(centres - edge) > 1e-6]
    )
