"""Depth methods: each finds the depths it is made for, at the pixels predicted, from training subjects alone."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tuning.toy import toy_cases
from training.surface import nearest_tissue
from tuning.depths import BOTH, LATERAL, MEAN, REGRESSED, SURFACE, THICKNESS, depth_errors_mm, readings
from tuning.folds import make_folds


def thick_cases(count=8, seed=3):
    """Toy hands whose depth and thickness differ from pixel to pixel and from case to case."""
    cases = toy_cases(count, 2, depth=True, pixel_mm=2.0)
    generator = np.random.default_rng([seed, 0])
    tissue = cases.samples.depth_mm > 0
    rough = generator.uniform(100, 200, tissue.shape).astype(np.float32)
    thick = generator.uniform(10, 60, tissue.shape).astype(np.float32)
    depth, thickness = np.where(tissue, rough, 0), np.where(tissue, thick, 0)
    return replace(cases, samples=replace(cases.samples, depth_mm=depth, thickness_mm=thickness))


def labelled(cases, name, factor):
    """The cases with depths annotated at base + factor * span of a method."""
    base, span = readings(cases, cases.points)[name]
    landmarks = cases.samples.landmarks.copy()
    landmarks[:, :, 2] = base + factor * span
    return replace(cases, samples=replace(cases.samples, landmarks=landmarks))


@pytest.mark.parametrize(("name", "factor"), [(SURFACE, 7.5), (THICKNESS, 0.4), (LATERAL, 0.7)])
def test_each_method_is_exact_where_its_own_law_holds(name, factor):
    cases = labelled(thick_cases(), name, factor * np.linspace(0.5, 1.0, 5))
    folds = make_folds(cases.subjects, 2, 1)
    errors = depth_errors_mm(cases, folds, cases.points, None)
    assert list(errors) == [MEAN, SURFACE, THICKNESS, LATERAL]
    assert errors[name].max() < 1e-3
    others = [errors[other].mean() for other in errors if other != name]
    assert min(others) > 1.0


def test_depth_is_read_where_the_landmark_was_predicted_not_where_it_is():
    cases = labelled(thick_cases(), SURFACE, 0.0)
    folds = make_folds(cases.subjects, 2, 1)
    errors = depth_errors_mm(cases, folds, cases.points - [0.0, 4.0], None)
    assert errors[SURFACE].mean() > 5.0


def test_a_point_beside_the_tissue_reads_the_nearest_of_it():
    depth = np.zeros((1, 20, 10), np.float32)
    depth[0, 5:15, 3:7] = 50.0
    rows, cols = nearest_tissue(depth, np.array([[[0.5, 10.5], [9.9, 99.0], [4.5, 6.5], [np.nan, 1.0]]]))
    assert list(zip(rows[0, :3], cols[0, :3], strict=True)) == [(10, 3), (14, 6), (6, 4)]


def test_a_regressed_depth_that_errs_otherwise_halves_what_the_surface_errs():
    cases = labelled(thick_cases(40), SURFACE, 7.5)
    true = cases.samples.landmarks[:, :, 2].astype(np.float64)
    noise = np.random.default_rng([4, 0]).normal(0, 10, (2, *true.shape))
    landmarks = cases.samples.landmarks + np.dstack([np.zeros((*true.shape, 2)), noise[0]]).astype(np.float32)
    noisy = replace(cases, samples=replace(cases.samples, landmarks=landmarks))
    means, deviations = noisy.depth_scales()
    regressed = (true + noise[0] + noise[1] - means[:, None]) / deviations[:, None]
    errors = depth_errors_mm(noisy, make_folds(noisy.subjects, 4, 1), noisy.points, regressed)
    assert errors[BOTH].mean() < 0.8 * min(errors[SURFACE].mean(), errors[REGRESSED].mean())


def test_factors_come_from_training_subjects_alone():
    cases = labelled(thick_cases(), THICKNESS, 0.4)
    folds = make_folds(cases.subjects, 2, 1)
    landmarks = cases.samples.landmarks.copy()
    landmarks[folds[0].test, :, 2] += 30.0
    other = replace(cases, samples=replace(cases.samples, landmarks=landmarks))
    errors = depth_errors_mm(other, folds, cases.points, None)
    np.testing.assert_allclose(errors[THICKNESS][folds[0].test], 30.0, rtol=1e-3)
    assert (errors[THICKNESS][folds[1].test] > 5.0).all()


def test_regressed_depths_stand_last_and_missing_annotations_stay_unknown():
    cases = labelled(thick_cases(), SURFACE, 0.0)
    cases.samples.landmarks[0, 2] = np.nan
    folds = make_folds(cases.subjects, 2, 1)
    errors = depth_errors_mm(cases, folds, cases.points, cases.depths())
    assert list(errors)[-2:] == [REGRESSED, BOTH] and np.nanmax(errors[REGRESSED]) < 1e-6
    for values in errors.values():
        assert np.isnan(values[0, 2]) and np.isfinite(np.delete(values.ravel(), 2)).all()


def test_without_thickness_there_is_the_surface_and_without_depth_nothing():
    cases = toy_cases(4, 1, depth=True, pixel_mm=2.0)
    folds = make_folds(cases.subjects, 2, 1)
    assert list(depth_errors_mm(cases, folds, cases.points, None)) == [MEAN, SURFACE]
    assert depth_errors_mm(toy_cases(4, 1), folds, cases.points, None) == {}
