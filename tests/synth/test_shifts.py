"""Structured shifts: each does what its name says, to those and only those who have it, and landmarks go along."""

from dataclasses import replace

import numpy as np
import pytest

from synth.bent import bend_spine, shorten
from synth.body.model import sample_bodies
from synth.domain.anatomy import BODY
from synth.domain.patch import apply_affine, invert_affine
from synth.figure import sample_people
from synth.mesh import Posed
from synth.people import sex_of
from synth.phantom import PhantomRecipe, body_phantoms, hand_phantoms, make_patient, scan
from synth.shifts import Shifts
from synth.template import Template, load_template

BARE = replace(body_phantoms(), deformation_mm=0.0)
BARE_HAND = replace(hand_phantoms(), deformation_mm=0.0)


def _with(recipe: PhantomRecipe, **shares: float) -> PhantomRecipe:
    return replace(recipe, shifts=Shifts(**shares))


def _lying(template: Template, index: int = 0) -> Posed:
    recipe = BARE.figure
    assert recipe.body is not None
    rngs = [np.random.default_rng([3, index])]
    return sample_bodies(recipe.body.pose, template, sample_people(recipe, template, rngs), rngs)[0][0]


@pytest.mark.slow
def test_a_switch_changes_nothing_else() -> None:
    """Another spine, another field of view, another limb: the same person in the same pose at the same place."""
    template = load_template("body")
    plain = make_patient(BARE, template, 1, 4)
    toe = BODY.names.index("left_big_toe")
    for name in ("scoliosis", "field_of_view"):
        other = make_patient(_with(BARE, **{name: 1.0}), template, 1, 4)
        assert other.attributes == plain.attributes and name in other.shifts and name not in plain.shifts
        np.testing.assert_allclose(other.landmarks[toe], plain.landmarks[toe], atol=1e-3)
    flat = make_patient(_with(BARE, flattening=1.0), template, 1, 4)
    assert np.abs(flat.landmarks - plain.landmarks).max() < 120
    trunk = np.isin(template.dominant, [template.bone(f"spine0{k}") for k in (3, 4, 5)])
    (wide, deep), (wider, flatter) = (np.ptp(p.vertices[trunk, :2], axis=0) for p in (plain, flat))
    assert flatter < 0.96 * deep and wider > 1.02 * wide


@pytest.mark.slow
def test_shares_are_those_of_people_and_cases() -> None:
    shifts = Shifts(scoliosis=0.3, field_of_view=0.6)
    has = [shifts.draw(1, case // 2, case, 9) for case in range(2000)]
    assert abs(np.mean(["scoliosis" in h for h in has]) - 0.3) < 0.05
    assert abs(np.mean(["field_of_view" in h for h in has]) - 0.6) < 0.05
    assert all(("scoliosis" in a) == ("scoliosis" in b) for a, b in zip(has[::2], has[1::2], strict=True))
    assert not Shifts().draw(1, 0, 0, 9)


@pytest.mark.slow
@pytest.mark.parametrize("curve", ["C", "S"])
def test_a_crooked_spine_moves_its_own_part_sideways(curve: str) -> None:
    template = load_template("body")
    posed = _lying(template)
    bent = bend_spine(template, posed, curve, np.deg2rad(15))
    moved = bent.positions - posed.positions
    spine = [template.bone(name) for name in ("spine04", "spine03", "spine02")]
    assert np.abs(moved[spine, 0]).max() > 0.015 and np.abs(moved[:, 1]).max() < 0.02
    for still in ("lowerleg01.L", "foot.R", "upperleg01.L"):
        np.testing.assert_allclose(moved[template.bone(still)], 0, atol=1e-6)
    arm = [template.bone(f"{name}.L") for name in ("upperarm01", "wrist", "finger3-1")]
    np.testing.assert_allclose(moved[arm], np.tile(moved[arm[0]], (3, 1)), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("limb", ["arm", "leg"])
def test_a_short_limb_is_shorter_by_its_factor_and_no_other_is(limb: str) -> None:
    template = load_template("body")
    posed = _lying(template, 1)
    short = shorten(template, posed, limb, "L", 0.9)
    chain = ("upperarm01", "lowerarm01", "wrist") if limb == "arm" else ("upperleg01", "lowerleg01", "foot")

    def lengths(of: Posed, side: str) -> np.ndarray:
        return np.linalg.norm(np.diff(of.positions[[template.bone(f"{b}.{side}") for b in chain]], axis=0), axis=1)

    np.testing.assert_allclose(lengths(short, "L"), 0.9 * lengths(posed, "L"), rtol=0.01)
    np.testing.assert_allclose(lengths(short, "R"), lengths(posed, "R"), rtol=1e-5)


@pytest.mark.slow
def test_the_obese_are_above_40_and_wider_and_others_below() -> None:
    template = load_template("body")
    for index in range(4):
        plain, heavy = (make_patient(_with(BARE, obesity=share), template, 2, index) for share in (0.0, 1.0))
        assert float(plain.attributes["bmi"]) < 40 <= float(heavy.attributes["bmi"]) <= 58
        assert plain.attributes["sex"] == heavy.attributes["sex"]
        assert plain.attributes["stature_m"] == heavy.attributes["stature_m"]


@pytest.mark.slow
def test_hands_lie_on_the_belly_and_knees_on_a_rest() -> None:
    template = load_template("body")
    patient = make_patient(_with(BARE, belly_hands=1.0, knee_rest=1.0), template, 1, 1)
    at = dict(zip(BODY.names, patient.landmarks, strict=True))
    middle = (at["left_shoulder"][0] + at["right_shoulder"][0]) / 2
    for side in ("left", "right"):
        tip, knee, shoulder = (at[f"{side}_{name}"] for name in ("middle_fingertip", "knee", "shoulder"))
        assert abs(tip[0] - middle) < 200 and knee[2] < tip[2] < shoulder[2]
    for index in range(4):
        patient = make_patient(_with(BARE, knee_rest=1.0), template, 1, index)
        assert patient.shifts == {"knee_rest": 1}
        bones = {bone.name: bone.end - bone.start for bone in patient.bones}
        for side in ("left", "right"):
            thigh, shank = bones[f"femur {side[0].upper()}"], bones[f"tibia {side[0].upper()}"]
            bend = np.rad2deg(np.arccos(thigh @ shank / np.linalg.norm(thigh) / np.linalg.norm(shank)))
            assert 10 < bend < 60 and thigh[1] < shank[1]  # the knee lies higher above the couch than hip and ankle


@pytest.mark.slow
def test_shifts_of_hands() -> None:
    template = load_template("hand")
    plain = make_patient(BARE_HAND, template, 1, 0)
    short = make_patient(_with(BARE_HAND, short_finger=1.0), template, 1, 0)
    np.testing.assert_allclose(short.landmarks[:4] - short.landmarks[0], plain.landmarks[:4] - plain.landmarks[0])
    bones = [{b.name: b for b in p.bones} for p in (plain, short)]
    lengths = [np.linalg.norm(b["phalanx 5-1 L"].end - b["phalanx 5-1 L"].start) for b in bones]
    assert 0.5 < lengths[1] / lengths[0] < 0.85
    bent = make_patient(_with(BARE_HAND, ulnar_deviation=1.0), template, 1, 0)
    tips = [p.landmarks[2, 0] - p.landmarks[0, 0] for p in (plain, bent)]
    assert tips[1] < tips[0] - 10  # away from the thumb, which is at +x
    swollen = make_patient(_with(BARE_HAND, swollen_joints=1.0), template, 1, 0)
    moved = np.linalg.norm(swollen.vertices - plain.vertices, axis=1)
    assert 0.5 < moved.max() < 8 and (moved < 0.1).mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("side", ["superior", "inferior", "left", "right"])
def test_a_volume_that_ends_early_is_part_of_the_whole(side: str) -> None:
    template, recipe = load_template("hand"), replace(hand_phantoms(), spacing_mm=(3.0, 3.0, 3.0))
    patient = make_patient(recipe, template, 1, 0)
    whole, part = (scan(recipe, template, replace(patient, cut=cut), 1, 0) for cut in (None, (side, 0.2)))
    where = apply_affine(invert_affine(whole.index_to_patient), part.index_to_patient[:, 3][None])[0]
    x, y, z = np.rint(where).astype(int)
    depth, height, width = part.voxels.shape
    np.testing.assert_array_equal(whole.voxels[z : z + depth, y : y + height, x : x + width], part.voxels)
    ends = {"superior": z == 0 and depth < len(whole.voxels), "inferior": z > 0, "left": x == 0, "right": x > 0}
    assert ends[side] and 0.75 < part.voxels.size / whole.voxels.size < 0.85


def test_shares_of_women_are_exact() -> None:
    for seed, share, women in ((1, 0.7, 14), (1001, 0.7, 14), (2, 0.5, 10)):
        sexes = [sex_of(n, share, np.random.default_rng([seed, n // 10])) for n in range(20)]
        assert sexes.count("female") == women and len(set(sexes[:10])) == 2


@pytest.mark.parametrize(
    ("recipe", "bad", "reason"),
    [
        (BARE_HAND, {"shifts": Shifts(scoliosis=1.0)}, "scoliosis"),
        (BARE, {"shifts": Shifts(short_finger=0.5)}, "short_finger"),
        (BARE, {"female": 0.55}, "tenths"),
        (BARE, {"coarser": (0.5, 1.0)}, "allowed"),
        (BARE, {"held_out": 2.0}, "allowed"),
    ],
)
def test_what_a_study_cannot_have_is_refused(recipe: PhantomRecipe, bad: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(recipe, **bad)


def test_a_share_beyond_all_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        Shifts(scoliosis=1.5)
