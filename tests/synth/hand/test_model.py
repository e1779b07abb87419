"""Hands: poses do what their angles say, crossing digits lie on each other, forearms are cut by a plane."""

import numpy as np
import pytest
from numpy.typing import NDArray

from synth.hand.kinematics import pose_hand
from synth.hand.model import cut_plane, hand_of
from synth.hand.pose import HandPose, sample_hand_pose
from synth.hand.proportion import hand_length, proportion_hand
from synth.hand.rig import hand_rig
from synth.hand.shape import HandShape, sample_hand_shape
from synth.mesh import Parameters, Posed, rest_mesh
from synth.template import Template, load_template

FLAT = HandPose(
    thumb_index=(30, 49), index_middle=(6, 25), middle_ring=(6, 21), ring_little=(8, 31), flexion=(0, 0), palmar=(0, 0),
    wide=0.0,
)  # fmt: skip
WIDE = HandPose(wide=1.0)
DEEPEST = (
    0.04  # of the hand's length, 7 mm in an adult: as far as any digit may lie inside another (2,000 draws: 0.038)
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template() -> Template:
    return load_template("hand")


def _drawn(template: Template, pose: HandPose, seed: int) -> Parameters:
    rng = np.random.default_rng([seed, 77])
    return sample_hand_shape(HandShape(), template.changes, rng) | sample_hand_pose(pose, rng)


def _chains(template: Template, posed: Posed) -> NDArray[np.float64]:
    """(5, 4, 3) joints and tip of each digit."""
    rig = hand_rig(template)
    joints, tips = posed.positions[rig.digits], posed.vertices[rig.tips]
    return np.concatenate([joints, tips[:, None]], axis=1).astype(np.float64)


def test_measured_angles_are_the_asked_ones_for_every_shape(template: Template) -> None:
    for seed in range(30):
        asked = _drawn(template, FLAT, seed)
        chains = _chains(template, hand_of(template, asked))
        lines = chains[:, 3, :2] - chains[:, 0, :2]
        lines[0] = chains[0, 3, :2] - chains[0, 1, :2]
        bearings = np.degrees(np.arctan2(lines[:, 0], lines[:, 1]))
        names = ("thumb_index", "index_middle", "middle_ring", "ring_little")
        assert -np.diff(bearings) == pytest.approx([asked[name] for name in names], abs=2)
        assert bearings[2] == pytest.approx(asked["middle"], abs=1)


def test_bones_keep_their_length_and_never_twist(template: Template) -> None:
    rig = hand_rig(template)
    for seed in range(20):
        posed = hand_of(template, _drawn(template, WIDE, seed))
        before = np.concatenate([posed.heads[rig.digits], posed.rest[rig.tips][:, None]], axis=1)
        lengths = np.linalg.norm(np.diff(posed.positions[rig.digits], axis=1), axis=2)
        rest = np.diff(before, axis=1)
        assert lengths == pytest.approx(np.linalg.norm(rest[:, :2], axis=2), rel=1e-4)
        for digit in range(5):
            for joint in (1, 2):
                parent, own = posed.rotations[rig.digits[digit, joint - 1]], posed.rotations[rig.digits[digit, joint]]
                axis = rest[digit, joint] / np.linalg.norm(rest[digit, joint])
                turned = np.arccos(np.clip((parent @ axis) @ (own @ axis), -1, 1))
                assert np.trace(own @ parent.T) == pytest.approx(1 + 2 * np.cos(turned), abs=1e-4)


def _deepest(template: Template, posed: Posed, radii: NDArray[np.float64]) -> float:
    """How far any skin of a digit's last two bones lies inside those of another, seen as capsules, in hand lengths."""
    rig = hand_rig(template)
    chains = _chains(template, posed)
    skin, digit, joint = posed.vertices[rig.skin].astype(np.float64), rig.owner // 3, rig.owner % 3
    deepest = 0.0
    for other in range(5):
        outside = skin[(digit != other) & (joint > 0)]
        for bone in (1, 2):
            start, along = chains[other, bone], chains[other, bone + 1] - chains[other, bone]
            share = np.clip((outside - start) @ along / (along @ along), 0, 1)
            distance = np.linalg.norm(outside - start - share[:, None] * along, axis=1)
            deepest = max(deepest, float((radii[other, bone] - distance).max()))
    return deepest / hand_length(rig, posed.heads)


def test_no_digit_lies_deep_inside_another(template: Template) -> None:
    depths = []
    for seed in range(150):
        parameters = _drawn(template, WIDE, seed)
        radii = proportion_hand(template, *rest_mesh(template, parameters), parameters)[2]
        depths.append(_deepest(template, hand_of(template, parameters), radii))
    assert max(depths) < DEEPEST
    assert np.percentile(depths, 95) < 0.025


def test_crossing_fingers_lie_on_each_other_and_keep_their_line(template: Template) -> None:
    parameters = _drawn(template, FLAT, 3) | {"index_middle": -15.0, "middle_ring": 20.0}
    chains = _chains(template, hand_of(template, parameters))
    tips = chains[1:3, 3]
    assert abs(tips[0, 2] - tips[1, 2]) > 0.05 * np.linalg.norm(tips[1]), "one lies over the other"
    lines = chains[1:3, 3, :2] - chains[1:3, 0, :2]
    bearings = np.degrees(np.arctan2(lines[:, 0], lines[:, 1]))
    assert bearings[0] - bearings[1] == pytest.approx(-15, abs=2)


@pytest.mark.parametrize("forearm", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("tilt", [-20.0, 15.0])
def test_the_cut_is_planar_and_closed_and_lies_where_it_was_asked(
    template: Template, forearm: float, tilt: float
) -> None:
    rig = hand_rig(template)
    parameters = _drawn(template, WIDE, 5) | {"forearm": forearm, "cut_tilt": tilt}
    posed = hand_of(template, parameters)
    length = hand_length(rig, posed.heads)
    origin, normal, down = cut_plane(parameters, length)
    assert origin @ down == pytest.approx(forearm * length)
    assert np.degrees(np.arccos(normal @ down)) == pytest.approx(abs(tilt))
    above = (posed.vertices - origin) @ normal
    assert above[rig.limb_skin].max() < 1e-6, "nothing of the forearm lies beyond the plane"
    on_plane = posed.vertices[np.abs(above) < 1e-6]
    spread = np.linalg.norm(on_plane - origin, axis=1)
    assert spread.max() < 0.35 * length, "no spike along the plane"
    assert spread[spread > 0].max() > 0.1 * length and np.ptp(posed.vertices[rig.rim], axis=0).max() == 0


def test_the_hand_without_forearm_turns_nothing_but_the_forearm(template: Template) -> None:
    straight = _drawn(template, FLAT, 8) | {"wrist_deviation": 0.0, "wrist_flexion": 0.0}
    bent = straight | {"wrist_deviation": 15.0}
    rest, heads, radii = proportion_hand(template, *rest_mesh(template, straight), straight)
    rig = hand_rig(template)
    first, second = (pose_hand(template, rest, heads, radii, angles) for angles in (straight, bent))
    assert np.array_equal(first[0][rig.digits], second[0][rig.digits])
    elbow = second[1][template.bone("lowerarm01.L")] - second[1][rig.wrist]
    before = first[1][template.bone("lowerarm01.L")] - first[1][rig.wrist]
    cosine = elbow @ before / np.linalg.norm(elbow) / np.linalg.norm(before)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(15, abs=1)
