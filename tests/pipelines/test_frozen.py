"""The virtual studies that results are reported on are what they were: the same recipes, the same bits.

A change of any step from a person to its voxels shows here. Where it is meant, figures reported before are void; pin
anew what `python -m tests.pipelines.test_frozen` prints, with a line in CHANGELOG.md.
"""

import hashlib
import json

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pipelines.cli import as_dict
from pipelines.recipes import RECIPES
from synth.domain.anatomy import anatomy_named
from synth.phantom import PhantomRecipe, make_patient, scan
from synth.template import load_template

SEED, CASES = 1001, (0, 1)
FROZEN: dict[str, tuple[str, str]] = {  # recipe, content of its first cases
    "hand_virtual_test": ("1a9ce3569c11f2f8", "d79c7c7281f05dc8"),
    "body_virtual_test": ("3b737aa14c78442e", "6443260c596eeb7e"),
}


def _recipe_hash(recipe: PhantomRecipe) -> str:
    return hashlib.sha256(json.dumps(as_dict(recipe), sort_keys=True).encode()).hexdigest()[:16]


def _content_hash(recipe: PhantomRecipe) -> str:
    """Of landmarks, voxels and their places; on one processor family, one thread."""
    digest, template = hashlib.sha256(), load_template(anatomy_named(recipe.anatomy).base)
    with threadpool_limits(1):
        for index in CASES:
            patient = make_patient(recipe, template, SEED, index)
            volume = scan(recipe, template, patient, SEED, index)
            for array in (patient.landmarks, volume.voxels, volume.index_to_patient):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("name", FROZEN)
def test_recipes_of_reported_results_are_frozen(name: str) -> None:
    assert _recipe_hash(RECIPES[name]().phantom) == FROZEN[name][0]


@pytest.mark.slow
@pytest.mark.parametrize("name", FROZEN)
def test_patients_of_reported_results_are_frozen(name: str) -> None:
    assert _content_hash(RECIPES[name]().phantom) == FROZEN[name][1]


@pytest.mark.slow
def test_studies_hold_as_many_people_as_the_papers() -> None:
    hands, bodies = (RECIPES[f"{name}_virtual_study"]().phantom for name in ("hand", "body"))
    assert (hands.count, -(-hands.count // hands.cases_per_subject)) == (263, 132)
    assert (bodies.count, bodies.cases_per_subject) == (20, 1)
    template = load_template("body")
    sexes = [make_patient(bodies, template, SEED, index).attributes["sex"] for index in range(bodies.count)]
    assert (sexes.count("female"), sexes.count("male")) == (14, 6)


def test_hashes_notice_what_they_are_for() -> None:
    recipe = RECIPES["hand_virtual_test"]().phantom
    assert _recipe_hash(recipe) == _recipe_hash(RECIPES["hand_virtual_test"]().phantom)
    assert _recipe_hash(recipe) != _recipe_hash(RECIPES["hand_virtual_study"]().phantom)


if __name__ == "__main__":
    for frozen in FROZEN:
        phantom = RECIPES[frozen]().phantom
        print(f'    "{frozen}": ("{_recipe_hash(phantom)}", "{_content_hash(phantom)}"),')
