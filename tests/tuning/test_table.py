"""The ladder in numbers: units, summaries, ratios, and sentences that follow from them."""

import csv
import io

import numpy as np
import pytest

from tests.tuning.toy import toy_cases
from tuning.findings import compare, findings, sign_flip_p
from tuning.table import PUBLISHED, Method, errors_csv, known_units, ladder_csv, ladder_dict, ladder_text, ratios


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


def test_it_says_when_fine_tuning_does_not_help():
    cases = toy_cases(16, 2)
    text = " ".join(findings(cases, whole_ladder(cases, tuned=3.0), 1))
    assert "Fine-tuning does not help here (heatmap)" in text and "50% more" in text
    assert "Pre-training on renderings helps here" in text
    text = " ".join(findings(cases, whole_ladder(cases), 1))
    assert "Fine-tuning helps here (heatmap)" in text and "8 of 8 subjects, p = 0.008" in text


def test_two_subjects_are_described_and_not_tested():
    cases = toy_cases(20, 10)
    text = " ".join(findings(cases, whole_ladder(cases), 1))
    assert "described, not tested" in text and "p =" not in text


def test_choosing_on_the_same_cases_is_admitted():
    cases = toy_cases(8, 1)
    assert "chosen from 3" in findings(cases, whole_ladder(cases), 3)[-1]
    assert "chosen from" not in " ".join(findings(cases, whole_ladder(cases), 1))


def test_sign_flip_p_is_the_closed_form_for_unbroken_wins():
    assert sign_flip_p(np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)
    assert sign_flip_p(np.array([1.0, -1.0, 2.0, -2.0, 1.0, -1.0])) == 1.0
    assert sign_flip_p(np.ones(30)) < 0.001


def test_subjects_count_once_in_a_comparison():
    a, b = np.array([[0.0], [0.0], [0.0], [5.0]]), np.full((4, 1), 1.0)
    result = compare(a, b, ["x", "x", "x", "y"])
    assert result.difference == pytest.approx((-1 + 4) / 2)
    assert (result.better, result.num_subjects, result.p) == (1, 2, None)
