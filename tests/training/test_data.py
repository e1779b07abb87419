"""Resident patches: bits, missing landmarks, the plan."""

import numpy as np
import torch

from synth.domain.anatomy import HAND
from synth.domain.schema import unpack_silhouettes
from tests.training.toy import toy_samples
from training.data import Patches, order


def test_images_are_the_silhouettes_that_were_packed():
    samples = toy_samples(9, 1)
    patches = Patches.from_samples(samples, HAND)
    index = torch.tensor([7, 0, 3])
    expected = unpack_silhouettes(samples.packed, HAND.size)[index.numpy()]
    images = patches.images(index)
    assert images.shape == (3, 1, 96, 96) and images.dtype == torch.float32
    assert np.array_equal(images[:, 0].numpy(), expected)


def test_missing_landmarks_are_not_valid_and_no_nan_remains():
    samples = toy_samples(3, 1)
    samples.landmarks[1, 2] = np.nan
    patches = Patches.from_samples(samples, HAND)
    assert patches.valid.sum() == 14 and not patches.valid[1, 2]
    assert patches.points.isfinite().all()


def test_select_keeps_rows_together():
    patches = Patches.from_samples(toy_samples(5, 1, first_id=10), HAND)
    part = patches.select(torch.tensor([4, 1]))
    assert part.sample_id.tolist() == [14, 11]
    assert torch.equal(part.images(torch.tensor([0])), patches.images(torch.tensor([4])))


def test_the_plan_visits_every_sample_once_and_differs_by_epoch():
    first, second = order(1, 0, 100), order(1, 1, 100)
    assert sorted(first) == list(range(100)) and not np.array_equal(first, second)
    assert np.array_equal(first, order(1, 0, 100))
