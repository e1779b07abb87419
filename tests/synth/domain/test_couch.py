"""The couch of a CT: cut out whatever its shape, and nothing of the patient with it."""

from dataclasses import replace

import numpy as np
import pytest

from synth.couches import KINDS, CouchKind, furnish
from synth.domain.couch import find_couch
from synth.domain.projection import Volume, project
from synth.phantom import body_phantoms, make_patient, scan
from synth.template import load_template
from tests.benchmarks.couches import compare

SPACING = (2.0, 2.0, 4.0)


def patient() -> np.ndarray:
    """(z, y, x) bool: a trunk that lies at y = 80 mm and gets thinner, an arm beside it, a finger lying along z."""
    z, y, x = np.indices((120, 90, 150), np.float32) * np.float32(SPACING[::-1])[:, None, None, None]
    breadth = 110 - 0.15 * z
    trunk = ((x - 140) / breadth) ** 2 + ((y - 40) / 40) ** 2 < 1
    arm = (x - 262) ** 2 + (y - 58) ** 2 < 22**2
    finger = (np.abs(x - 20) < 6) & (np.abs(y - 74) < 6) & (z > 200) & (z < 280)
    return trunk | arm & (z < 400) | finger


def scanned(mask: np.ndarray, walls: np.ndarray) -> Volume:
    rng = np.random.default_rng(5)
    values = np.where(mask, 40.0, np.where(walls, 100.0, -1000.0)) + rng.normal(0, 20, mask.shape)
    return Volume(voxels=values.astype(np.int16), index_to_patient=np.diag([*SPACING, 1.0])[:3])


def plates(mask: np.ndarray) -> np.ndarray:
    walls = np.zeros_like(mask)
    walls[:, 40:42], walls[:, 55:57] = True, True  # from 80 mm, and from 110 mm
    return walls & ~mask


def test_plates_under_a_patient_are_cut_out_and_only_they() -> None:
    mask = patient()
    walls = plates(mask)
    couch = find_couch(mask | walls, SPACING)
    left = mask | walls
    couch.cut_out(left)
    cut = (mask | walls) & ~left
    free = walls & ~mask.any(1)[:, None]  # a wall that the trunk lies on everywhere shows in no silhouette
    assert cut[free].mean() > 0.99 and cut[walls].mean() > 0.9
    lost = mask & cut
    assert lost.sum() < 0.02 * mask.sum() and not lost[:, :38].any()  # a rim of one voxel where the patient lies on it


def test_a_finger_that_lies_on_the_couch_is_seen() -> None:
    mask = patient()
    bridge = mask.copy()
    bridge[60:64, 34:38, 10:60] = True  # the finger is part of the patient
    view = project(scanned(bridge, plates(bridge)), couch="fit")
    truth = project(scanned(bridge, np.zeros_like(bridge)))
    assert truth.silhouette[:, 8:12].sum() > 50
    assert (view.silhouette == truth.silhouette).mean() > 0.999


def test_without_a_couch_nothing_is_cut_out() -> None:
    assert not find_couch(patient(), SPACING).found


def test_a_short_wall_is_no_couch() -> None:
    mask = patient()
    walls = plates(mask)
    walls[:90] = False  # 120 mm of it are left
    couch = find_couch(mask | walls, SPACING)
    assert not couch.found


@pytest.mark.parametrize("kind", KINDS)
def test_every_couch_is_there_and_outside_the_patient(kind: CouchKind) -> None:
    mask = patient()
    values = np.where(mask, np.float32(40), np.float32(-1000))
    head = np.array([[80.0, 0.0, 380.0], [200.0, 80.0, 476.0]])
    furnish(values, mask, np.diag([*SPACING, 1.0])[:3], kind, head, np.random.default_rng(1))
    assert (values[~mask] > -400).sum() > 1000
    assert (values[mask] > 20).all()


@pytest.mark.slow
def test_silhouettes_on_every_couch_are_those_without() -> None:
    recipe, template = replace(body_phantoms(), couch="empty"), load_template("body")
    person = make_patient(recipe, template, 3, 0)
    truth = project(scan(recipe, template, person, 3, 0))
    for kind in KINDS:
        found = project(scan(replace(recipe, couch=kind), template, person, 3, 0), couch="fit")
        figures = compare(found, truth, person)
        assert figures["dice"] >= 0.99 and figures["outline_p95_px"] <= 1 and figures["landmark_max_px"] <= 1, kind
        assert figures["gaps_closed"] == 0, kind


@pytest.mark.parametrize("degrees", [-3, -1, 1, 2, 3])
def test_a_couch_that_is_tilted_against_the_scan_is_followed(degrees: float) -> None:
    mask = patient()
    rows = np.rint(np.arange(len(mask)) * SPACING[2] * np.tan(np.radians(degrees)) / SPACING[1]).astype(int)
    rows -= min(rows.min(), 0)
    level = plates(np.zeros_like(mask))
    tilted = np.stack([np.roll(part, row, 0) for part, row in zip(level, rows, strict=True)])
    lying = np.stack([np.roll(part, row, 0) for part, row in zip(mask, rows, strict=True)])
    view = project(scanned(lying, tilted & ~lying), couch="fit")
    truth = project(scanned(lying, np.zeros_like(mask)))
    assert (view.silhouette == truth.silhouette).mean() > 0.995


def test_a_short_scan_keeps_fingers_that_lie_clear_of_the_plate_it_loses() -> None:
    z, y, x = np.indices((20, 60, 150))  # 80 mm of four fingers
    fingers = (np.abs(y - 30) < 4) & ((x - 40) % 20 < 8) & (x >= 40) & (x < 120)
    fingers |= (z < 3) & (np.abs(y - 30) < 4) & (x >= 40) & (x < 120)
    walls = np.zeros_like(fingers)
    walls[:, 48:50, 10:140] = True
    view = project(scanned(fingers, walls), couch="fit")
    assert np.array_equal(view.silhouette, project(scanned(fingers, np.zeros_like(walls))).silhouette)
