"""Shape changes of virtual patients: none that a rendering has, put on a posed mesh as they are drawn at rest."""

from dataclasses import replace

import numpy as np
import pytest

from synth.held_out import change, held_out_of, sample_changes
from synth.mesh import Posed
from synth.template import BODY_CHANGES, HAND_CHANGES, HELD_OUT_CHANGES, load_template


def _standing(name: str) -> Posed:
    template = load_template(name)
    bones = len(template.bones)
    return Posed(
        vertices=template.vertices,
        rotations=np.tile(np.eye(3, dtype=np.float32), (bones, 1, 1)),
        positions=template.heads,
        rest=template.vertices,
        heads=template.heads,
        view=np.eye(3),
    )


def test_no_rendering_has_them() -> None:
    assert not set(HELD_OUT_CHANGES) & {*HAND_CHANGES, *BODY_CHANGES}
    for name in ("hand", "body"):
        assert not set(load_template(name).changes) & set(HELD_OUT_CHANGES)


@pytest.mark.parametrize("name", ["hand", "body"])
def test_each_moves_skin_and_none_moves_nothing(name: str) -> None:
    template, posed = load_template(name), _standing(name)
    held_out = held_out_of(template, name)
    none = dict.fromkeys(held_out.changes, 0.0)
    np.testing.assert_array_equal(change(template, held_out, posed, none).vertices, posed.vertices)
    for one in held_out.changes:
        moved = change(template, held_out, posed, none | {one: 1.0})
        assert np.linalg.norm(moved.vertices - posed.vertices, axis=1).max() > 0.001, one


def test_they_turn_with_the_body() -> None:
    template, posed = load_template("body"), _standing("body")
    held_out = held_out_of(template, "body")
    amounts = sample_changes(held_out, 0.5, np.random.default_rng(1))
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    turned = replace(
        posed,
        vertices=posed.vertices @ turn.T,
        rotations=np.tile(turn, (len(template.bones), 1, 1)),
        positions=posed.positions @ turn.T,
    )
    upright, lying = (change(template, held_out, p, amounts) for p in (posed, turned))
    np.testing.assert_allclose(lying.vertices, upright.vertices @ turn.T, atol=1e-6)
    np.testing.assert_allclose(lying.positions, upright.positions @ turn.T, atol=1e-6)


def test_fingers_spread_across_the_hand() -> None:
    """A hand's changes are in hand axes: x towards the thumb."""
    template = load_template("hand")
    held_out = held_out_of(template, "hand")
    apart = held_out.shapes[held_out.changes.index("l-hand-fingers-distance"), 0]
    index, little = (apart[template.dominant == template.bone(f"finger{d}-3.L")].mean(0) for d in (2, 5))
    assert index[0] > little[0] and abs(index - little)[0] > abs(index - little)[1:].max()


def test_sides_of_a_body_are_alike_but_not_the_same() -> None:
    held_out = held_out_of(load_template("body"), "body")
    drawn = [sample_changes(held_out, 0.4, np.random.default_rng(i)) for i in range(300)]
    left, right = (np.array([d[f"{side}-upperarm-fat"] for d in drawn]) for side in "lr")
    assert 0.6 < np.corrcoef(left, right)[0, 1] < 0.9
    assert max(abs(v) for d in drawn for v in d.values()) <= 1
