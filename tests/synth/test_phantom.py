"""Virtual patients: functions of seed and index, other than the renderings, and scanned where their landmarks say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from synth.domain.patch import apply_affine, invert_affine
from synth.domain.projection import project
from synth.figure import draw
from synth.phantom import PhantomRecipe, body_phantoms, hand_phantoms, make_patient, scan
from synth.template import load_template

RECIPES = {"hand": hand_phantoms(), "body": body_phantoms()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hand", "body"])
def test_a_scan_is_a_function_of_seed_and_index_alone(name):
    recipe, template = replace(RECIPES[name], spacing_mm=(4.0, 4.0, 5.0)), load_template(name)
    one, again = (scan(recipe, template, make_patient(recipe, template, 1, 3), 1, 3) for _ in range(2))
    np.testing.assert_array_equal(one.voxels, again.voxels)
    other = make_patient(recipe, template, 2, 3)
    assert not np.array_equal(other.landmarks, make_patient(recipe, template, 1, 3).landmarks)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hand", "body"])
def test_no_phantom_repeats_a_rendering_of_the_same_seed(name):
    recipe, template = replace(RECIPES[name], deformation_mm=0.0), load_template(name)
    patient = make_patient(recipe, template, 1, 5)
    rendered = draw(recipe.figure, template, 1, 5).figure.parameters
    assert abs(patient.attributes["age"] - rendered["age"]) > 1e-3


@pytest.mark.slow
def test_cases_of_one_subject_share_the_shape_and_not_the_pose():
    recipe, template = replace(hand_phantoms(), deformation_mm=0.0), load_template("hand")
    patients = [make_patient(recipe, template, 1, index) for index in range(4)]
    assert [p.subject for p in patients] == ["subject-0000"] * 2 + ["subject-0001"] * 2
    assert len({p.case for p in patients}) == 4
    assert patients[0].attributes == patients[1].attributes != patients[2].attributes
    spans = [np.linalg.norm(p.landmarks[1] - p.landmarks[2]) for p in patients]
    assert abs(spans[0] - spans[1]) > 0.5


@pytest.mark.slow
def test_a_right_hand_is_the_mirror_image_of_the_left():
    template = load_template("hand")
    flat = replace(hand_phantoms(), deformation_mm=0.0)
    left, right = (make_patient(replace(flat, side=side), template, 1, 0) for side in ("left", "right"))
    np.testing.assert_allclose(
        *(np.diff(p.landmarks, axis=0) * [s, 1, 1] for p, s in ((left, 1), (right, -1))), atol=1e-6
    )
    assert left.landmarks[0, 0] > left.landmarks[4, 0]  # thumb towards +x: back of a left hand, fingers up
    assert right.landmarks[0, 0] < right.landmarks[4, 0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hand", "body"])
def test_landmarks_lie_in_the_silhouette_of_their_scan(name):
    recipe, template = RECIPES[name], load_template(name)
    for index in range(2):
        patient = make_patient(recipe, template, 1, index)
        view = project(scan(recipe, template, patient, 1, index), couch="fit" if recipe.modality == "ct" else "none")
        points = apply_affine(invert_affine(view.to_patient), patient.landmarks)
        away = distance_transform_edt(~view.silhouette)[points[:, 1].astype(int), points[:, 0].astype(int)]
        assert (away * view.pixel_mm[0]).max() < 2.1 * max(recipe.spacing_mm)  # 9 mm for a fingertip of a body
        assert 0.05 < view.silhouette.mean() < 0.9


@pytest.mark.parametrize(
    "bad",
    [
        {"count": 0},
        {"cases_per_subject": 0},
        {"spacing_mm": (0.0, 1.0, 1.0)},
        {"noise": -1.0},
        {"deformation_mm": 20.0},
        {"anatomy": "body"},
        {"anatomy": "foot"},
    ],
)
def test_recipe_is_checked(bad):
    with pytest.raises(ValueError, match=r"allowed|needs|fold|exist"):
        replace(hand_phantoms(), **bad)


def test_recipe_needs_a_pose():
    with pytest.raises(ValueError, match="needs `hand`"):
        PhantomRecipe(anatomy="hand")
