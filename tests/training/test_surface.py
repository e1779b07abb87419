"""A landmark's depth is read off the surface where that errs less than the model's own depth."""

from dataclasses import replace

import numpy as np

from synth.domain.anatomy import HAND
from synth.domain.annotation import normalise_landmark_depth
from synth.domain.schema import unpack_silhouettes
from tests.training.toy import toy_samples
from training.data import Patches
from training.surface import beneath_surface, surface_mm

BENEATH = np.array([5.0, 0.0, -2.0, 1.0, 3.0])


def sloped(count: int) -> tuple[Patches, np.ndarray, np.ndarray, np.ndarray]:
    """(patches, depth maps that rise to the right, their points, the true depths: BENEATH the surface there)."""
    samples = toy_samples(count, 1)
    depth = np.float32(unpack_silhouettes(samples.packed, HAND.size) * np.linspace(50, 150, HAND.width))
    points = samples.landmarks[:, :, :2]
    true = surface_mm(depth, points) + BENEATH
    landmarks = np.dstack([points, true]).astype(np.float32)
    samples = replace(samples, depth_mm=depth, landmarks=landmarks)
    return Patches.from_samples(samples, HAND, inputs=("depth",)), depth, points, true


def test_what_lies_beneath_is_found_and_folded_ones_do_not_count():
    patches, depth, points, true = sloped(9)
    true[0] += 40.0  # hidden behind other tissue
    own = np.full((9, 5), -9.0)  # deviations: far off
    np.testing.assert_allclose(beneath_surface(depth, true, points, own, patches), BENEATH, atol=1e-2)


def test_a_nearer_depth_of_the_models_own_stays():
    patches, depth, points, true = sloped(9)
    noisy = true + np.random.default_rng(1).normal(0, 3, true.shape)  # the surface is 3 mm off, the network is not
    landmarks = [normalise_landmark_depth(noisy[n], depth[n]) for n in range(9)]
    moved = replace(patches, landmark_mm=patches.landmark_mm.new_tensor(noisy))
    assert beneath_surface(depth, noisy, points, np.stack(landmarks), moved) == (None,) * 5


def test_unknown_depths_tell_nothing():
    patches, depth, points, true = sloped(4)
    assert beneath_surface(depth, np.full_like(true, np.nan), points, np.zeros((4, 5)), patches) == (None,) * 5
