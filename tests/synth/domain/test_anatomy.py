"""Anatomies are data: files say what they mean or why not, and manifests hold them whole."""

import json
from pathlib import Path

import numpy as np
import pytest

from synth.domain.anatomy import BODY, HAND, HIDDEN, INSIDE, OUTLINE, OUTSIDE, anatomy_from, anatomy_named, visibility

OWN = """
name = "pelvis"
base = "body"
landmarks = ["left_hip", "right_hip", "spot"]

[points.spot]
kind = "vertex"
vertices = [4099]
cover_mm = 30
"""


def _written(folder: Path, text: str) -> str:
    (folder / "own.toml").write_text(text)
    return str(folder / "own.toml")


def test_the_landmarks_of_hand_and_body_are_those_that_were_agreed() -> None:
    assert HAND.names == ("thumb_tip", "index_tip", "middle_tip", "ring_tip", "little_tip")
    assert BODY.names == (
        "head_top", "left_shoulder", "right_shoulder", "left_middle_fingertip", "right_middle_fingertip",
        "left_knee", "right_knee", "left_big_toe", "right_big_toe",
    )  # fmt: skip
    assert BODY.mirror == (0, 2, 1, 4, 3, 6, 5, 8, 7) and HAND.mirror == (0, 1, 2, 3, 4)
    assert (HAND.size, BODY.size) == ((96, 96), (160, 76))


@pytest.mark.parametrize("name", ["hand", "body", "body_fine", "hand_bone_tips"])
def test_an_anatomy_survives_json_and_old_files_hold_its_name(name: str) -> None:
    anatomy = anatomy_named(name)
    assert anatomy_from(json.loads(json.dumps(anatomy.as_dict()))) == anatomy
    assert anatomy_from(name) == anatomy


def test_an_anatomy_of_ones_own_adds_to_its_base(tmp_path: Path) -> None:
    own = anatomy_named(_written(tmp_path, OWN))
    assert own.names == ("left_hip", "right_hip", "spot") and own.mirror == (1, 0, 2)
    assert own.size == BODY.size and own.points[:-1] == BODY.points
    assert own.landmarks[2].vertices == (4099,) and own.landmarks[2].cover_mm == 30
    assert not own.has_landmarks_of(BODY) and own.has_landmarks_of(anatomy_from(own.as_dict()))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('base = "body"', 'base = "foot"', "base is 'foot'; allowed: hand, body"),
        ('name = "pelvis"', 'name = "the pelvis"', "anatomy name 'the pelvis' is not allowed"),
        ('name = "pelvis"\n', "", "name: "),
        ('"right_hip", ', "", "landmark 'left_hip' needs its mirror partner 'right_hip'"),
        ('"spot"]', '"spot", "spot"]', "landmark 'spot' is defined twice"),
        ('"spot"]', '"nowhere"]', "landmark 'nowhere' is no point"),
        ("points.spot", "points.chin", "point 'chin' is one of the base's"),
        ("vertices = [4099]", 'vertices = [4099]\nmirror = "dot"', "its mirror partner 'dot' is no point"),
        (
            'kind = "vertex"',
            'kind = "vertex"\nmirror = "chin"',
            "point 'spot' has partner 'chin', whose partner is 'chin'",
        ),
        ('kind = "vertex"', 'kind = "middle"', "point 'spot': kind"),
        ('kind = "vertex"', 'kind = "bone"', "point 'spot' of kind bone lacks bone"),
        ("cover_mm = 30", "along = 0.5", "point 'spot' of kind vertex takes no along"),
        ("cover_mm = 30", "covr_mm = 30", "point 'spot': key 'covr_mm' is unknown"),
        ("cover_mm = 30", "cover_mm = -1", "cover_mm is -1"),
        ("vertices = [4099]", "vertices = 4099", "point 'spot': vertices"),
        ("[points.spot]", "[point.spot]", "key 'point' is unknown"),
        ("vertices = [4099]", "vertices = [", "is not TOML"),
        (OWN, 'name = "x"\nbase = "hand"\nlandmarks = []', "there are no landmarks"),
        (OWN, 'name = "x"\nbase = "hand"\nlandmarks = ["wrist"]\npoints = 3', "points is not a table"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in OWN
    with pytest.raises(ValueError) as caught:
        anatomy_named(_written(tmp_path, OWN.replace(old, new, 1)))
    line = str(caught.value)
    assert says in line and "own.toml" in line and "\n" not in line


def test_an_anatomy_may_be_finer_than_its_base() -> None:
    fine = anatomy_named("body_fine")
    assert fine.size == (320, 152) and fine.names == BODY.names and fine.points == BODY.points


def test_unknown_names_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"anatomy 'foot' does not exist; choose one of body, body_fine, hand, hand_bone_tips"
    ):
        anatomy_named("foot")
    with pytest.raises(ValueError, match="cannot be read"):
        anatomy_named(str(tmp_path / "none.toml"))


def test_visibility_says_how_a_landmark_is_seen() -> None:
    mask = np.zeros((96, 96), bool)
    mask[10:60, 20:80] = True
    depth = np.where(mask, 40.0, 0.0)
    depth[mask & (np.indices(mask.shape)[0] > 40)] = 10.0
    points = np.array([[50, 25, 45], [20.5, 25, 45], [50, 50, 80], [-1, 5, 40], [np.nan, 5, 5]], np.float32)
    codes = visibility(points, mask, depth, HAND)
    assert codes.tolist() == [INSIDE, OUTLINE, HIDDEN, OUTSIDE, OUTSIDE]
    assert visibility(points, mask, None, HAND).tolist() == [INSIDE, OUTLINE, INSIDE, OUTSIDE, OUTSIDE]
