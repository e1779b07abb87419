"""Augmentation moves image and landmarks alike, and the crop stays one that a scan could give."""

import numpy as np
import pytest
import torch

from synth.domain.anatomy import BODY, HAND
from synth.domain.patch import Crop
from synth.domain.schema import unpack_silhouettes
from tests.training.toy import toy_samples
from training.augment import Changes, Warps, boxes, change, draw_warps
from training.data import Batch

CROP = Crop()


def warp(images, points, warps, crop=CROP):
    """(images, points) under warps alone."""
    batch = Batch(silhouette=images, depth_mm=None, observed=torch.ones_like(images), points=points)
    moved = change(batch, Changes(warps=warps, unseen=torch.zeros(points.shape[:2], dtype=torch.bool)), crop)
    assert moved.observed.all()
    return moved.silhouette, moved.points


def marked(size, points):
    """Images (1, 1, H, W) with discs at `points`, and the points (1, K, 2)."""
    y, x = np.indices(size) + 0.5
    image = np.zeros(size, np.float32)
    for px, py in points:
        image[np.hypot(x - px, y - py) < 5.5] = 1
    return torch.as_tensor(image)[None, None], torch.tensor(points, dtype=torch.float32)[None]


def centroids_near(image, points, radius=9):
    rows, cols = np.nonzero(image.numpy())
    pixels = np.column_stack([cols, rows]) + 0.5
    return np.stack([pixels[np.hypot(*(pixels - p).T) < radius].mean(0) for p in points.numpy()])


@pytest.mark.parametrize("size", [HAND.size, BODY.size])
def test_marks_move_with_their_landmarks(size):
    height, width = size
    image, points = marked(
        size, [(0.3 * width, 0.3 * height), (0.7 * width, 0.35 * height), (0.5 * width, 0.7 * height)]
    )
    for seed in range(8):
        warps = draw_warps(1, size, 1.5, np.random.default_rng([seed]))
        warps = Warps(linear=warps.linear, jitter=warps.jitter, edge=torch.zeros_like(warps.edge))
        moved_image, moved = warp(image, points, warps)
        assert (moved - points).abs().max() > 0.5
        assert np.abs(centroids_near(moved_image[0, 0], moved[0]) - moved[0].numpy()).max() < 0.35


def test_strength_0_changes_nothing():
    samples = toy_samples(4, 1)
    images = torch.as_tensor(unpack_silhouettes(samples.packed, HAND.size)[:, None]).float()
    points = torch.as_tensor(samples.landmarks[:, :, :2])
    moved_images, moved = warp(images, points, draw_warps(4, HAND.size, 0.0, np.random.default_rng([1])))
    assert torch.equal(moved_images, images)
    assert torch.allclose(moved, points, atol=1e-4)


def test_the_crop_is_fitted_again():
    samples = toy_samples(16, 2)
    images = torch.as_tensor(unpack_silhouettes(samples.packed, HAND.size)[:, None]).float()
    warps = draw_warps(16, HAND.size, 1.0, np.random.default_rng([3]))
    warps = Warps(linear=warps.linear, jitter=torch.zeros_like(warps.jitter), edge=torch.zeros_like(warps.edge))
    moved, _ = warp(images, torch.zeros(16, 5, 2), warps)
    identity = torch.eye(2).expand(16, 2, 2)
    before, after = boxes(images, identity), boxes(moved, identity)
    assert (before.mean(1) - after.mean(1)).abs().max() <= 1.0
    longest = (after[:, 1] - after[:, 0]).amax(1) - (before[:, 1] - before[:, 0]).amax(1)
    assert longest.abs().max() <= 2.0


def test_boxes_are_those_of_the_set_pixels():
    image = torch.zeros(2, 1, 10, 20)
    image[0, 0, 3:6, 4:11] = 1
    found = boxes(image, torch.eye(2).expand(2, 2, 2))
    assert found[0].tolist() == [[4, 3], [11, 6]]
    assert found[1].tolist() == [[0, 0], [20, 10]]


def test_the_outline_wanders_by_about_a_pixel():
    image = torch.zeros(1, 1, 96, 96)
    image[:, :, 20:80, 20:80] = 1
    still = draw_warps(1, HAND.size, 0.0, np.random.default_rng([1]))
    edge = torch.as_tensor(np.random.default_rng([2]).normal(0, 0.4, still.edge.shape), dtype=torch.float32)
    moved, _ = warp(image, torch.zeros(1, 1, 2), Warps(linear=still.linear, jitter=still.jitter, edge=edge))
    changed = (moved != image).sum() / (4 * 60)
    assert 0.05 < changed < 1.0
    assert (moved[:, :, 24:76, 24:76] == 1).all() and moved[:, :, :16].sum() == 0


@pytest.mark.parametrize("crop", [Crop(pixel_mm=2.0), Crop(fit="stretch")])
def test_the_crop_is_made_as_the_data_were(crop):
    samples = toy_samples(8, 2)
    images = torch.as_tensor(unpack_silhouettes(samples.packed, HAND.size)[:, None]).float()
    drawn = draw_warps(8, HAND.size, 0.0, np.random.default_rng([3]))
    linear = torch.diag(torch.tensor([0.8, 0.6])).expand(8, 2, 2)
    moved, _ = warp(images, torch.zeros(8, 5, 2), Warps(linear=linear, jitter=drawn.jitter, edge=drawn.edge), crop)
    identity = torch.eye(2).expand(8, 2, 2)
    before, after = (boxes(some, identity) for some in (images, moved))
    expected = torch.tensor([0.8, 0.6]) if crop.pixel_mm else torch.ones(2)
    ratio = (after[:, 1] - after[:, 0]) / (before[:, 1] - before[:, 0])
    assert (ratio - expected).abs().max() < 0.03 and (before.mean(1) - after.mean(1)).abs().max() <= 1.0
