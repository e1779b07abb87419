"""Conformal radii: the closed form of the quantile, and coverage by subject."""

import math
from fractions import Fraction
from itertools import pairwise

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
    subjects = [f"s{i // 2}" for i in range(16)]
    radii = conformal_radii(np.ones((16, 2)), np.ones((16, 2)), subjects)
    assert radii.radius == (None, None) and radii.num_subjects == (8, 8) and radii.simultaneous is None
    assert "at least 9" in radii.reason and "8" in radii.reason


def test_all_landmarks_together_need_subjects_that_have_all():
    residuals = np.ones((18, 2))
    residuals[:9, 0] = residuals[9:, 1] = np.nan
    radii = conformal_radii(residuals, np.ones((18, 2)), [f"s{i}" for i in range(18)])
    assert radii.radius == (1.0, 1.0) and radii.simultaneous is None and radii.num_simultaneous == 0
    assert "every one" in radii.reason


def test_nine_in_ten_new_subjects_lie_within_the_radius():
    generator = np.random.default_rng([7, 7])
    held = []
    for _ in range(2000):
        scores = generator.exponential(1, 30)
        radius = conformal_radius(scores[:29])
        held.append(scores[29] <= radius)
    assert 0.88 < np.mean(held) < 0.925  # exactly 27/30 in the long run


def draw_study(num_subjects: int, generator: np.random.Generator):
    """(residuals, sigma) (N, 3) and N subjects of 3 cases each; subjects differ, and so do their cases."""
    subjects = [f"s{i // 3:04d}" for i in range(3 * num_subjects)]
    person = np.repeat(generator.lognormal(0, 0.4, num_subjects), 3)[:, None]
    spread = generator.lognormal(0, 0.6, (len(subjects), 3)) * [1.0, 3.0, 0.5]
    residuals = person * spread * np.hypot(*generator.normal(0, 1, (2, len(subjects), 3)))
    residuals[generator.random(residuals.shape) < 0.03] = np.nan
    return residuals, spread * generator.lognormal(0, 0.2, spread.shape), subjects


def held(residuals, sigma, subjects, multiples) -> np.ndarray:
    """(S, K) whether all cases of a subject lie within these multiples of their sigma, NaN where unknown."""
    scores = subject_scores(residuals / sigma, subjects)
    return np.where(np.isfinite(scores), scores <= multiples, np.nan)


def test_coverage_over_draws_of_a_heteroscedastic_study():
    each, together = [], []
    new, expected, people = draw_study(2000, np.random.default_rng([1, 1]))
    for draw in range(60):
        residuals, sigma, subjects = draw_study(30, np.random.default_rng([2, draw]))
        radii = conformal_radii(residuals, sigma, subjects)
        each.append(np.nanmean(held(new, expected, people, np.array(radii.radius)), axis=0))
        together.append(np.nanmean(held(new, expected, people, radii.simultaneous).min(1)))
    assert (np.abs(np.mean(each, axis=0) - 0.9) < 0.03).all()
    assert 0.87 < np.mean(together) < 0.93
    joint = held(new, expected, people, np.array(radii.radius)).min(1)
    assert np.nanmean(joint) < 0.85  # radii of single landmarks do not hold all at once


def test_normalised_radii_are_smaller_where_sigma_knows_the_error():
    residuals, sigma, subjects = draw_study(400, np.random.default_rng([3, 1]))
    plain = conformal_radii(residuals, np.ones_like(sigma), subjects).radius
    normalised = np.array(conformal_radii(residuals, sigma, subjects).radius) * sigma.mean(0)
    assert (normalised < 0.8 * np.array(plain)).all()


def test_radii_grow_with_the_level_and_forget_the_order():
    residuals, sigma, subjects = draw_study(40, np.random.default_rng([4, 1]))
    levels = [conformal_radii(residuals, sigma, subjects, level) for level in (0.5, 0.8, 0.9, 0.95)]
    for low, high in pairwise(levels):
        assert low.simultaneous < high.simultaneous
        assert all(a <= b for a, b in zip(low.radius, high.radius, strict=True))
    order = np.random.default_rng([4, 2]).permutation(len(subjects))
    assert conformal_radii(residuals[order], sigma[order], [subjects[i] for i in order]) == levels[2]


def test_a_landmark_never_annotated_leaves_the_others_alone():
    residuals, sigma, subjects = draw_study(20, np.random.default_rng([5, 1]))
    alone = conformal_radii(residuals, sigma, subjects)
    residuals, sigma = np.column_stack([residuals, np.full(60, np.nan)]), np.column_stack([sigma, np.full(60, np.nan)])
    radii = conformal_radii(residuals, sigma, subjects)
    assert radii.radius == (*alone.radius, None) and radii.num_subjects[3] == 0
