"""Equation (1) and depth normalisation: closed forms and round trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.domain.annotation import (
    BACKGROUND_DEPTH,
    decode_points,
    denormalise_landmark_depth,
    depth_statistics,
    encode_points,
    normalise_depth,
    normalise_landmark_depth,
)

SIZE = (160, 76)


@pytest.mark.parametrize(("eq1", "edge"), [("patch", 0.5), ("half_patch", 1.0)])
def test_corners_and_centre_take_their_published_values(eq1, edge):
    points = np.array([[0, 0], [38, 80], [76, 160]])
    np.testing.assert_allclose(encode_points(points, SIZE, eq1), [[-edge, -edge], [0, 0], [edge, edge]])


@given(st.floats(-500, 500), st.floats(-500, 500), st.sampled_from(["patch", "half_patch"]))
def test_decode_undoes_encode(x, y, eq1):
    points = np.array([[[x, y]]])
    back = decode_points(encode_points(points, SIZE, eq1), SIZE, eq1)
    assert back.shape == points.shape and back.dtype == np.float32
    np.testing.assert_allclose(back, points, atol=1e-3)


def test_missing_landmarks_stay_missing():
    assert np.isnan(encode_points(np.full((2, 2), np.nan), SIZE)).all()


def depth_map():
    depth = np.zeros((6, 8), np.float32)
    depth[1:5, 2:7] = np.random.default_rng([6, 1]).uniform(10, 200, (4, 5))
    return depth


def test_foreground_has_zero_mean_and_unit_deviation_and_background_is_3():
    depth = depth_map()
    normal = normalise_depth(depth)
    assert normal[depth > 0].mean() == pytest.approx(0, abs=1e-5)
    assert normal[depth > 0].std() == pytest.approx(1, abs=1e-5)
    assert (normal[depth == 0] == BACKGROUND_DEPTH).all() and BACKGROUND_DEPTH == 3


def test_a_landmark_on_the_surface_has_the_value_of_the_map():
    depth = depth_map()
    np.testing.assert_allclose(
        normalise_landmark_depth(depth[2, 3:5], depth), normalise_depth(depth)[2, 3:5], rtol=1e-5
    )


@given(st.floats(-300, 300))
def test_landmark_depth_comes_back(z):
    depth = depth_map()
    there = normalise_landmark_depth(np.array([z]), depth)
    assert denormalise_landmark_depth(there, depth)[0] == pytest.approx(z, abs=1e-2)


@pytest.mark.parametrize(("value", "words"), [(0.0, "no foreground"), (5.0, "flat")])
def test_depth_without_spread_is_refused(value, words):
    with pytest.raises(ValueError, match=words):
        depth_statistics(np.full((4, 4), value))
