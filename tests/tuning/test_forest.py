"""The forest: box features in closed form, votes that beat mean shape and nearest patches, one forest of one seed."""

import numpy as np
import pytest

from synth.domain.schema import unpack_silhouettes
from tests.tuning.toy import toy_cases
from training.metrics import summarise
from tuning.baselines import mean_shape, nearest_mean
from tuning.boxes import Boxes, draw_boxes, integral_images
from tuning.forest import ForestRecipe, grow

SMALL = ForestRecipe(trees=12, pixels=300, boxes=60, pairs=60)


def planes_of(cases):
    return unpack_silhouettes(cases.samples.packed, cases.anatomy.size)[:, None].astype(np.float32)


def grown(cases, rows, seed=1, recipe=SMALL):
    return grow(planes_of(cases)[rows], cases.points[rows], recipe, np.random.default_rng([seed, 0]))


def test_a_feature_is_the_mean_of_a_box_and_beyond_the_patch_is_nothing():
    image = np.random.default_rng([1, 1]).random((2, 12, 9)).astype(np.float32)
    boxes = Boxes(
        plane=np.array([0, 1]),
        low=np.array([[-1, -2], [0, 3]]),
        high=np.array([[2, 1], [4, 7]]),
        pairs=np.array([[0, 1]]),
    )
    inner, corner = boxes.features(integral_images(image), np.array([[5, 2], [10, 0]]))
    first, second = image[0, 4:7, 0:3].mean(), image[1, 5:9, 5:9].mean()
    np.testing.assert_allclose(inner, [first, second, first - second], rtol=1e-5)
    assert corner[0] == pytest.approx(image[0, 9:12, :1].sum() / 9, rel=1e-5)


def test_drawn_boxes_keep_to_their_reach_and_pairs_to_one_plane():
    boxes = draw_boxes(np.random.default_rng([2, 0]), 3, 200, 300, reach=20.0, longest=10.0)
    sides = boxes.high - boxes.low
    assert (sides >= 1).all() and (sides <= 10).all() and (boxes.low >= -26).all() and (boxes.high <= 26).all()
    assert (boxes.plane[boxes.pairs[:, 0]] == boxes.plane[boxes.pairs[:, 1]]).all()


def test_the_forest_finds_the_tips_of_toy_hands_far_better_than_mean_shape_and_nearest_patches():
    cases = toy_cases(30, 1)
    train, test = np.arange(20), np.arange(20, 30)
    packed = cases.samples.packed
    nearest = nearest_mean(packed[train], cases.points[train], packed[test])
    guesses = {
        "forest": grown(cases, train).predict(planes_of(cases)[test]),
        "nearest": nearest,
        "mean shape": np.tile(mean_shape(cases.points[train]), (10, 1, 1)),
    }
    error = {name: np.hypot(*(points - cases.points[test]).T).mean() for name, points in guesses.items()}
    assert error["forest"] < 0.6 * min(error["nearest"], error["mean shape"])
    assert error["forest"] < 2.0


def test_one_seed_is_one_forest():
    cases = toy_cases(10, 1)
    first, again, other = (grown(cases, np.arange(8), seed).predict(planes_of(cases)[8:]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_missing_annotations_have_no_vote():
    cases = toy_cases(24, 1)
    cases.samples.landmarks[::2, 1] = np.nan
    cases.samples.landmarks[:, 3] = np.nan
    found = grown(cases, np.arange(20)).predict(planes_of(cases)[20:])
    errors = np.hypot(*(found - cases.points[20:]).transpose(2, 0, 1))
    assert np.isnan(found[:, 3]).all()
    assert summarise(errors).overall_mean < 3.0


def test_a_patch_without_tissue_gets_the_mean_shape_and_cannot_be_learnt_from():
    cases = toy_cases(10, 1)
    forest = grown(cases, np.arange(8))
    np.testing.assert_allclose(forest.predict(np.zeros((1, 1, 96, 96), np.float32))[0], mean_shape(cases.points[:8]))
    with pytest.raises(ValueError, match="has tissue"):
        grow(np.zeros((2, 1, 96, 96), np.float32), cases.points[:2], SMALL, np.random.default_rng([1, 0]))


def test_a_recipe_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        ForestRecipe(trees=0)
    with pytest.raises(ValueError, match="positive"):
        ForestRecipe(reach=0.0)
