"""Figures show what they say: clouds of errors around one shape, cases by falling error, the same bytes twice."""

from dataclasses import replace

import numpy as np

from tests.tuning.test_table import shifted, whole_ladder
from tests.tuning.toy import toy_cases, toy_samples
from tuning.diagrams import case_means, worst_first
from tuning.figures import mean_annotation, projected
from tuning.pictures import by_mean, pictures_of
from tuning.table import METHOD_NAMES


def test_in_the_common_image_only_errors_are_left():
    cases = toy_cases(6, 1)
    cases.samples.landmarks[2, 3] = np.nan
    centre = mean_annotation(cases)
    np.testing.assert_allclose(centre[3], np.delete(cases.points[:, 3], 2, axis=0).mean(0))
    known = np.isfinite(cases.points).all(2)
    np.testing.assert_allclose(projected(cases, cases.points)[known], np.broadcast_to(centre, (6, 5, 2))[known])
    moved = projected(cases, cases.points + np.array([3.0, -4.0]))
    np.testing.assert_allclose((moved - centre)[known], np.broadcast_to([3.0, -4.0], (6, 5, 2))[known])
    assert np.isnan(moved[2, 3]).all()


def test_cases_without_an_error_come_last_and_equal_ones_in_order():
    errors = np.array([[1.0, 3.0], [np.nan, np.nan], [5.0, np.nan], [2.0, 2.0]])
    np.testing.assert_array_equal(case_means(errors), [2.0, np.nan, 5.0, 2.0])
    assert worst_first(case_means(errors)) == [2, 0, 3, 1]


def test_the_worst_are_those_of_every_fine_tuned_network_or_of_the_best_method():
    cases = toy_cases(4, 1)
    methods = whole_ladder(cases, network="a", tuned=3.0) + whole_ladder(cases, network="b", tuned=1.0)[2:]
    assert [method.label for method in by_mean(cases, methods)] == ["CNN(ft) b", "CNN(ft) a"]
    assert [method.label for method in by_mean(cases, methods[:2])] == ["NN(study)"]


def test_pictures_have_names_of_their_own_for_any_methods():
    cases = replace(toy_cases(3, 1), virtual=True)
    cases.samples.landmarks[1, 2] = np.nan
    methods = [shifted(cases, name, "n" * name.startswith("CNN"), 2.0) for name in METHOD_NAMES if name != "CNN(ft)"]
    pictures = pictures_of(cases, methods, toy_samples(3, 2))
    assert len({picture.file for picture in pictures}) == len(pictures) >= 7
    starts = {"png": b"\x89PNG", "svg": b"<?xml"}
    assert all(picture.data.startswith(starts[picture.form]) for picture in pictures)
