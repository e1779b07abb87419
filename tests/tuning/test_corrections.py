"""Corrections undo what they are made for, and never see the subjects they are measured on."""

import numpy as np
import pytest

from tests.tuning.toy import toy_cases
from tuning.corrections import affine, convention, offset, out_of_fold
from tuning.folds import make_folds

TURN = np.array([[0.9, 0.2], [-0.1, 1.1]])


def test_an_offset_of_every_landmark_is_undone():
    cases = toy_cases(8, 1)
    shift = np.random.default_rng([1, 0]).normal(0, 5, (5, 2))
    corrected = offset(cases.points[:4] - shift, cases.points[:4], cases.points[4:] - shift)
    np.testing.assert_allclose(corrected, cases.points[4:], atol=1e-4)


def test_a_convention_is_told_as_far_as_it_is_no_chance():
    rng = np.random.default_rng([2, 0])
    annotated = rng.uniform(0, 96, (4000, 30, 2))
    noise = rng.normal(0, 1, annotated.shape)
    np.testing.assert_allclose(convention(annotated - [3.0, -1.0] + noise, annotated), [[3.0, -1.0]] * 30, atol=0.1)
    few = [convention(annotated[:8] + noise[at : at + 8], annotated[:8]) for at in range(0, 4000, 8)]
    plain = noise.reshape(500, 8, 30, 2).mean(1)
    assert (np.linalg.norm(few, axis=-1) <= np.linalg.norm(plain, axis=-1) + 1e-9).all()
    assert np.square(few).mean() < 0.6 * np.square(plain).mean()


def test_one_case_and_landmarks_that_nobody_annotated_tell_no_convention():
    cases = toy_cases(4, 1)
    annotated = cases.points + 2.0
    annotated[:, 1] = np.nan
    annotated[1:, 2] = np.nan
    found = convention(cases.points, annotated)
    np.testing.assert_allclose(found, [[2, 2], [0, 0], [0, 0], [2, 2], [2, 2]], atol=1e-4)
    np.testing.assert_array_equal(convention(cases.points[:1], annotated[:1]), np.zeros((5, 2)))


def test_an_affine_map_is_undone_by_affine_and_not_by_offset():
    cases = toy_cases(8, 1)
    predicted = cases.points @ TURN + [3.0, -2.0]
    found = affine(predicted[:4], cases.points[:4], predicted[4:])
    np.testing.assert_allclose(found, cases.points[4:], atol=1e-3)
    assert np.abs(offset(predicted[:4], cases.points[:4], predicted[4:]) - cases.points[4:]).max() > 0.3


@pytest.mark.parametrize("known", [0, 1, 2])
def test_too_few_points_for_an_affine_map_make_an_offset(known):
    cases = toy_cases(4, 1)
    annotated = np.full_like(cases.points, np.nan)
    annotated[0, :known] = cases.points[0, :known] + 1.5
    found = affine(cases.points, annotated, cases.points)
    np.testing.assert_allclose(found[:, :known], cases.points[:, :known] + 1.5, atol=1e-5)
    np.testing.assert_array_equal(found[:, known:], cases.points[:, known:])


def test_points_on_a_line_make_an_offset():
    predicted = np.stack([np.column_stack([np.arange(5.0), 2 * np.arange(5.0)])] * 3)
    np.testing.assert_allclose(affine(predicted, predicted + 2.0, predicted), predicted + 2.0)


@pytest.mark.parametrize("correct", [offset, affine])
def test_a_correction_never_sees_the_subjects_it_is_measured_on(correct):
    cases = toy_cases(12, 2)
    folds = make_folds(cases.subjects, 2, 1)
    predicted = cases.points @ TURN
    before = out_of_fold(cases, folds, predicted, correct)
    cases.samples.landmarks[folds[0].test] += 50.0
    after = out_of_fold(cases, folds, predicted, correct)
    np.testing.assert_array_equal(before[folds[0].test], after[folds[0].test])
    assert (before[folds[1].test] != after[folds[1].test]).all()
