"""Conformal radii: the closed form of the quantile, coverage by subject, and the sigma calibration."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tuning.conformal import conformal_radii, conformal_radius, sigma_factors, subject_scores


@pytest.mark.parametrize("n", [*range(1, 40), 99, 500])
def test_the_radius_is_the_closed_form_quantile(n):
    scores = np.random.default_rng([1, n]).permutation(np.arange(1.0, n + 1))
    rank = math.ceil((n + 1) * Fraction(9, 10))
    assert conformal_radius(scores) == (float(rank) if rank <= n else None)


def test_nine_subjects_are_the_least():
    assert conformal_radius(np.arange(8.0)) is None
    assert conformal_radius(np.arange(9.0)) == 8.0


def test_a_subject_counts_once_with_its_largest_residual():
    residuals = np.array([[1.0, np.nan], [5.0, np.nan], [2.0, 3.0]])
    np.testing.assert_array_equal(subject_scores(residuals, ["a", "a", "b"]), [[5.0, np.nan], [2.0, 3.0]])


def test_too_few_subjects_give_none_and_a_reason():
    radii = conformal_radii(np.ones((16, 2)), [f"s{i // 2}" for i in range(16)])
    assert radii.radius == (None, None) and radii.num_subjects == (8, 8)
    assert "at least 9" in radii.reason and "8" in radii.reason


def test_nine_in_ten_new_subjects_lie_within_the_radius():
    generator = np.random.default_rng([7, 7])
    held = []
    for _ in range(2000):
        scores = generator.exponential(1, 30)
        radius = conformal_radius(scores[:29])
        held.append(scores[29] <= radius)
    assert 0.88 < np.mean(held) < 0.925  # exactly 27/30 in the long run


def test_sigma_factor_of_a_round_normal_is_what_it_was_scaled_by():
    generator = np.random.default_rng([5, 5])
    residuals = np.hypot(*generator.normal(0, 3.0, (2, 20000, 1)))
    (factor,) = sigma_factors(residuals, np.full((20000, 1), 1.5))
    assert factor == pytest.approx(2.0, rel=0.02)


def test_sigma_factor_is_none_for_a_network_without_sigma():
    assert sigma_factors(np.ones((3, 1)), np.full((3, 1), np.nan)) == (None,)
