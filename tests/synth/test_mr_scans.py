"""Artefacts of a study's scans: as many as the shares say, as strong as the ranges say, the same for the same seed."""

import numpy as np
import pytest

from synth.mr_artefacts import NO_ARTEFACTS
from synth.mr_scans import ArtefactRange, usual_artefacts


def draws(recipe, count=400):
    return [recipe.sample(np.random.default_rng([6, index])) for index in range(count)]


def test_the_default_is_a_scan_without_any():
    assert {(drawn.coil, drawn.ghost, drawn.weighting, noise) for drawn, noise in draws(ArtefactRange(), 20)} == {
        (1.0, NO_ARTEFACTS.ghost, "t1", 1.0)
    }


def test_shares_and_strengths_are_those_asked():
    drawn = draws(ArtefactRange(coil=(0.5, 2.0, 4.0), ghost=(0.25, 0.05, 0.1), noise=(1.0, 2.0, 3.0), suppressed=0.2))
    coils = [a.coil for a, _ in drawn if a.coil > 1]
    assert len(coils) / len(drawn) == pytest.approx(0.5, abs=0.08)
    assert 2 <= min(coils) < 2.1 and 3.9 < max(coils) <= 4
    assert np.mean([a.ghost > 0 for a, _ in drawn]) == pytest.approx(0.25, abs=0.08)
    assert np.mean([a.weighting == "water" for a, _ in drawn]) == pytest.approx(0.2, abs=0.08)
    assert all(2 <= noise <= 3 for _, noise in drawn)


def test_one_switch_changes_no_other_draw():
    both = ArtefactRange(coil=(0.5, 2.0, 4.0), ghost=(0.5, 0.05, 0.1)), ArtefactRange(ghost=(0.5, 0.05, 0.1))
    ghosts = [[(a.ghost, a.phase) for a, _ in draws(recipe, 50)] for recipe in both]
    assert ghosts[0] == ghosts[1]


def test_draws_are_seeded():
    assert draws(usual_artefacts(), 10) == draws(usual_artefacts(), 10)


@pytest.mark.parametrize(
    "bad",
    [{"coil": (1.5, 1.0, 2.0)}, {"ghost": (0.5, 0.2, 0.1)}, {"coil": (0.5, 0.2, 2.0)}, {"suppressed": 2.0}],
)
def test_impossible_ranges_are_refused(bad):
    with pytest.raises(ValueError, match="allowed"):
        ArtefactRange(**bad)
