"""Landmarks of virtual patients: of a make of their own, yet where people's joints and tips are."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from synth.body.model import sample_bodies
from synth.bones import Bone, ball
from synth.domain.anatomy import BODY, HAND, Anatomy
from synth.figure import sample_people
from synth.mesh import Posed
from synth.patient import lay_body, lay_hand
from synth.people import sample_hand
from synth.phantom import body_phantoms, hand_phantoms, make_patient
from synth.points import points_of
from synth.posing import pose_hand
from synth.reference import sample_build
from synth.template import Template, load_template

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["bones", "reference", "patient", "bent", "shifts"])
def test_no_code_of_the_generators_landmarks_is_loaded(module: str) -> None:
    code = f"import sys, synth.{module}; print(*(set(sys.modules) & {{'synth.points', 'synth.figure'}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.split() == []


def _generators(template: Template, anatomy: Anatomy, posed: Posed) -> NDArray[np.float64]:
    """(K, 3) the generator's landmarks of a posed mesh, in patient mm."""
    x, y, z = (points_of(template, anatomy, posed) @ posed.view.T)[anatomy.rows].T
    return np.column_stack([x, z, -y])


@pytest.mark.slow
def test_joints_of_bodies_differ_from_the_generators_as_readers_do() -> None:
    """On the same 30 bodies: never the same, mostly within 20 mm in the picture, without a bias of more than 15."""
    template, recipe = load_template("body"), body_phantoms().figure
    assert recipe.body is not None
    rngs = [np.random.default_rng([5, i]) for i in range(30)]
    people = sample_people(recipe, template, rngs)
    apart = []
    for i, posed in enumerate(sample_bodies(recipe.body.pose, template, people, rngs)[0]):
        build = sample_build("female" if people[i]["gender"] > 0.5 else "male", 26.0, np.random.default_rng([9, i]))
        laid = lay_body(template, BODY, posed, (), build, 1.7)
        apart.append(laid.landmarks - _generators(template, BODY, posed))
    away = np.array(apart)
    joints = [k for k, name in enumerate(BODY.names) if name.endswith(("shoulder", "knee"))]
    tips = [k for k, name in enumerate(BODY.names) if name.endswith(("tip", "toe"))]
    assert (np.linalg.norm(away[:, joints], axis=2) > 0.5).all()
    plane = np.linalg.norm(away[:, joints][:, :, [0, 2]], axis=2)
    assert np.percentile(plane, 75) < 20 and plane.max() < 60
    assert np.abs(away[:, joints].mean(0)).max() < 15
    assert np.linalg.norm(away[:, tips], axis=2).max() < 10


@pytest.mark.slow
def test_fingertips_are_ends_of_fingers() -> None:
    template, recipe = load_template("hand"), hand_phantoms()
    assert recipe.hand is not None
    for i in range(20):
        rng = np.random.default_rng([5, i])
        person = sample_hand(recipe.hand.shape, template, "male", rng)
        posed, _ = pose_hand(recipe.hand.pose, template, person, {}, rng)
        laid = lay_hand(template, HAND, posed, (), "left")
        away = np.linalg.norm(laid.landmarks - _generators(template, HAND, posed), axis=1)
        assert 1e-3 < away.max() < 12


@pytest.mark.slow
def test_knees_and_shoulders_lie_in_the_middle_of_their_bones_and_inside_the_skin() -> None:
    patient = make_patient(body_phantoms(), load_template("body"), 1, 0)
    bones = {bone.name: bone for bone in patient.bones}
    assert len(bones) == len(patient.bones)
    for side in ("left", "right"):
        knee, shoulder = (patient.landmarks[BODY.names.index(f"{side}_{name}")] for name in ("knee", "shoulder"))
        lateral, medial = (bones[f"{side}_{name}_condyle"] for name in ("lateral", "medial"))
        np.testing.assert_allclose(knee, (lateral.start + medial.start) / 2)
        np.testing.assert_allclose(shoulder, bones[f"{side}_humeral_head"].start)
        np.testing.assert_allclose(bones[f"{side}_humerus"].start, shoulder)
        assert 25 < np.linalg.norm(lateral.start - medial.start) < 60
        assert np.linalg.norm(patient.vertices - shoulder, axis=1).min() > 15
        assert np.linalg.norm(patient.vertices - knee, axis=1).min() > 25


def test_a_bone_is_checked() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        ball("head", np.zeros(3), 0.0)
    with pytest.raises(ValueError, match="finite"):
        Bone(name="head", start=np.zeros(3), end=np.full(3, np.nan), radius_start_mm=1, radius_end_mm=1)


@pytest.mark.slow
def test_bones_lie_in_the_skin_whatever_the_shift() -> None:
    """Ends of the long bones of an arm and a leg that was shortened, in a body with a crooked spine."""
    template, recipe = load_template("body"), body_phantoms()
    shifts = replace(recipe.shifts, scoliosis=1.0, unequal_limbs=1.0, flattening=1.0)
    patient = make_patient(replace(recipe, shifts=shifts), template, 1, 2)
    low, high = patient.vertices.min(0), patient.vertices.max(0)
    for bone in patient.bones:
        assert (low < bone.start).all() and (bone.end < high).all(), bone.name
