"""The benchmark of decimation: fewer triangles show less of the truth, the whole mesh all of it."""

import numpy as np
import pytest

from synth.domain.anatomy import anatomy_named
from synth.figure import HandRange, RenderRecipe, draw
from synth.template import load_template
from tests.benchmarks.decimation import accuracy, decimated


@pytest.mark.slow
def test_fewer_triangles_show_less() -> None:
    template, size = load_template("hand"), anatomy_named("hand").size
    recipe = RenderRecipe(anatomy="hand", hand=HandRange())
    vertices = np.stack([draw(recipe, template, 0, i).vertices for i in range(4)])
    meshes = [decimated(template, 0.2), decimated(template, 0.6), template.triangles]
    counts = [len(triangles) / len(template.triangles) for triangles in meshes]
    assert counts == pytest.approx([0.2, 0.6, 1.0], abs=0.02)
    few, more, whole = (accuracy(vertices, triangles, template.triangles, size) for triangles in meshes)
    assert 0.9 < few["iou"] < more["iou"] < 1
    assert few["within_1_mm"] < more["within_1_mm"] < 1
    assert set(whole.values()) == {1.0}
