"""A case as small or as large as nothing that was learnt from is told by its millimetres."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.test_predict import case, loaded
from training.extent import beyond, extent_mm, seen_range
from training.predict import predict_case


def test_an_extent_is_that_of_the_landmarks_in_mm():
    square = np.array([[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]])
    np.testing.assert_allclose(extent_mm(square, np.array([[3.0, 3.0]])), 3 * np.sqrt(2))
    np.testing.assert_allclose(extent_mm(square + 7, np.array([[3.0, 3.0]])), 3 * np.sqrt(2))
    square[0, 1] = np.nan
    assert np.isnan(extent_mm(square, np.array([[3.0, 3.0]]))).all()


def test_a_range_is_widened_and_what_is_unknown_does_not_count():
    points = np.random.default_rng([1, 0]).uniform(0, 96, (20, 5, 2))
    spacing = np.full((20, 2), 2.0)
    low, high = seen_range(points, spacing)
    assert low == pytest.approx(extent_mm(points, spacing).min(), abs=0.01) and high > low
    assert seen_range(points, spacing, (1.0, high)) == (1.0, high)
    assert seen_range(points, spacing * np.nan) is None and seen_range(points, spacing * np.nan, (1.0, 2.0)) == (
        1.0,
        2.0,
    )
    assert beyond(low / 2, (low, high)) and beyond(high * 2, (low, high)) and not beyond(low, (low, high))
    assert not beyond(np.nan, (low, high)) and not beyond(low / 2, None)


@pytest.mark.parametrize(("factor", "status"), [(0.5, "untrusted"), (1.0, "ok"), (2.0, "untrusted")])
def test_a_case_of_another_size_is_not_placed_and_it_says_why(factor, status):
    points = [[46.0, 60.0], [48.0, 62.0], [50.0, 60.0], [48.0, 58.0], [48.0, 60.0]]
    found = predict_case(loaded(points), case())
    extent = float(extent_mm(found.patch[None], case().pixel_mm[None])[0])
    model = loaded(points)
    model = replace(model, card=replace(model.card, extent_mm=(0.9 * extent / factor, 1.1 * extent / factor)))
    judged = predict_case(model, case())
    assert judged.status == (status,) * 5
    assert ("is the spacing right" in judged.doubt) == (status == "untrusted")
    unknown = replace(case(), pixel_mm=np.full(2, np.nan, np.float32))
    assert predict_case(model, unknown).doubt == ""
