"""A landmark's depth is told from the surface, and from the model's own depth where that helps."""

import numpy as np
import pytest

from synth.domain.anatomy import HAND
from synth.domain.annotation import normalise_landmark_depth
from synth.domain.schema import unpack_silhouettes
from tests.training.toy import toy_samples
from training.surface import HALF, Beneath, beneath_surface, surface_mm

BENEATH = np.array([5.0, 0.0, -2.0, 1.0, 3.0])


def sloped(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(depth maps that rise to the right, points in them, the true depths: BENEATH the surface there)."""
    samples = toy_samples(count, 1)
    depth = np.float32(unpack_silhouettes(samples.packed, HAND.size) * np.linspace(50, 150, HAND.width))
    points = samples.landmarks[:, :, :2]
    return depth, points, surface_mm(depth, points) + BENEATH


def normalised(depths_mm: np.ndarray, planes: np.ndarray) -> np.ndarray:
    return np.stack([normalise_landmark_depth(*both) for both in zip(depths_mm, planes, strict=True)])


def test_what_lies_beneath_is_found_and_folded_ones_do_not_count():
    depth, points, true = sloped(9)
    true[0] += 40.0  # hidden behind other tissue
    own = np.full((9, 5), -9.0)  # deviations: far off
    for regressed in (True, False):
        found = beneath_surface(depth, true, points, own, regressed=regressed)
        np.testing.assert_allclose(found.mm, BENEATH, atol=1e-2)
        assert found.own_share == (0.0,) * 5 and found.sources("mean") == ("surface",) * 5


def test_a_regressed_depth_counts_half_and_a_mean_alone_where_they_tell_more():
    depth, points, true = sloped(40)
    noisy = true + np.random.default_rng(1).normal(0, 3, true.shape)  # the surface is 3 mm off
    own = normalised(noisy + np.random.default_rng(2).normal(0, 3, true.shape), depth)  # and so is the network
    found = beneath_surface(depth, noisy, points, own, regressed=True)
    assert found.own_share == (HALF,) * 5 and found.sources("regressed") == ("surface+regressed",) * 5
    own_mm = noisy + 1.0
    np.testing.assert_allclose(found.depth(true, own_mm), true + found.mm + HALF * (own_mm - true))
    exact = normalised(noisy, depth)
    alone = beneath_surface(depth, noisy, points, exact, regressed=False)
    assert alone == Beneath(mm=(None,) * 5, own_share=(1.0,) * 5)
    np.testing.assert_array_equal(alone.depth(true, own_mm), own_mm)
    assert alone.sources("mean") == ("mean",) * 5


def test_unknown_depths_tell_nothing():
    depth, points, true = sloped(4)
    found = beneath_surface(depth, np.full_like(true, np.nan), points, np.zeros((4, 5)), regressed=True)
    assert found.mm == (None,) * 5


@pytest.mark.parametrize("share", [(0.0,), (0.0, 0.3), (0.0, HALF, HALF)])
def test_shares_that_nothing_is_named_for_are_refused(share):
    with pytest.raises(ValueError, match=r"2 of 0, 0\.5 and 1 are needed"):
        Beneath(mm=(1.0, None), own_share=share)
