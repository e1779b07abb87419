"""Nearest patches against a naive reference; the mean shape; the mean depth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuning.toy import toy_cases
from tuning.baselines import hamming, mean_depth_errors_mm, mean_shape, nearest_mean
from tuning.folds import make_folds


def naive_nearest_mean(train_packed, train_points, test_packed, neighbours):
    """One pixel at a time: the reference."""
    found = np.full((len(test_packed), *train_points.shape[1:]), np.nan)
    train_bits, test_bits = np.unpackbits(train_packed, axis=1), np.unpackbits(test_packed, axis=1)
    for m, bits in enumerate(test_bits):
        for k in range(train_points.shape[1]):
            ranked = sorted(
                (int(np.count_nonzero(bits != other)), n)
                for n, other in enumerate(train_bits)
                if np.isfinite(train_points[n, k]).all()
            )
            chosen = [n for _, n in ranked[:neighbours]]
            if chosen:
                found[m, k] = train_points[chosen, k].astype(np.float64).mean(0)
    return found


@given(seed=st.integers(0, 2**31), num_train=st.integers(1, 12), neighbours=st.integers(1, 4), missing=st.booleans())
def test_nearest_mean_equals_the_naive_reference_also_with_ties(seed, num_train, neighbours, missing):
    generator = np.random.default_rng(seed)
    train = generator.integers(0, 2, (num_train, 3), np.uint8)  # three bytes of 0 or 1: many ties
    test = generator.integers(0, 2, (5, 3), np.uint8)
    points = generator.normal(0, 10, (num_train, 4, 2))
    if missing:
        points[generator.random((num_train, 4)) < 0.4] = np.nan
    ours = nearest_mean(train, points, test, neighbours)
    np.testing.assert_allclose(ours, naive_nearest_mean(train, points, test, neighbours), rtol=1e-5, atol=1e-5)


def test_hamming_counts_differing_bits_exactly():
    generator = np.random.default_rng([3, 0])
    a, b = generator.integers(0, 256, (300, 1152), np.uint8), generator.integers(0, 256, (1100, 1152), np.uint8)
    reference = np.unpackbits(a[:20, None] ^ b[None], axis=2).sum(2)
    np.testing.assert_array_equal(hamming(a, b)[:20], reference)


def test_a_training_patch_is_its_own_nearest():
    cases = toy_cases(12, 1)
    found = nearest_mean(cases.samples.packed, cases.points, cases.samples.packed, neighbours=1)
    np.testing.assert_allclose(found, cases.points, atol=1e-4)


def test_progress_counts_every_test_row():
    cases, seen = toy_cases(12, 1), []
    nearest_mean(cases.samples.packed, cases.points, cases.samples.packed, on_rows=seen.append)
    assert sum(seen) == 12


def test_no_neighbour_and_no_training_patch_are_refused():
    cases = toy_cases(4, 1)
    with pytest.raises(ValueError, match="neighbours is 0"):
        nearest_mean(cases.samples.packed, cases.points, cases.samples.packed, neighbours=0)
    with pytest.raises(ValueError, match="at least one training patch"):
        nearest_mean(cases.samples.packed[:0], cases.points[:0], cases.samples.packed)


def test_mean_shape_leaves_out_what_is_not_annotated():
    points = np.array([[[1.0, 2.0], [np.nan, np.nan]], [[3.0, 4.0], [np.nan, np.nan]]])
    np.testing.assert_array_equal(mean_shape(points), [[2.0, 3.0], [np.nan, np.nan]])


def test_mean_depth_uses_training_cases_alone_and_is_in_mm():
    cases = toy_cases(8, 2, depth=True, pixel_mm=2.0)
    folds = make_folds(cases.subjects, 2, 1)
    errors = mean_depth_errors_mm(cases, folds)
    assert np.isfinite(errors).all()
    fold = folds[0]
    mean, deviation = cases.depth_scales()
    guess = cases.depths()[fold.train].mean(0)
    n = fold.test[0]
    expected = np.abs(cases.samples.landmarks[n, :, 2] - (mean[n] + guess * deviation[n]))
    np.testing.assert_allclose(errors[n], expected, atol=1e-3)


def test_without_depth_there_is_no_depth_error():
    cases = toy_cases(4, 1)
    assert np.isnan(mean_depth_errors_mm(cases, make_folds(cases.subjects, 2, 1))).all()
