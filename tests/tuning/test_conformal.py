"""Conformal radii: the closed form of the quantile, and coverage by subject."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tuning.conformal import conformal_radii, conformal_radius, subject_scores


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
