"""Landmarks in another unit, with other axes or with sides exchanged are told, with what would make them fit."""

import numpy as np
import pytest

from synth.domain.anatomy import BODY, HAND
from synth.domain.plausible import check_extent, place_notes, side_notes

LOW, HIGH = np.array([-200.0, -150, 900]), np.array([220.0, 130, 2700])  # mm LPS, a body
X = np.array([0, 150, -150, 180, -180, 90, -90, 80, -80.0])
TRUE = np.column_stack([X + 10, np.linspace(-100, 60, 9), np.linspace(2600, 950, 9)])


def check(points):
    check_extent(points, LOW, HIGH, BODY.names, "mm LPS")


def test_landmarks_that_fit_are_taken():
    check(TRUE)
    check(np.where(np.arange(9)[:, None] == 3, np.nan, TRUE))
    check(np.full((9, 3), np.nan))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (TRUE / 1000, r"multiplied by 1000 \(they are in metres\)$"),
        (TRUE / 10, r"multiplied by 10 \(they are in centimetres\)"),
        (TRUE * [-1, -1, 1] / 1000, "multiplied by 1000"),
        (TRUE * [1, 1, -1], r"lies far outside, at .*; the image spans .* mm LPS: they fit if z change sign"),
        (np.add(TRUE, [0, 5000, 0]), "lies far outside, at 10 4900 2600; .*: check units and axes"),
    ],
)
def test_another_unit_or_axis_is_named(points, words):
    with pytest.raises(ValueError, match=words):
        check(points)


@pytest.mark.parametrize(("scale", "words"), [(1000, "multiplied by 1000"), (10, None)])
def test_landmarks_on_one_spot_are_in_another_unit_where_that_makes_them_fit(scale, words):
    low, high = np.array([-200.0, -150, -900]), np.array([220.0, 130, 900])
    points = (TRUE - [0, 0, 1800]) / scale
    if words is None:  # a hand's breadth may be meant
        check_extent(points, low, high, BODY.names, "mm LPS")
        return
    with pytest.raises(ValueError, match=f"all landmarks lie within 1.65 mm of each other: they fit if {words}"):
        check_extent(points, low, high, BODY.names, "mm LPS")


def test_ras_that_leaves_the_image_is_named():
    low, high = np.array([100.0, 50, 0]), np.array([300.0, 250, 200])
    points = np.random.default_rng([8, 1]).uniform(120, 180, (5, 3))
    with pytest.raises(ValueError, match=r"they fit if x and y change sign \(they are RAS\)"):
        check_extent(points * [-1, -1, 1], low, high, HAND.names, "mm LPS")


def test_pixels_are_only_held_against_the_image():
    box = np.zeros(3), np.array([60.0, 80, 0])
    with pytest.raises(ValueError, match="px: check units and axes"):
        check_extent(np.array([[500.0, 5, 0]] * 5), *box, HAND.names, "px")
    check_extent(np.array([[3.0, 4, 0]] * 5), *box, HAND.names, "px")


def silhouette():
    """A lopsided body: 100 patch px high, 4 mm a pixel, its middle at 0 mm."""
    mask = np.zeros((100, 60), bool)
    mask[10:90, 25:35] = True
    mask[20:30, 35:55] = True  # an arm to the left
    return mask


def to_patch(points):
    return np.column_stack([points[:, 0] / 4 + 30, 50 - points[:, 2] / 4])


def test_landmarks_off_the_body_are_noted_with_the_axes_that_would_put_them_on_it():
    points = np.array([[0.0, 0, 100], [90, 0, 100], [70, 0, 90], [0, 0, -150], [80, 0, 110]])
    assert place_notes(points, silhouette(), to_patch) == ()
    (note,) = place_notes(points * [-1, -1, 1], silhouette(), to_patch)
    assert note == "3 of 5 landmarks lie off the body; all would lie on it if x and y change sign (they are RAS)"
    (note,) = place_notes(np.add(points, [0, 0, 600]), silhouette(), to_patch)
    assert note == "5 of 5 landmarks lie off the body: are these its landmarks?"
    assert place_notes(np.full((5, 3), np.nan), silhouette(), to_patch) == ()


def test_sides_are_held_against_the_picture():
    patch = np.column_stack([np.where(X > 0, 60.0, 20.0), np.linspace(5, 150, 9)])
    patch[0, 0] = 40
    assert side_notes(patch, BODY) == ()
    (note,) = side_notes(patch * [-1, 1] + [80, 0], BODY)
    assert "4 of 4 left landmarks lie on the subject's right: are left and right exchanged, or x and y RAS?" in note
    knees = [BODY.names.index(f"{side}_knee") for side in ("left", "right")]
    crossed = patch.copy()
    crossed[knees] = patch[knees[::-1]]
    (note,) = side_notes(crossed, BODY)
    assert note.startswith("left_knee on the subject's right of the other")
    crossed[knees[0]] = np.nan
    assert side_notes(crossed, BODY) == ()
