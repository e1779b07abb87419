"""Figures: samples depend on their id alone, labels lie where their definition says, poses do what their names say."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from synth.body.pose import BodyPose
from synth.domain.anatomy import BODY, HAND, anatomy_named
from synth.figure import (
    BodyRange,
    Figure,
    HandRange,
    RenderRecipe,
    draw,
    draw_several,
    figure_of,
    joint_names,
    parameter_names,
    sample_figure,
    sample_figures,
    sample_person,
    template_of,
)
from synth.hand.pose import HandPose
from synth.mesh import PHENOTYPES, coefficients, rest_mesh
from synth.phantom import body_phantoms
from synth.skeleton import about, cross, swing, turn
from synth.template import Template

HANDS = RenderRecipe(anatomy="hand", hand=HandRange(pose=HandPose(wide=0.0)))
BODIES = RenderRecipe(anatomy="body", body=BodyRange())


def _template(anatomy: str) -> Template:
    return template_of(HANDS if anatomy == "hand" else BODIES)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HANDS, BODIES], ids=["hand", "body"])
def test_a_sample_is_a_function_of_seed_and_id_alone(recipe: RenderRecipe) -> None:
    template = _template(recipe.anatomy)
    alone = draw(recipe, template, 3, 7)
    after_others = draw_several(recipe, template, 3, (9, 8, 7))[-1]
    assert np.array_equal(alone.vertices, after_others.vertices)
    assert np.array_equal(alone.landmarks, after_others.landmarks)
    assert not np.array_equal(alone.vertices, draw(recipe, template, 4, 7).vertices)
    assert len(alone.figure.parameters) == len(parameter_names(recipe, template))
    assert len(alone.figure.joints) == len(joint_names(template))


@pytest.mark.slow
def test_each_fingertip_lies_on_its_own_digit_and_they_are_in_order() -> None:
    template = _template("hand")
    dominant = template.weights.argmax(1)
    for sample_id in range(40):
        framed = draw(HANDS, template, 5, sample_id)
        for mark, point in zip(HAND.landmarks, framed.landmarks, strict=True):
            nearest = np.linalg.norm(framed.vertices - point, axis=1).argmin()
            assert template.bones[dominant[nearest]] == mark.bones[0]
        flat = framed.landmarks[:, 0]
        assert (np.diff(flat[1:]) < 4).all(), "index to little must run from right to left"
        assert framed.landmarks[0, 0] > framed.landmarks[4, 0], "the thumb is on the image's right"


@pytest.mark.slow
def test_left_and_right_landmarks_of_a_body_lie_on_their_sides() -> None:
    template = _template("body")
    for sample_id in range(10):
        marks = dict(zip(BODY.names, draw(BODIES, template, 5, sample_id).landmarks, strict=True))
        for name in ("shoulder", "knee"):
            assert marks[f"left_{name}"][0] > marks[f"right_{name}"][0], "the subject's right is at the image's left"
        assert marks["head_top"][1] < marks["left_shoulder"][1] < marks["left_knee"][1] < marks["left_big_toe"][1]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HANDS, BODIES], ids=["hand", "body"])
def test_the_figure_fills_its_patch_up_to_the_margin(recipe: RenderRecipe) -> None:
    height, width = anatomy_named(recipe.anatomy).size
    framed = draw(recipe, _template(recipe.anatomy), 1, 2)
    low, high = framed.vertices.min(0), framed.vertices.max(0)
    fill = (high - low)[:2] / np.array([width, height])
    assert fill.max() == pytest.approx(1 / 1.08, abs=1e-4)
    assert (low + high)[:2] / 2 == pytest.approx(np.array([width, height]) / 2, abs=1e-2)
    assert low[2] == pytest.approx(10.0, abs=1e-3), "the zero plane lies 10 mm before the nearest surface"


@pytest.mark.slow
def test_a_straight_hand_has_the_angles_it_was_given() -> None:
    template = _template("hand")
    still = HandPose(
        thumb_index=(40, 40), index_middle=(12, 12), middle_ring=(8, 8), ring_little=(20, 20), flexion=(0, 0),
        wide=0.0, rotation=(0, 0), tilt=(0, 0),
    )  # fmt: skip
    recipe = RenderRecipe(anatomy="hand", hand=HandRange(pose=still))
    figure = sample_figure(recipe, template, np.random.default_rng([1, 1]))
    names = joint_names(template)

    def direction(digit: int) -> np.ndarray:
        knuckle = figure.joints[names.index(f"finger{digit}-{2 if digit == 1 else 1}.L")]
        return (figure.landmarks[digit - 1] - knuckle)[:2] / np.linalg.norm((figure.landmarks[digit - 1] - knuckle)[:2])

    for digit, degrees in ((1, 40), (2, 12), (3, 8), (4, 20)):
        cosine = direction(digit) @ direction(digit + 1)
        assert np.degrees(np.arccos(cosine)) == pytest.approx(degrees, abs=2), (
            "from knuckle to tip, joints bent sideways"
        )


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [HANDS, BODIES], ids=["hand", "body"])
def test_a_figure_is_made_again_from_its_stored_parameters(recipe: RenderRecipe) -> None:
    template, anatomy = _template(recipe.anatomy), anatomy_named(recipe.anatomy)
    figure = draw(recipe, template, 6, 1).figure
    stored = np.array(list(figure.parameters.values()), np.float32)
    names = parameter_names(recipe, template)
    again = figure_of(anatomy, template, dict(zip(names, map(float, stored), strict=True)))
    assert np.array_equal(again.vertices, figure.vertices) and np.array_equal(again.landmarks, figure.landmarks)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [BODIES, body_phantoms().figure], ids=["rendered", "phantoms"])
def test_48_bodies_drawn_in_groups_have_the_bits_of_bodies_made_alone(recipe: RenderRecipe) -> None:
    """Drawn by 16, drawn one by one with generators left in the same state, and made again from parameters."""
    template, anatomy = _template("body"), anatomy_named("body")

    def drawn(size: int) -> tuple[list[Figure], list[float]]:
        rngs = [np.random.default_rng([17, i]) for i in range(48)]
        groups = [sample_figures(recipe, template, rngs[i : i + size]) for i in range(0, 48, size)]
        return [figure for group in groups for figure in group], [rng.random() for rng in rngs]

    with threadpool_limits(1):
        (together, after), (alone, after_alone) = drawn(16), drawn(1)
        again = [figure_of(anatomy, template, figure.parameters) for figure in together]
    assert after == after_alone
    for figure, *others in zip(together, alone, again, strict=True):
        for other in others:
            assert other.parameters == figure.parameters
            for name in ("vertices", "points", "landmarks", "joints"):
                assert np.array_equal(getattr(other, name), getattr(figure, name)), name


@pytest.mark.slow
def test_subjects_keep_their_shape_between_poses() -> None:
    template = _template("hand")
    rng = np.random.default_rng([1, 2])
    person = sample_person(HANDS, template, rng)
    first, second = (sample_figure(HANDS, template, rng, person) for _ in range(2))
    names = joint_names(template)

    def phalanx(joints: np.ndarray) -> float:
        return float(np.linalg.norm(joints[names.index("finger3-2.L")] - joints[names.index("finger3-1.L")]))

    assert phalanx(first.joints) == pytest.approx(phalanx(second.joints), rel=1e-4)
    assert not np.allclose(first.landmarks, second.landmarks)


@pytest.mark.slow
def test_taller_parameters_make_taller_people() -> None:
    template = _template("body")
    middle = dict.fromkeys(PHENOTYPES, 0.5) | {"age": 0.667}
    heights = []
    for value in (0.2, 0.5, 0.8):
        middle["height"] = value
        assert coefficients(template, middle).shape == (len(template.shapes),)
        vertices, _ = rest_mesh(template, middle)
        heights.append(float(np.ptp(vertices[:, 2])))
    assert heights == sorted(heights) and heights[2] - heights[0] > 0.2
    assert 1.4 < heights[1] < 2.0, "an average adult, in metres"


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.3, 3.0])
def test_swing_is_the_smallest_rotation_between_directions(angle: float) -> None:
    start = np.array([0.3, -0.5, 0.8])
    end = about([0.1, 0.7, -0.2], angle) @ start
    rotation = swing(start, end)
    assert rotation @ (start / np.linalg.norm(start)) == pytest.approx(end / np.linalg.norm(end), abs=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    between = np.arccos(np.clip(start @ end / (start @ start), -1, 1))
    assert np.trace(rotation) == pytest.approx(1 + 2 * np.cos(between), abs=1e-9)


def test_a_turn_about_an_axis_is_right_handed_and_leaves_it_where_it_is() -> None:
    axes = np.random.default_rng(1).normal(size=(5, 4, 3))
    angles = np.linspace(-3, 3, 20).reshape(5, 4)
    rotations = about(axes, angles)
    assert turn(rotations, axes) == pytest.approx(axes)
    assert np.linalg.det(rotations) == pytest.approx(1)
    assert about([0, 0, 1], np.pi / 2) @ [1, 0, 0] == pytest.approx(np.array([0, 1, 0]))
    for one in np.ndindex(5, 4):
        assert np.array_equal(about(axes[one], angles[one]), rotations[one]), "each by itself"
        assert cross(axes[one], axes[0, 0]) == pytest.approx(np.cross(axes[one], axes[0, 0]))


def test_ranges_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pose\.roll is .*low <= high"):
        BodyPose(roll=(4.0, 1.0))
    with pytest.raises(ValueError, match="needs `hand`"):
        RenderRecipe(anatomy="hand", body=BodyRange())
    with pytest.raises(ValueError, match="multiples of 16"):
        RenderRecipe(anatomy="hand", hand=HandRange(), shard_rows=100)


def test_a_recipe_without_thickness_is_that_of_data_from_before_there_was_any() -> None:
    assert "thickness" not in HANDS.as_dict()
    assert replace(HANDS, thickness=True).as_dict() == HANDS.as_dict() | {"thickness": True}
