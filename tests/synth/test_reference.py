"""Landmarks of virtual patients: of a make of their own, yet where people's joints and tips are."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.bones import Bone, ball
from synth.domain.anatomy import BODY
from synth.phantom import body_phantoms, make_patient
from synth.template import load_template
from tests.benchmarks.patient_labels import differences

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["bones", "reference", "patient", "bent", "shifts"])
def test_no_code_of_the_generators_landmarks_is_loaded(module: str) -> None:
    code = f"import sys, synth.{module}; print(*(set(sys.modules) & {{'synth.points', 'synth.figure'}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.split() == []


@pytest.mark.slow
def test_joints_of_bodies_differ_from_the_generators_as_readers_do() -> None:
    """On the same 30 bodies: never the same, mostly within 20 mm in the picture, without a bias of more than 15."""
    away = differences("body", 5, 30)
    joints = [k for k, name in enumerate(BODY.names) if name.endswith(("shoulder", "knee"))]
    tips = [k for k, name in enumerate(BODY.names) if name.endswith(("tip", "toe"))]
    assert (np.linalg.norm(away[:, joints], axis=2) > 0.5).all()
    plane = np.linalg.norm(away[:, joints][:, :, [0, 2]], axis=2)
    assert np.percentile(plane, 75) < 20 and plane.max() < 60
    assert np.abs(away[:, joints].mean(0)).max() < 15
    assert np.linalg.norm(away[:, tips], axis=2).max() < 10


@pytest.mark.slow
def test_fingertips_are_ends_of_fingers() -> None:
    away = np.linalg.norm(differences("hand", 5, 20), axis=2)
    assert (away.max(1) > 1e-3).all() and away.max() < 12


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
        np.testing.assert_allclose(bones[f"humerus {side[0].upper()}"].start, shoulder)
        assert 25 < np.linalg.norm(lateral.start - medial.start) < 60
        assert 15 < np.linalg.norm(patient.vertices - shoulder, axis=1).min() < 90
        assert 25 < np.linalg.norm(patient.vertices - knee, axis=1).min() < 90


def test_a_bone_is_checked() -> None:
    with pytest.raises(ValueError, match="above 0"):
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
