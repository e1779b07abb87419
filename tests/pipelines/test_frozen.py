"""The virtual studies that results are reported on are what they were: the same recipes, people, voxels.

A change of any step from a person to its voxels shows here. Where it is meant, figures reported before are void; write
frozen.json anew by `python -m tests.pipelines.test_frozen`, with a line in CHANGELOG.md. Processors round otherwise, so
that a landmark may differ by LANDMARK_MM, and a voxel at a border by its tissue; bits are not compared.
"""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pipelines.cli import as_dict
from pipelines.recipes import RECIPES
from synth.domain.anatomy import anatomy_named
from synth.phantom import PhantomRecipe, make_patient, scan
from synth.template import load_template

SEED, CASES = 1001, (0, 1)
NAMES = ("hand_virtual_test", "body_virtual_test")
FROZEN: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("frozen.json").read_text(encoding="utf-8"))
LANDMARK_MM = 0.05
PROBES = 400  # voxels of each case, spread over those that are not air
SAME = 0.98  # share of them that is within a step of intensity


def _recipe_hash(recipe: PhantomRecipe) -> str:
    return hashlib.sha256(json.dumps(as_dict(recipe), sort_keys=True).encode()).hexdigest()[:16]


def _seen(recipe: PhantomRecipe, index: int, at: list[int] | None = None) -> dict[str, Any]:
    """What a case looks like: landmarks in mm, its grid, voxels at flat indices, PROBES chosen ones by default."""
    template = load_template(anatomy_named(recipe.anatomy).base)
    with threadpool_limits(1):
        patient = make_patient(recipe, template, SEED, index)
        volume = scan(recipe, template, patient, SEED, index)
    voxels = volume.voxels.ravel()
    if at is None:
        tissue = np.flatnonzero(voxels > voxels.mean())
        at = tissue[np.linspace(0, len(tissue) - 1, PROBES).astype(int)].tolist()
    return {
        "landmarks": patient.landmarks.round(3).tolist(),
        "shape": list(volume.voxels.shape),
        "affine": volume.index_to_patient.round(4).tolist(),
        "at": at,
        "voxels": voxels[at].tolist(),
    }


def _differences(found: dict[str, Any], frozen: dict[str, Any]) -> list[str]:
    """What of a case is not as it was."""
    wrong = [] if found["shape"] == frozen["shape"] else ["shape"]
    for name, tolerance in (("landmarks", LANDMARK_MM), ("affine", LANDMARK_MM)):
        if not np.allclose(found[name], frozen[name], rtol=0, atol=tolerance, equal_nan=True):
            wrong.append(name)
    steps = np.abs(np.subtract(found["voxels"], frozen["voxels"], dtype=np.float64))
    return wrong if (steps <= 1).mean() >= SAME else [*wrong, f"{(steps > 1).mean():.1%} of the voxels"]


@pytest.mark.parametrize("name", NAMES)
def test_recipes_of_reported_results_are_frozen(name: str) -> None:
    assert _recipe_hash(RECIPES[name]().phantom) == FROZEN[name]["recipe"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_patients_of_reported_results_are_frozen(name: str) -> None:
    for index, frozen in zip(CASES, FROZEN[name]["cases"], strict=True):
        found = _seen(RECIPES[name]().phantom, index, frozen["at"])
        assert _differences(found, frozen) == []


@pytest.mark.slow
def test_studies_hold_as_many_people_as_the_papers() -> None:
    hands, bodies = (RECIPES[f"{name}_virtual_study"]().phantom for name in ("hand", "body"))
    assert (hands.count, -(-hands.count // hands.cases_per_subject)) == (263, 132)
    assert (bodies.count, bodies.cases_per_subject) == (20, 1)
    template = load_template("body")
    sexes = [make_patient(bodies, template, SEED, index).attributes["sex"] for index in range(bodies.count)]
    assert (sexes.count("female"), sexes.count("male")) == (14, 6)


def test_what_is_frozen_notices_what_it_is_for() -> None:
    recipe = RECIPES["hand_virtual_test"]().phantom
    assert _recipe_hash(recipe) == _recipe_hash(RECIPES["hand_virtual_test"]().phantom)
    assert _recipe_hash(recipe) != _recipe_hash(RECIPES["hand_virtual_study"]().phantom)
    frozen = FROZEN["hand_virtual_test"]["cases"][0]
    assert _differences(frozen, frozen) == []
    moved, noisy = copy.deepcopy(frozen), copy.deepcopy(frozen)
    moved["landmarks"][0][0] += 2 * LANDMARK_MM
    noisy["voxels"] = [value + 3 * (i % 20 == 0) for i, value in enumerate(noisy["voxels"])]
    assert _differences(moved, frozen) == ["landmarks"]
    assert _differences(noisy, frozen) == ["5.0% of the voxels"]


def main() -> None:
    """Write frozen.json as the patients are now."""
    made = {}
    for name in NAMES:
        recipe = RECIPES[name]().phantom
        made[name] = {"recipe": _recipe_hash(recipe), "cases": [_seen(recipe, index) for index in CASES]}
    text = json.dumps(made, separators=(",", ":"))
    Path(__file__).with_name("frozen.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
