"""Resident patches: bits, missing landmarks, the plan."""

import numpy as np
import torch

from synth.domain.anatomy import HAND
from synth.domain.schema import unpack_silhouettes
from tests.training.toy import toy_samples
from training.data import Patches
from training.plan import BLOCK, WINDOW, order, windows


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


def test_the_plan_mixes_windows_of_blocks_that_lie_together():
    count = 3 * WINDOW * BLOCK + 100
    rows = order(1, 0, count)
    assert np.array_equal(np.sort(rows), np.arange(count))
    parts = list(windows(1, 0, count))
    assert np.array_equal(np.concatenate(parts), rows) and max(map(len, parts)) == WINDOW * BLOCK
    assert all(len(np.unique(part // BLOCK)) <= WINDOW for part in parts)
    assert np.abs(np.diff(parts[0])).mean() > BLOCK


def test_batches_are_those_of_the_plan_from_any_step_on():
    patches = Patches.from_samples(toy_samples(20, 1), HAND)
    whole = [batch.sample_id.tolist() for batch in patches.batches(1, 2, 6)]
    assert [len(ids) for ids in whole] == [6, 6, 6, 2] and np.array_equal(np.concatenate(whole), order(1, 2, 20))
    assert [batch.sample_id.tolist() for batch in patches.batches(1, 2, 6, 2)] == whole[2:]


def test_the_plan_visits_every_sample_once_and_differs_by_epoch():
    first, second = order(1, 0, 100), order(1, 1, 100)
    assert sorted(first) == list(range(100)) and not np.array_equal(first, second)
    assert np.array_equal(first, order(1, 0, 100))
