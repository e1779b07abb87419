"""The third coordinate beside the mean depth, and together with the error in the image plane."""

import numpy as np
import pytest

from tests.tuning.test_table import shifted
from tests.tuning.toy import toy_cases
from tuning.depth_errors import depth_findings, depth_rows


def test_errors_in_space_are_the_hypotenuse_with_the_best_fine_tuned_network():
    cases = toy_cases(4, 1, pixel_mm=2.0)
    methods = [shifted(cases, "CNN(ft)", "a", 9.0), shifted(cases, "CNN(ft)", "b", 1.5), shifted(cases, "RF", "", 0.1)]
    (row,) = depth_rows(cases, methods, {"mean depth": np.full((4, 5), 4.0)})
    np.testing.assert_allclose(row.space, 5.0, rtol=1e-4)  # 3 mm in the plane


def test_every_depth_is_measured_by_the_mean_depth():
    cases = toy_cases(4, 1, pixel_mm=2.0)
    regressed = np.full((4, 5), 1.0)
    regressed[0] = np.nan
    depths = {"mean depth": np.full((4, 5), 4.0), "regressed": regressed, "surface": np.full((4, 5), np.nan)}
    rows = depth_rows(cases, [], depths)
    assert [(row.name, row.ratio) for row in rows] == [("mean depth", 1.0), ("regressed", 0.25)]
    assert np.isnan(rows[1].space).all()
    assert depth_findings(cases, rows) == [
        "Smallest error along the depth: regressed with 1.00 mm, 0.25 of the mean depth's (the paper: 0.33)."
    ]


def test_without_a_known_depth_nothing_is_said():
    cases = toy_cases(4, 1)
    assert depth_findings(cases, depth_rows(cases, [], {"mean depth": np.full((4, 5), np.nan)})) == []


def test_without_the_mean_depth_there_is_no_ratio():
    cases = toy_cases(4, 1)
    (row,) = depth_rows(cases, [], {"regressed": np.ones((4, 5))})
    assert np.isnan(row.ratio) and depth_findings(cases, [row])[0].endswith("with 1.00 mm.")
    assert row.errors.mean() == pytest.approx(1.0)
