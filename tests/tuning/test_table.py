"""The ladder in numbers: units, summaries, ratios, and sentences that follow from them."""

import csv
import io

import numpy as np
import pytest

from tests.tuning.toy import toy_cases
from tuning.table import (
    METHOD_NAMES,
    PUBLISHED,
    RATIOS,
    SUCCESS_MM,
    Method,
    describe,
    errors_csv,
    in_order,
    known_units,
    ladder_csv,
    ladder_dict,
    ladder_text,
    main_unit,
    mean_errors,
    pooled_errors,
    ratios,
)


def shifted(cases, name, network, px):
    """A method that is off by `px` along x everywhere."""
    return Method(name=name, network=network, points=cases.points + np.array([px, 0.0]))


def whole_ladder(cases, *, study=4.0, syn=2.0, tuned=1.0, network="heatmap"):
    return [
        shifted(cases, "NN(syn)", "", 6.0),
        shifted(cases, "NN(study)", "", 5.0),
        shifted(cases, "CNN(syn)", network, syn),
        shifted(cases, "CNN(study)", network, study),
        shifted(cases, "CNN(ft)", network, tuned),
    ]


def test_errors_in_every_unit_follow_the_maps():
    cases = toy_cases(4, 1, pixel_mm=2.0)
    guess = cases.points + np.array([3.0, 4.0])
    np.testing.assert_allclose(cases.errors_px(guess), 5.0, rtol=1e-5)
    np.testing.assert_allclose(cases.errors_source_px(guess), 15.0, rtol=1e-5)  # toy_samples: 3 source px a patch px
    np.testing.assert_allclose(cases.errors_mm(guess), 10.0, rtol=1e-5)


def test_without_spacing_there_are_no_mm():
    cases = toy_cases(4, 1)
    assert np.isnan(cases.errors_mm(cases.points)).all()
    assert known_units(cases) == ("px", "source_px")
    assert known_units(toy_cases(4, 1, pixel_mm=2.0)) == ("px", "source_px", "mm")


def test_ratios_stand_beside_the_published_ones():
    cases = toy_cases(4, 1)
    found = {name: (ours, paper) for name, _, ours, paper in ratios(cases, whole_ladder(cases))}
    ours, paper = found["CNN(ft) / CNN(study)"]
    assert ours == pytest.approx(0.25, rel=1e-4)
    assert paper == pytest.approx(6.63 / 8.40)
    assert found["CNN(ft) / NN(syn)"][0] == pytest.approx(1 / 6, rel=1e-4)
    assert set(PUBLISHED["hand"]) == set(PUBLISHED["body"])
    assert not {name for pair in RATIOS for name in pair} - set(PUBLISHED["hand"])


def test_text_csv_and_json_say_the_same():
    cases = toy_cases(4, 1, pixel_mm=2.0)
    methods = whole_ladder(cases)
    assert "CNN(ft) heatmap" in ladder_text(cases, methods, "mm")
    rows = list(csv.DictReader(io.StringIO(ladder_csv(cases, methods))))
    assert len(rows) == 5 * 6 * 3
    (row,) = (
        row for row in rows if (row["method"], row["landmark"], row["unit"]) == ("CNN(ft)", "thumb_tip", "mm")
    )  # fmt: skip
    assert float(row["mean"]) == pytest.approx(2.0, rel=1e-4) and row["num_cases"] == "4"
    assert ladder_dict(cases, methods)[4]["mm"]["mean"] == pytest.approx(2.0, rel=1e-4)


def test_errors_csv_leaves_out_what_is_not_annotated():
    cases = toy_cases(3, 1)
    cases.samples.landmarks[1, 2] = np.nan
    text = errors_csv(cases, [shifted(cases, "NN(syn)", "", 1.0)], np.zeros(3, np.int64))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 3 * 5 - 1
    assert not any(row["case"] == "case001" and row["landmark"] == "middle_tip" for row in rows)


def test_spread_and_success_are_the_closed_forms():
    cases = toy_cases(4, 1, pixel_mm=2.0)
    points = cases.points + np.arange(20.0).reshape(4, 5, 1) * np.array([0.5, 0.0])  # 0, 1, … 19 mm
    method = Method(name="RF", network="", points=points)
    (entry,) = ladder_dict(cases, [method])
    assert entry["mm"]["median"] == pytest.approx(9.5, rel=1e-4)
    assert entry["mm"]["p95"] == pytest.approx(18.05, rel=1e-4)
    far = Method(name="RF", network="", points=cases.points + np.array([1.5, 0.0]))  # 3 mm, well off a threshold
    (entry,) = ladder_dict(cases, [far])
    assert [entry["mm"][f"within_{limit}_mm"] for limit in (1, 2, 4, 10)] == [0, 0, 1, 1]
    assert entry["mm"]["landmarks"]["thumb_tip"]["within_4_mm"] == 1 and "within_4_mm" not in entry["px"]
    assert set(SUCCESS_MM) == set(PUBLISHED)


def test_what_is_unknown_is_nan_and_not_zero():
    assert np.isnan(list(describe(np.full(3, np.nan), (1.0,)).values())).all()
    assert np.isnan(describe(np.array([1.0]))["sd"])


def test_comparisons_are_in_mm_only_where_every_spacing_is_known():
    cases = toy_cases(4, 1, pixel_mm=2.0)
    assert main_unit(cases) == "mm"
    cases.samples.pixel_mm[0] = np.nan
    assert main_unit(cases) == "px" and "mm" in known_units(cases)


def test_seeds_are_pooled_for_the_spread_and_averaged_for_comparisons():
    cases = toy_cases(3, 1)
    method = Method(
        name="CNN(ft)", network="heatmap", points=cases.points, repeats=(cases.points + np.array([2.0, 0.0]),)
    )
    np.testing.assert_allclose(mean_errors(cases, method, "px"), 1.0, rtol=1e-5)
    assert pooled_errors(cases, method, "px").shape == (6, 5)
    (row, *_) = csv.DictReader(io.StringIO(ladder_csv(cases, [method])))
    assert float(row["mean"]) == pytest.approx(1.0, rel=1e-5) and float(row["sd"]) > 1 and row["num_cases"] == "3"


def test_methods_are_listed_by_network_and_then_by_what_they_know():
    cases = toy_cases(2, 1)
    names = [("CNN(ft)", "b"), ("CNN(syn)", "b"), ("CNN(study)", "a"), ("RF", ""), ("mean shape", "")]
    ordered = in_order([shifted(cases, name, network, 1.0) for name, network in names])
    assert [m.label for m in ordered] == ["mean shape", "RF", "CNN(syn) b", "CNN(ft) b", "CNN(study) a"]
    with pytest.raises(ValueError, match="allowed: mean shape"):
        shifted(cases, "CNN", "a", 1.0)
    with pytest.raises(ValueError, match="other shapes"):
        Method(name="RF", network="", points=cases.points, repeats=(cases.points[:1],))
    assert len(set(METHOD_NAMES)) == 9
