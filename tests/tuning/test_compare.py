"""A comparison by subject: its interval holds what it says, its p is uniform under the null, signs mean one thing."""

import numpy as np
import pytest
from scipy import stats

from tuning.compare import LEAST_SUBJECTS, compare, holm, mean_difference, sign_flip_p, studentised, subject_means

NAMES = [f"s{i:02d}" for i in range(12)]


def pair(index, num_subjects=12):
    """Errors of two methods with a true difference of -0.5: skewed, and alike within a subject."""
    generator = np.random.default_rng([7, index])
    hard = generator.gamma(4, 0.25, num_subjects)
    return hard * generator.gamma(4, 0.125, num_subjects), hard * generator.gamma(4, 0.25, num_subjects)


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    inside = 0
    for index in range(200):
        low, high = studentised(mean_difference, *pair(index))
        inside += low <= -0.5 <= high
    assert 0.90 <= inside / 200 <= 0.985  # 0.95, and what 200 draws of 12 subjects may show


def test_the_ratio_and_its_interval_do_not_depend_on_the_unit():
    a, b = (values[:, None] for values in pair(1))
    one, ten = compare(a, b, NAMES), compare(10 * a, 10 * b, NAMES)
    assert one.ratio == pytest.approx(one.a / one.b) == pytest.approx(ten.ratio)
    assert one.ratio_interval == pytest.approx(ten.ratio_interval)
    assert one.ratio_interval[0] < one.ratio < one.ratio_interval[1]


def test_p_is_uniform_where_there_is_no_difference():
    ps = [sign_flip_p(np.random.default_rng([3, index]).normal(size=10)) for index in range(200)]
    assert stats.kstest(ps, "uniform").pvalue > 0.01
    assert np.mean(np.array(ps) <= 0.05) <= 0.09


def test_p_is_the_closed_form_for_unbroken_wins():
    assert sign_flip_p(np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)
    assert sign_flip_p(np.array([1.0, -1.0, 2.0, -2.0, 1.0, -1.0])) == 1.0
    assert sign_flip_p(np.ones(30)) < 0.001


def test_holm_is_the_worked_example():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])
    assert holm([]).size == 0


def test_a_negative_difference_means_the_first_is_better():
    a, b = (values[:, None] for values in pair(2))
    ours, theirs = compare(a, b, NAMES), compare(b, a, NAMES)
    assert ours.difference == pytest.approx(ours.a - ours.b) and ours.difference < 0 and ours.ratio < 1
    assert ours.difference == pytest.approx(-theirs.difference) and ours.p == theirs.p
    assert ours.interval == pytest.approx((-theirs.interval[1], -theirs.interval[0]))
    assert ours.better + theirs.better == 12 and ours.better > 6


def test_subjects_count_once_and_only_with_landmarks_that_both_have():
    a, b = np.array([[0.0, 9.0], [0.0, 9.0], [0.0, 9.0], [5.0, 9.0]]), np.full((4, 2), 1.0)
    b[:, 1] = np.nan
    result = compare(a, b, ["x", "x", "x", "y"])
    assert result.difference == pytest.approx((-1 + 4) / 2)
    assert (result.better, result.num_subjects) == (1, 2)
    np.testing.assert_allclose(subject_means(b, ["x", "x", "y", "y"]), 1.0)
    with pytest.raises(ValueError, match="no landmark in common"):
        compare(a, np.full((4, 2), np.nan), ["x", "x", "x", "y"])


def test_too_few_subjects_are_described_and_not_tested():
    a, b = (values[: LEAST_SUBJECTS - 1, None] for values in pair(3))
    result = compare(a, b, NAMES[: LEAST_SUBJECTS - 1])
    assert (result.interval, result.ratio_interval, result.p) == (None, None, None)
    assert np.isfinite([result.difference, result.ratio]).all()


def test_equal_differences_have_an_interval_of_no_width():
    a = np.full((12, 1), 2.0)
    assert compare(a, a + 1, NAMES).interval == (-1.0, -1.0)
    assert compare(a, a, NAMES).p == 1.0
