"""Lying bodies: angles are as asked, limbs rest on the couch, flesh keeps its volume, limbs stay out of each other."""

from collections import Counter

import numpy as np
import pytest
import trimesh

from pipelines.recipes import body, body_paper
from synth.body.arms import BELLY, DOWN, HIP, UP, ArmPose
from synth.body.collision import DEPTH_MM, HIP_DEPTH_MM
from synth.body.flesh import ROUNDING_M, Flesh
from synth.body.legs import CONTRACTED, CROSSED, REST, LegPose
from synth.body.model import bodies_of, sample_bodies
from synth.body.pose import BodyPose, sample_body_pose
from synth.body.proportions import rest_body
from synth.body.surface import surface_of
from synth.body.trunk import lie_down
from synth.figure import sample_person
from synth.mesh import PHENOTYPES, Parameters, Posed
from synth.skeleton import rows_of
from synth.template import Template, load_template

pytestmark = pytest.mark.slow
WITHIN = 0.1  # degrees
STILL = {"roll": (0.0, 0.0), "yaw": (0.0, 0.0), "bend": (0.0, 0.0), "flesh": (0.0, 0.0)}


@pytest.fixture(scope="module")
def template() -> Template:
    return load_template("body")


def _lying(template: Template, pose: BodyPose, count: int, seed: int = 1) -> list[tuple[Posed, Parameters]]:
    rngs = [np.random.default_rng([seed, index]) for index in range(count)]
    people = [sample_person(body().render, template, rng) for rng in rngs]
    return list(zip(*sample_bodies(pose, template, people, rngs), strict=True))


def _flesh(template: Template, parameters: Parameters) -> Flesh:
    rest, heads = rest_body(template, parameters)
    return rows_of(lie_down(template, rest[None], heads[None], [parameters]).flesh, 0)


def _between(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(first @ second / np.linalg.norm(first) / np.linalg.norm(second))))


def _bone(template: Template, points: np.ndarray, start: str, end: str, side: str) -> np.ndarray:
    return np.asarray(points[template.bone(f"{end}.{side}")] - points[template.bone(f"{start}.{side}")], np.float64)


def test_arms_down_have_the_angles_that_were_asked_for(template: Template) -> None:
    pose = BodyPose(arms=ArmPose(belly=0, up=0, one_up=0, protraction=(0.0, 0.0)), **STILL)
    for posed, a in _lying(template, pose, 15):
        for side, sign in (("L", 1), ("R", -1)):
            upper = _bone(template, posed.positions, "upperarm01", "lowerarm01", side)
            fore = _bone(template, posed.positions, "lowerarm01", "wrist", side)
            clavicle, at_rest = (
                _bone(template, points, "clavicle", "shoulder01", side) for points in (posed.positions, posed.heads)
            )
            assert _between(upper, fore) == pytest.approx(a[f"elbow.{side}"], abs=WITHIN)
            abduction = np.degrees(np.arctan2(sign * upper[0], -upper[2]))
            assert abduction == pytest.approx(a[f"arm_abduction.{side}"], abs=0.1)
            chest = posed.rotations[template.bone("spine01")]
            risen, before = (np.degrees(np.arctan2(v[2], abs(v[0]))) for v in (chest.T @ clavicle, at_rest))
            assert risen - before == pytest.approx(a[f"clavicle.{side}"], abs=0.1)


def test_arms_up_and_on_the_belly_have_the_angles_that_were_asked_for(template: Template) -> None:
    for arms in (ArmPose(up=1, belly=0, one_up=0), ArmPose(up=0, belly=1, one_up=0)):
        for posed, a in _lying(template, BodyPose(arms=arms, **STILL), 10):
            for side, sign in (("L", 1), ("R", -1)):
                upper = _bone(template, posed.positions, "upperarm01", "lowerarm01", side)
                fore = _bone(template, posed.positions, "lowerarm01", "wrist", side)
                assert _between(upper, fore) == pytest.approx(a[f"elbow.{side}"], abs=WITHIN)
                if arms.up:
                    raised = np.degrees(np.arctan2(sign * upper[0], -upper[2]))
                    assert raised == pytest.approx(a[f"arm_abduction.{side}"], abs=0.1)


def test_knees_are_bent_and_heels_apart_as_asked_for(template: Template) -> None:
    legs = LegPose(crossed=0, contracted=0, rest=0.5)
    for posed, a in _lying(template, BodyPose(legs=legs, **STILL), 15):
        for side in ("L", "R"):
            thigh = _bone(template, posed.positions, "upperleg01", "lowerleg01", side)
            shin = _bone(template, posed.positions, "lowerleg01", "foot", side)
            assert _between(thigh, shin) == pytest.approx(a[f"knee.{side}"], abs=WITHIN)
        left, right = (posed.positions[template.bone(f"foot.{side}")] for side in ("L", "R"))
        breadth = 1000 * (left[0] - right[0]) - a["heels"]
        assert 45 < breadth < 110, "two halves of a heel lie between the ankles beside the gap"


def test_clavicles_stay_in_their_range_and_sides_differ_by_little() -> None:
    rng = np.random.default_rng([1, 1])
    drawn = [sample_body_pose(BodyPose(), rng) for _ in range(2000)]
    sides = np.array([[a["clavicle.L"], a["clavicle.R"]] for a in drawn])
    assert sides.min() >= 0 and sides.max() <= 18
    assert sides.mean() == pytest.approx(9, abs=0.3)
    assert np.abs(sides[:, 0] - sides[:, 1]).max() <= 8


def test_places_have_their_shares() -> None:
    rng = np.random.default_rng([1, 2])
    drawn = [sample_body_pose(BodyPose(), rng) for _ in range(2000)]
    arms = Counter(tuple(sorted(min(a[f"arm_place.{s}"], 9) for s in "LR")) for a in drawn)
    up = arms[(UP, UP)] / 2000
    one_up = (arms[(DOWN, UP)] + arms[(HIP, UP)]) / 2000
    legs = Counter(a["leg_place"] for a in drawn)
    found = [up, one_up, arms[(BELLY, BELLY)] / 2000, *(legs[k] / 2000 for k in (REST, CROSSED, CONTRACTED))]
    assert found == pytest.approx([0.20, 0.05, 0.15, 0.30, 0.03, 0.05], abs=0.025)


def test_the_published_prior_has_arms_down_and_straight_legs(template: Template) -> None:
    recipe = body_paper().render
    assert recipe.body is not None
    for posed, a in _lying(template, recipe.body.pose, 20):
        for side in ("L", "R"):
            assert a[f"arm_place.{side}"] == DOWN and a[f"knee.{side}"] < 10
            hip, hand = (posed.positions[template.bone(f"{name}.{side}")] for name in ("upperleg01", "wrist"))
            assert abs(hand[0]) > abs(hip[0]) and hand[2] < posed.positions[template.bone("spine04"), 2]


def test_lying_lifts_the_shoulders_by_what_the_clavicles_rise(template: Template) -> None:
    arms = ArmPose(belly=0, up=0, one_up=0)
    rises = []
    for posed, _ in _lying(template, BodyPose(arms=arms, **STILL), 40):
        stature = np.ptp(posed.rest[:, 2])
        for side in ("L", "R"):
            joint, root = template.bone(f"upperarm01.{side}"), template.bone("root")
            lying, standing = (points[joint, 2] - points[root, 2] for points in (posed.positions, posed.heads))
            rises.append((lying - standing) / stature)
    assert 0.01 < np.median(rises) < 0.03


def test_flesh_keeps_its_volume_and_stays_before_the_couch(template: Template) -> None:
    for posed, a in _lying(template, BodyPose(flesh=(1.0, 1.0)), 8, seed=2):
        assert posed.vertices[:, 1].max() <= _flesh(template, a).level + 1e-5
        (firm,) = bodies_of(template, [a | {"flesh": 0.0}])
        solid = [trimesh.Trimesh(one.vertices, template.triangles, process=False).volume for one in (posed, firm)]
        assert solid[0] / solid[1] == pytest.approx(1, abs=0.03)
        assert np.abs(posed.vertices - firm.vertices).max() > 2 * ROUNDING_M


def test_no_flesh_is_the_identity(template: Template) -> None:
    (posed, a), *_ = _lying(template, BodyPose(flesh=(0.0, 0.0)), 1)
    assert _flesh(template, a).settle(template, posed.vertices, posed.rotations) is posed.vertices


def test_heels_back_and_elbows_lie_on_the_couch(template: Template) -> None:
    pose = BodyPose(arms=ArmPose(belly=0, up=0, one_up=0), legs=LegPose(crossed=0, contracted=0))
    gaps: dict[str, list[float]] = {"heel": [], "elbow": [], "back": []}
    for posed, a in _lying(template, pose, 40):
        level = _flesh(template, a).level
        gaps["back"].append(level - posed.vertices[surface_of(template, "trunk").index, 1].max())
        for side in ("L", "R"):
            foot = posed.vertices[surface_of(template, "foot", side).index]
            gaps["heel"].append(level - foot[:, 1].max())
            elbow = np.isin(template.dominant, [template.bone(f"lowerarm01.{side}")])
            gaps["elbow"].append(level - posed.vertices[elbow, 1].max())
    millimetres = {name: 1000 * np.array(found) for name, found in gaps.items()}
    assert millimetres["back"].max() < 8
    assert np.percentile(millimetres["heel"], 95) < 12
    assert np.percentile(millimetres["elbow"], 90) < 60


def _depth_mm(points: np.ndarray, triangles: np.ndarray) -> float:
    """How deep the deepest of (N, 3) points lies within (T, 3, 3) triangles, open ends and all: where the winding
    number is above a half, the distance to the nearest triangle."""
    a, b, c = (triangles[:, k] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=2) for v in (a, b, c))
    volume = np.einsum("ntc,ntc->nt", a, np.cross(b, c))
    dots = (np.einsum("ntc,ntc->nt", u, v) * w for u, v, w in ((a, b, lc), (b, c, la), (c, a, lb)))
    winding = np.arctan2(volume, la * lb * lc + sum(dots)).sum(1) / (2 * np.pi)
    depths = [0.0]
    for point in points[winding > 0.5]:
        closest = trimesh.triangles.closest_point(triangles, np.tile(point, (len(triangles), 1)))
        depths.append(float(np.linalg.norm(closest - point, axis=1).min()))
    return 1000 * max(depths)


def test_limbs_reach_no_deeper_into_the_trunk_than_is_stated(template: Template) -> None:
    """Held against winding numbers and distances to all triangles of trunk and thighs, not to thinned skins."""
    dominant, depths = template.dominant, []
    core = [j for j, name in enumerate(template.bones) if name.startswith(("spine", "pelvis", "upperleg"))]
    inside = np.isin(dominant, core)[template.triangles].all(1)
    for posed, a in _lying(template, BodyPose(), 200, seed=3)[::8]:
        triangles = posed.vertices.astype(np.float64)[template.triangles[inside]]
        for side in ("L", "R"):
            limb = posed.vertices[surface_of(template, "arm", side).index].astype(np.float64)
            allowed = HIP_DEPTH_MM if a[f"arm_place.{side}"] == HIP else DEPTH_MM
            depths.append(_depth_mm(limb, triangles) - allowed)
    assert np.sort(depths)[-2] < 6, "what thinned skins may miss; one arm may be a last resort"


def test_a_drawn_body_is_made_again_from_its_parameters(template: Template) -> None:
    for posed, a in _lying(template, BodyPose(), 12, seed=4):
        stored = {name: float(np.float32(value)) for name, value in a.items()}
        (again,) = bodies_of(template, [stored])
        assert stored == a
        assert np.array_equal(again.vertices, posed.vertices) and np.array_equal(again.positions, posed.positions)


def test_a_heavy_belly_lies_flatter_and_wider(template: Template) -> None:
    person = dict.fromkeys(PHENOTYPES, 0.5) | {"age": 0.8, "weight": 1.0, "gender": 0.0}
    pose = sample_body_pose(BodyPose(arms=ArmPose(belly=0, up=0, one_up=0), **STILL), np.random.default_rng(3))
    belly = template.dominant == template.bone("spine04")
    both = bodies_of(template, [person | pose | {"flesh": flesh} for flesh in (0.0, 1.0)])
    firm, soft = (posed.vertices[belly] for posed in both)
    assert np.ptp(soft[:, 1]) < np.ptp(firm[:, 1]) - 0.012
    assert np.ptp(soft[:, 0]) > np.ptp(firm[:, 0]) + 0.005


@pytest.mark.parametrize(
    ("kind", "bad", "message"),
    [
        (ArmPose, {"belly": 0.9, "up": 0.2}, "the shares are"),
        (ArmPose, {"clavicle_sides": 12.0}, "half the width of clavicle"),
        (ArmPose, {"elbow": (40.0, 10.0)}, "low <= high"),
        (LegPose, {"rest": -0.1}, "the shares are"),
        (LegPose, {"heels_mm": (-5.0, 10.0)}, "0 or more"),
        (BodyPose, {"flesh": (0.0, 1.5)}, "within 0 to 1"),
    ],
)
def test_impossible_poses_are_refused(kind: type, bad: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**bad)
