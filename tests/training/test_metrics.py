"""Errors and summaries leave out what is unknown."""

import numpy as np

from training.metrics import errors_mm, errors_px, summarise


def test_errors_are_distances_in_px_and_mm():
    predicted = np.array([[[3.0, 4.0], [0.0, 0.0]]])
    true = np.array([[[0.0, 0.0], [np.nan, np.nan]]])
    assert errors_px(predicted, true)[0, 0] == 5 and np.isnan(errors_px(predicted, true)[0, 1])
    assert errors_mm(predicted, true, np.array([[2.0, 1.0]]))[0, 0] == np.hypot(6, 4)


def test_summary_of_landmarks_and_of_all():
    summary = summarise(np.array([[1.0, np.nan], [3.0, np.nan], [2.0, 6.0]]))
    assert summary.mean.tolist() == [2.0, 6.0] and summary.count.tolist() == [3, 1]
    assert summary.sd[0] == 1 and np.isnan(summary.sd[1])
    assert summary.overall_mean == 3.0 and summary.overall_median == 2.5
    assert np.isnan(summarise(np.full((2, 1), np.nan)).overall_mean)
