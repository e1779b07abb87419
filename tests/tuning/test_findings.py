"""Sentences follow from the numbers, whichever methods were measured; one comparison is primary."""

import numpy as np
import pytest

from tests.tuning.test_table import shifted, whole_ladder
from tests.tuning.toy import toy_cases
from tuning import findings as sentences
from tuning.contrasts import compare_methods, contrast_dict
from tuning.seeds import seed_spreads
from tuning.table import Method


def noisy(cases, name, network, px, seed=1):
    """A method whose errors scatter about `px`."""
    offsets = np.random.default_rng([seed, len(name)]).normal(px, 0.2 * px, cases.points.shape[:2])
    return Method(name=name, network=network, points=cases.points + offsets[:, :, None] * np.array([1.0, 0.0]))


def headline(cases, methods):
    return sentences.headline(cases, compare_methods(cases, methods))


def findings(cases, methods, num_schedules=1):
    return sentences.findings(cases, methods, compare_methods(cases, methods), num_schedules)


def text_of(cases, methods):
    return " ".join([headline(cases, methods), *findings(cases, methods)])


def test_the_headline_has_effect_interval_and_test_in_that_order():
    cases = toy_cases(16, 2, pixel_mm=2.0)
    text = headline(cases, [noisy(cases, "CNN(study)", "heatmap", 4.0), noisy(cases, "CNN(ft)", "heatmap", 1.0)])
    assert text.startswith("Pre-training on renderings helps here (heatmap): CNN(ft) heatmap 2.")
    places = [text.index(part) for part in ("difference −", "95 % interval −", "8 of 8 subjects", "p = 0.008", "0.79")]
    assert places == sorted(places) and "mm in the image plane" in text


def test_it_says_when_fine_tuning_does_not_help():
    cases = toy_cases(16, 2)
    text = text_of(cases, whole_ladder(cases, tuned=3.0))
    assert "Fine-tuning does not help here (heatmap)" in text and "Pre-training on renderings helps here" in text
    assert "Fine-tuning helps here (heatmap)" in text_of(cases, whole_ladder(cases))


def test_chance_is_called_chance():
    cases = toy_cases(16, 2)
    rival = noisy(cases, "CNN(study)", "heatmap", 2.0, seed=2)
    tuned = noisy(cases, "CNN(ft)", "heatmap", 2.0, seed=3)
    assert "makes no difference that could be told from chance" in headline(cases, [rival, tuned])


def test_two_subjects_are_described_and_not_tested():
    cases = toy_cases(20, 10)
    text = text_of(cases, whole_ladder(cases))
    assert "described, not tested" in text and "p =" not in text and "interval" not in text


def test_choosing_on_the_same_cases_is_admitted():
    cases = toy_cases(8, 1)
    assert "chosen from 3" in findings(cases, whole_ladder(cases), 3)[-1]
    assert "chosen from" not in text_of(cases, whole_ladder(cases))


@pytest.mark.parametrize("names", [["mean shape"], ["RF", "CNN(ft)"], ["CNN(study)", "CNN(syn)+affine"], ["CNN(ft)"]])
def test_no_method_is_taken_for_granted(names):
    cases = toy_cases(8, 1)
    methods = [shifted(cases, name, "net" * name.startswith("CNN"), 1.0 + i) for i, name in enumerate(names)]
    assert "no primary comparison" in headline(cases, methods)
    assert "Smallest mean error: " + methods[0].label in findings(cases, methods)[0]


def test_the_primary_comparison_is_the_first_networks_whatever_it_shows():
    cases = toy_cases(8, 1)
    methods = whole_ladder(cases, network="a", tuned=5.0) + whole_ladder(cases, network="b")[2:]
    assert compare_methods(cases, methods).primary.a.label == "CNN(ft) a"
    pairs = [(c.a.label, c.b.label) for c in compare_methods(cases, methods).families[0].contrasts]
    assert ("CNN(ft) a", "CNN(study) a") not in pairs and ("CNN(ft) b", "CNN(study) b") in pairs
    assert ("CNN(ft) b", "CNN(ft) a") in pairs and len(set(pairs)) == len(pairs)


def test_landmarks_where_the_forest_wins_are_named():
    cases = toy_cases(16, 2)
    forest = shifted(cases, "RF", "", 3.0)
    forest.points[:, 1] = cases.points[:, 1]
    text = text_of(cases, [forest, *whole_ladder(cases)])
    assert "CNN(ft) heatmap has the smaller error than RF at 4 of 5 landmarks, not at index tip" in text
    assert "than CNN(study) heatmap at every one of 5 landmarks" in text


def test_the_forest_beside_a_network_is_the_one_that_reads_what_it_reads():
    cases = toy_cases(8, 1)
    forests = [shifted(cases, "RF", network, 3.0) for network in ("", "b", "a")]
    families = compare_methods(cases, [*forests, *whole_ladder(cases, network="a")]).families
    assert [family.contrasts[0].b.label for family in families[1:]] == ["CNN(study) a", "RF a"]
    families = compare_methods(cases, [*forests[:2], *whole_ladder(cases, network="a")]).families
    assert families[2].contrasts[0].b.label == "RF"
    assert ("CNN(ft) a", "RF b") not in [(c.a.label, c.b.label) for c in families[0].contrasts]


def test_secondary_p_values_are_corrected_within_their_family():
    cases = toy_cases(16, 2)
    family = compare_methods(cases, [noisy(cases, m.name, m.network, 2.0) for m in whole_ladder(cases)]).families[0]
    raw = [c.result.p for c in family.contrasts]
    assert all(c.p >= c.result.p for c in family.contrasts)
    assert min(c.p for c in family.contrasts) == pytest.approx(min(1, len(raw) * min(raw)))
    found = contrast_dict(family.contrasts[0])
    assert found["p"] == raw[0] and found["p_holm"] == family.contrasts[0].p and found["landmark"] == "mean"


def test_a_landmark_that_nobody_annotated_is_not_compared():
    cases = toy_cases(16, 2)
    cases.samples.landmarks[:, 4] = np.nan
    by_landmark = compare_methods(cases, whole_ladder(cases)).families[1]
    assert [c.landmark for c in by_landmark.contrasts] == list(cases.anatomy.names[:4])


def test_the_spread_over_seeds_stands_apart_from_that_over_subjects():
    cases = toy_cases(8, 2)
    hard = np.repeat([1.0, 2.0, 3.0, 4.0], 2)[:, None, None] * np.array([1.0, 0.0])
    method = Method(
        name="CNN(ft)", network="net", points=cases.points + hard,
        repeats=tuple(cases.points + hard + [px, 0.0] for px in (1.0, 2.0)),
    )  # fmt: skip
    (spread,) = seed_spreads(cases, [method, shifted(cases, "RF", "", 1.0)], "px")
    assert (spread.method, spread.num_seeds) == ("CNN(ft) net", 3)
    assert (spread.mean, spread.sd, spread.low, spread.high) == pytest.approx((3.5, 1.0, 2.5, 4.5), rel=1e-4)
    assert spread.subject_sd == pytest.approx(np.std([1, 2, 3, 4], ddof=1), rel=1e-4)
