"""Named points: each lies on its own part of the body, pairs mirror each other, wrong definitions are refused."""

from dataclasses import replace

import numpy as np
import pytest

from synth.body.proportions import rest_body
from synth.domain.anatomy import BODY, HAND, Anatomy, anatomy_named
from synth.domain.point import Point
from synth.figure import BodyRange, HandRange, RenderRecipe, figure_of, sample_person, sample_pose, template_of
from synth.hand.proportion import proportion_hand
from synth.hand.shape import HandShape, sample_hand_shape
from synth.mesh import PHENOTYPES, Array, Parameters, Posed, rest_mesh
from synth.points import finder_of, points_of
from synth.template import Template, load_template

pytestmark = pytest.mark.slow

RECIPES = {
    "hand": RenderRecipe(anatomy="hand", hand=HandRange(shape=HandShape(age_years=(0.0, 110.0), finger_length=0.2))),
    "body": RenderRecipe(anatomy="body", body=BodyRange()),
}
TIPS = [(HAND, point) for point in HAND.landmarks]
TIPS += [(BODY, point) for point in BODY.points if point.direction == "along"]


def _rest_hand(template: Template, person: Parameters) -> tuple[Array, Array]:
    vertices, heads, _ = proportion_hand(template, *rest_mesh(template, person), person)
    return vertices, heads


def _resting(vertices: Array, heads: Array) -> Posed:
    still = np.tile(np.eye(3, dtype=np.float32), (len(heads), 1, 1))
    return Posed(vertices=vertices, rotations=still, positions=heads, rest=vertices, heads=heads, view=np.eye(3))


def _at_rest(template: Template, anatomy: Anatomy, seed: int) -> dict[str, np.ndarray]:
    """Points of an unposed subject drawn from the recipe, in metres (z up)."""
    person = sample_person(RECIPES[anatomy.base], template, np.random.default_rng([seed, 5]))
    rest = rest_body(template, person) if anatomy.base == "body" else _rest_hand(template, person)
    found = points_of(template, anatomy, _resting(*rest))
    return dict(zip(anatomy.point_names, found, strict=True))


@pytest.mark.parametrize("base", ["hand", "body"])
def test_each_tip_belongs_to_its_own_digit_over_200_shapes_and_poses(base: str) -> None:
    recipe, anatomy = RECIPES[base], anatomy_named(base)
    template = template_of(recipe)
    tips = [point for owner, point in TIPS if owner is anatomy]
    assert len(tips) == (5 if base == "hand" else 20)
    for seed in range(200):
        rng = np.random.default_rng([seed, 6])
        figure = figure_of(anatomy, template, sample_person(recipe, template, rng) | sample_pose(recipe, rng))
        for tip in tips:
            place = figure.points[anatomy.point_names.index(tip.name)]
            nearest = np.linalg.norm(figure.vertices - place, axis=1).argmin()
            assert template.bones[template.dominant[nearest]] == tip.bones[0], f"{tip.name} of subject {seed}"


def test_tips_are_in_order_at_rest_over_200_shapes() -> None:
    hand, body = load_template("hand"), load_template("body")
    toes = [f"left_{name}" for name in ("big_toe", "second_toe", "third_toe", "fourth_toe", "little_toe")]
    fingers = [f"left_{name}" for name in ("index_fingertip", "middle_fingertip", "ring_fingertip", "little_fingertip")]
    for seed in range(200):
        marks = _at_rest(body, BODY, seed)
        assert np.all(np.diff([marks[name][0] for name in toes]) > 0), "the big toe is the medial one"
        knuckles = marks["left_second_metacarpal_head"], marks["left_fifth_metacarpal_head"]
        _assert_order(marks["left_thumb_tip"], [marks[name] for name in fingers], *knuckles)
        marks = _at_rest(hand, HAND, seed)
        knuckles = marks["index_metacarpophalangeal"], marks["little_metacarpophalangeal"]
        _assert_order(marks["thumb_tip"], [marks[name] for name in HAND.names[1:]], *knuckles)


def _assert_order(thumb: np.ndarray, fingers: list[np.ndarray], index: np.ndarray, little: np.ndarray) -> None:
    """Fingertips run from index to little finger along the knuckles, and the thumb's lies beside the index finger."""
    assert np.all(np.diff([tip @ (little - index) for tip in fingers]) > 0)
    assert np.linalg.norm(thumb - index) < np.linalg.norm(thumb - little)


def test_pairs_mirror_each_other_in_a_symmetric_body() -> None:
    template = load_template("body")
    vertices, heads = rest_mesh(template, dict.fromkeys(PHENOTYPES, 0.5))
    marks = dict(zip(BODY.point_names, points_of(template, BODY, _resting(vertices, heads)), strict=True))
    pairs = [point for point in BODY.points if point.name.startswith("left_")]
    assert len(BODY.points) >= 60 and len(pairs) >= 30
    for point in BODY.points:
        assert marks[point.partner] == pytest.approx(marks[point.name] * [-1, 1, 1], abs=2e-4), point.name
        if point.name.startswith("left_"):
            assert marks[point.name][0] > 0


def test_the_knee_is_the_midpoint_of_the_femoral_epicondyles() -> None:
    template = load_template("body")
    for seed in range(50):
        marks = _at_rest(template, BODY, seed)
        middle = (marks["left_lateral_epicondyle"] + marks["left_medial_epicondyle"]) / 2
        assert marks["left_knee"] == pytest.approx(middle, abs=1e-5)
        assert abs(middle[2] - marks["left_knee_joint"][2]) < 0.012, "the rig's knee lies at the knee that is seen"


def test_shoulders_lie_inside_the_body_under_the_acromion() -> None:
    template = load_template("body")
    for seed in range(50):
        marks = _at_rest(template, BODY, seed)
        below = marks["left_acromion"][2] - marks["left_shoulder"][2]
        assert 0.02 < below < 0.07, "the acromion's skin lies 2 to 7 cm above the humeral head's centre"
        assert marks["left_nipple"][1] < marks["left_shoulder"][1] < marks["c7"][1]


def test_bone_tips_lie_inside_the_skin_tips() -> None:
    template = load_template("hand")
    depths = []
    for seed in range(100):
        person = sample_hand_shape(HandShape(gender_spread=0.5), template.changes, np.random.default_rng([seed]))
        posed = _resting(*_rest_hand(template, person))
        marks = dict(zip(HAND.point_names, points_of(template, HAND, posed), strict=True))
        depths.append([np.linalg.norm(marks[n] - marks[n.replace("_tip", "_bone_tip")]) for n in HAND.names])
    inside_mm = 1000 * np.array(depths)
    assert ((inside_mm > 2.5) & (inside_mm < 7.5)).mean() > 0.9
    assert anatomy_named("hand_bone_tips").base == "hand"


def test_an_axis_ends_in_its_own_digit_however_long_the_finger() -> None:
    """The head of `… end` must move with the finger's proportions, or the axis of the last phalanx turns round."""
    template = load_template("hand")
    person = sample_hand_shape(HandShape(), template.changes, np.random.default_rng([1]))
    for length in (0.7, 1.0, 1.4):
        person |= {f"length_{digit}_{joint}": length for digit in range(1, 6) for joint in (1, 2, 3)}
        posed = _resting(*_rest_hand(template, person))
        for digit in range(1, 6):
            bone = template.bone(f"finger{digit}-3.L")
            tail = posed.heads[template.bone(f"finger{digit}-3.L end")]
            own = posed.vertices[template.dominant == bone]
            assert np.linalg.norm(own - tail, axis=1).min() < 0.012


def test_vertices_keep_their_number_in_a_part_of_the_body() -> None:
    hand, body = load_template("hand"), load_template("body")
    point = replace(
        HAND.points[0], name="spot", kind="vertex", bones=(), direction=None, vertices=(int(hand.original[7]),)
    )
    anatomy = replace(HAND, points=(*HAND.points, point))
    for template in (hand, body):
        posed = _resting(*rest_mesh(template, {}))
        if template is hand:
            assert points_of(template, anatomy, posed)[-1] == pytest.approx(posed.vertices[7])
        else:
            whole = replace(BODY, points=(*BODY.points, point))
            assert points_of(template, whole, posed)[-1] == pytest.approx(posed.vertices[point.vertices[0]])


@pytest.mark.parametrize(
    ("point", "says"),
    [
        (Point(name="a", kind="bone", bone="upperlegg01.L"), "did you mean upperleg01.L"),
        (Point(name="a", kind="bone", bone="wrist.L", to="nothing"), "bone 'nothing' does not exist"),
        (Point(name="a", kind="bone", bone="eye.L end"), "no child"),
        (Point(name="a", kind="vertex", vertices=(1,)), "vertex 1 is not part of the model shown"),
        (Point(name="a", kind="vertex", vertices=(99999,)), "vertex 99999 is not part"),
        (
            Point(name="a", kind="extremum", bones=("head",), direction="cranial"),
            "no vertex has its largest skin weight",
        ),
    ],
)
def test_what_the_body_model_lacks_is_one_clear_line(point: Point, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        finder_of(load_template("hand"), replace(HAND, points=(*HAND.points, point)))
