"""Flesh: some of the skin settles as all of it does."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from synth.body.flesh import BREAST_M, BULGE_M, Flesh
from synth.body.surface import surface_of
from synth.skeleton import about
from synth.template import Template, load_template

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template() -> Template:
    return load_template("body")


def _flesh(amount: float) -> Flesh:
    return Flesh(amount=amount, level=0.08, belly=0.1 * amount, breasts=0.5 * amount, middle=np.array([0.0, -0.05]))


def _turned(template: Template) -> np.ndarray:
    turns = [about([1.0, 0.5, 0.2], 0.02 * bone) for bone in range(len(template.bones))]
    return np.array(turns, np.float32)


@pytest.mark.parametrize("part", ["trunk", "thigh"])
def test_some_skin_settles_as_it_does_among_all(template: Template, part: str) -> None:
    index = surface_of(template, part).index
    with threadpool_limits(1):
        whole = _flesh(0.8).settle(template, template.vertices, _turned(template))
        some = _flesh(0.8).settle(template, template.vertices[index], _turned(template), index)
    assert np.array_equal(some, whole[index])


def test_settling_leaves_its_input_alone_and_moves_skin_by_no_more_than_it_says(template: Template) -> None:
    before = template.vertices.copy()
    settled = _flesh(1.0).settle(template, template.vertices, _turned(template))
    assert np.array_equal(template.vertices, before)
    assert settled[:, 1].max() < 0.08, "all lies before the couch"
    aside = np.abs(settled - before)[:, [0, 2]]
    wide = np.abs(before[:, 0]).max()
    assert aside[:, 0].max() < 0.5 * BREAST_M[0] + 0.05 * wide + BULGE_M
    assert 0.5 * BULGE_M < aside[:, 1].max() <= BULGE_M + 1e-6


def test_without_flesh_nothing_settles(template: Template) -> None:
    settled = _flesh(0.0).settle(template, template.vertices, _turned(template))
    assert np.array_equal(settled, template.vertices)
