"""The couch and the front of trunks, on boxes: several at once, each answered by itself."""

import numpy as np
import pytest

from synth.body.couch import STRIP_M, Couch, place_at
from synth.skeleton import length, rows_of

BREADTHS, HEIGHTS, FRONTS = np.array([0.15, 0.2, 0.24]), np.array([0.5, 0.6, 0.7]), np.array([-0.1, -0.12, -0.2])


def _boxes() -> Couch:
    """Trunks whose front is a plane at y = FRONTS, from z = 0 to HEIGHTS and BREADTHS to either side, with a back."""
    across, up = (part.ravel() for part in np.meshgrid(np.linspace(-1, 1, 41), np.linspace(0, 1, 61)))
    skin = np.stack(
        [
            np.concatenate([np.stack([b * across, np.full_like(up, y), h * up]) for y in (front, 0.0)], axis=1)
            for b, h, front in zip(BREADTHS, HEIGHTS, FRONTS, strict=True)
        ]
    )
    front = np.repeat([True, False], len(up))
    normals = np.zeros_like(skin)
    normals[:, 1] = np.where(front, -1.0, 1.0)
    return Couch(
        level=np.zeros(3), half_breadth=BREADTHS, middle=np.zeros(3), hips=np.zeros(3), skin=skin, normals=normals,
        front=np.tile(front, (3, 1)),
    )  # fmt: skip


def test_a_place_on_the_front_lies_above_it_and_as_far_from_the_shoulder_as_asked() -> None:
    couch, bodies = _boxes(), np.arange(3)
    shoulder = np.column_stack([BREADTHS, FRONTS / 2, HEIGHTS])
    distance, share = np.array([0.3, 0.35, 0.4]), np.array([0.5, -0.2, 0.1])
    path, last = couch.front_path(bodies, HEIGHTS - 0.15, share)
    place = place_at(path, last, shoulder, distance, 0.04)
    assert place[:, 1] == pytest.approx(FRONTS - 0.04)
    assert place[:, 0] == pytest.approx(np.clip(share * BREADTHS, STRIP_M - BREADTHS, BREADTHS - STRIP_M))
    assert length(place - shoulder) == pytest.approx(distance, abs=2e-3), "straight between two heights of the path"
    assert couch.front_normal(bodies, place) == pytest.approx(np.tile([0.0, -1.0, 0.0], (3, 1)))
    far = place_at(path, last, shoulder, np.full(3, 9.0), 0.04)
    assert np.array_equal(far[:, 2], path[bodies, last, 2]), "the thighs, where the arm is longer than the trunk"


def test_each_trunk_is_answered_by_itself() -> None:
    couch, bodies = _boxes(), np.arange(3)
    together = couch.front_path(bodies, HEIGHTS, np.zeros(3))
    for i in bodies:
        alone = rows_of(couch, [i]).front_path(np.array([0]), HEIGHTS[[i]], np.zeros(1))
        assert alone[1] == together[1][[i]]
        assert np.array_equal(alone[0][0, : alone[1][0] + 1], together[0][i, : alone[1][0] + 1])


def test_a_trunk_is_as_broad_as_its_skin_or_its_hips_and_nothing_above_the_shoulders() -> None:
    couch, bodies = _boxes(), np.arange(3)
    for sign in (-1.0, 1.0):
        assert couch.breadth(bodies, np.full(3, sign), HEIGHTS / 2) == pytest.approx(BREADTHS)
        assert couch.breadth(bodies, np.full(3, sign), np.full(3, -0.5)) == pytest.approx(BREADTHS)
        assert np.isneginf(couch.breadth(bodies, np.full(3, sign), HEIGHTS + 0.1)).all()


def test_the_first_elbow_beside_the_trunk_is_taken() -> None:
    couch, bodies = _boxes(), np.arange(3)
    side = np.array([0.0, 0.1, 0.3, 0.4])  # beside the midline: the first two lie inside the trunk
    elbows = np.zeros((3, 4, 3))
    elbows[:, :, 0], elbows[:, :, 1], elbows[:, :, 2] = side, FRONTS[:, None] * [0.5, 0.5, 1.6, 1.7], 0.3
    wrist = np.column_stack([np.zeros(3), FRONTS - 0.06, np.full(3, 0.3)])
    assert couch.first_beside(bodies, elbows, wrist, np.full(3, 0.04)).tolist() == [2, 2, 2]
