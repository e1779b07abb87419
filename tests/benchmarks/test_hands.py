"""The benchmark of hands: its measures see what they should; rendered hands meet them where the table is at hand."""

import numpy as np
import pytest

from pipelines.recipes import RECIPES
from synth.figure import template_of
from tests.benchmarks import hands
from tests.benchmarks.pentagons import nearest_pentagons


def _random_hands(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 21, 2))


def test_a_turned_and_scaled_pentagon_is_found_and_a_mirrored_one_is_not() -> None:
    real = _random_hands(5, 1)
    angle = 0.7
    turn = 3 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    others = _random_hands(400, 2)
    found = nearest_pentagons(real, np.concatenate([others, real @ turn + 5]), 1e-6)
    assert found["share within 1e-06 by root mean square"] == found["share within 1e-06 by largest distance"] == 1
    mirrored = nearest_pentagons(real, np.concatenate([others, real * [-1, 1]]), 1e-6)
    assert mirrored["share within 1e-06 by root mean square"] == 0


def test_measures_ignore_place_size_and_turn_and_see_a_spread() -> None:
    points = _random_hands(6, 3)
    angle = 0.4
    turn = 2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for name, values in hands.measure(points @ turn + 7).items():
        assert values == pytest.approx(hands.measure(points)[name]), name
    straight = np.zeros((1, 21, 2))
    straight[0, 1:] = np.concatenate([[(10 * d, -k) for k in range(4)] for d in range(5, 0, -1)])
    straight[0, 0] = 30, 10
    assert hands.measure(straight)["index to middle angle"] == pytest.approx(0)
    straight[0, 5:9] = [(40, 0), (41, -1), (42, -2), (43, -3)]
    assert hands.measure(straight)["index to middle angle"] == pytest.approx(45), "positive where digits spread"


@pytest.mark.slow
@pytest.mark.skipif(not hands.data_path().is_file(), reason="the development data is not here")
def test_real_proportions_and_spreads_lie_within_the_rendered_ones() -> None:
    recipe = RECIPES["hand"]().render
    drawn = hands.synthetic_points(recipe, template_of(recipe), 5, 1500)
    real = hands.read_radiographs(hands.data_path())
    table = hands.compare(real, drawn)
    assert len(real) == 901 and {name for name, row in table.items() if row["inside"] < 0.95} == set()
    assert nearest_pentagons(real, drawn, 0.02)["share within 0.02 by root mean square"] > 0.95
