"""Draws of hands: within their ranges, of every age, with the proportions asked for."""

import numpy as np
import pytest

from synth.hand.pose import BETWEEN, HandPose, sample_hand_pose
from synth.hand.proportion import hand_length, proportion_hand
from synth.hand.rig import KNOBS, hand_rig
from synth.hand.shape import HandShape, sample_hand_shape
from synth.mesh import Parameters, rest_mesh
from synth.template import Template, load_template


@pytest.fixture(scope="module")
def template() -> Template:
    return load_template("hand")


def _plain(template: Template, **changed: float) -> Parameters:
    """The usual adult hand."""
    still = HandShape(fingers=0, row=0, finger_length=0, phalanx=0, finger_width=0, palm_width=0, knuckle=0, changes=0)
    parameters = sample_hand_shape(still, template.changes, np.random.default_rng(0))
    parameters |= {f"swelling_{digit}_{joint}": 0.0 for digit, joint in KNOBS}
    return parameters | {"gender": 0.5, "age": 0.8, "weight": 0.5, "muscle": 0.5, "height": 0.4} | changed


def test_usual_angles_stay_in_their_ranges_and_go_together() -> None:
    pose = HandPose(wide=0.0)
    rng = np.random.default_rng(1)
    drawn = [sample_hand_pose(pose, rng) for _ in range(2000)]
    values = np.array([[angles[name] for name in BETWEEN] for angles in drawn])
    for name, column in zip(BETWEEN, values.T, strict=True):
        low, high = getattr(pose, name)
        assert low <= column.min() and column.max() <= high
        assert column.max() - column.min() > 0.85 * (high - low)
    assert 0.2 < np.corrcoef(values[:, 1], values[:, 2])[0, 1] < 0.45


def test_a_wide_hand_spreads_its_whole_range_but_no_thumb_points_backwards() -> None:
    rng = np.random.default_rng(2)
    drawn = [sample_hand_pose(HandPose(wide=1.0), rng) for _ in range(2000)]
    values = {name: np.array([angles[name] for angles in drawn]) for name in (*BETWEEN, "middle")}
    for name in BETWEEN[1:]:
        assert values[name].min() < -14 and values[name].max() > 39
    thumb = values["thumb_index"]
    assert thumb.min() < 2 and thumb.max() > 90
    assert (values["middle"] + values["index_middle"] + thumb).max() <= 95
    flexed = np.array([[angles[f"flexion_{digit}_1"] for digit in range(1, 6)] for angles in drawn])
    assert flexed.max() > 55 and ((flexed > 20).sum(1) <= 2).all(), "single fingers are flexed"


def test_three_in_ten_hands_are_wide() -> None:
    rng = np.random.default_rng(3)
    angles = np.array([sample_hand_pose(HandPose(), rng)["middle_ring"] for _ in range(4000)])
    outside = ((angles < -6) | (angles > 21)).mean()
    assert outside == pytest.approx(0.3 * (1 - 27 / 55), abs=0.03)


def test_ages_run_from_two_to_ninety_and_children_are_their_share() -> None:
    rng = np.random.default_rng(4)
    ages = np.array([sample_hand_shape(HandShape(), (), rng)["age"] for _ in range(4000)])
    assert 0.1 <= ages.min() < 0.12 and 0.9 < ages.max() < 0.93
    assert (ages < 0.77).mean() == pytest.approx(0.4, abs=0.03)


@pytest.mark.slow
def test_hands_grow_with_age(template: Template) -> None:
    rig = hand_rig(template)
    lengths = []
    for age in (0.105, 0.215, 0.415, 0.8):  # 2, 4, 11 and 40 years
        parameters = _plain(template, age=age)
        lengths.append(hand_length(rig, proportion_hand(template, *rest_mesh(template, parameters), parameters)[1]))
    assert lengths == sorted(lengths)
    assert 0.08 < lengths[0] < 0.13 and 0.17 < lengths[-1] < 0.21, "metres"


@pytest.mark.slow
@pytest.mark.parametrize(("digit", "joint"), [(1, 1), (2, 1), (3, 2), (5, 2), (5, 3)])
def test_a_length_factor_lengthens_its_own_phalanx_alone(template: Template, digit: int, joint: int) -> None:
    rig = hand_rig(template)

    def bones(**changed: float) -> np.ndarray:
        parameters = _plain(template, **changed)
        rest, heads, _ = proportion_hand(template, *rest_mesh(template, parameters), parameters)
        chains = np.concatenate([heads[rig.digits], rest[rig.tips][:, None]], axis=1)
        return np.linalg.norm(np.diff(chains, axis=1), axis=2)

    ratio = bones(**{f"length_{digit}_{joint}": 1.2}) / bones()
    own = ratio[digit - 1, joint - 1]
    assert own == pytest.approx(1.2, abs=0.05), "the last phalanx has soft tissue beyond its bone, which stays"
    ratio[digit - 1, joint - 1] = 1
    assert ratio == pytest.approx(np.ones((5, 3)), abs=0.02)


@pytest.mark.slow
def test_thick_fingers_and_nodes_are_as_thick_as_asked(template: Template) -> None:
    def radii(**changed: float) -> np.ndarray:
        parameters = _plain(template, **changed)
        return proportion_hand(template, *rest_mesh(template, parameters), parameters)[2]

    thick = radii(width_2=1.2) / radii()
    assert thick[1, 1:] == pytest.approx([1.2, 1.2], abs=0.02) and thick[3] == pytest.approx(np.ones(3), abs=0.01)
    node = radii(swelling_3_2=0.3) / radii()
    assert 1.03 < node[2, 1] < 1.3 and node[2, 0] == pytest.approx(1, abs=0.01)


def test_impossible_shapes_and_poses_are_refused() -> None:
    with pytest.raises(ValueError, match=r"age_years is \(5, 130\).*within 0 to 110"):
        HandShape(age_years=(5, 130))
    with pytest.raises(ValueError, match=r"minors, arthritic are 1\.5"):
        HandShape(minors=1.5)
    with pytest.raises(ValueError, match=r"pose\.bend is 20"):
        HandPose(bend=20)
