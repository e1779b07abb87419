"""What filling virtual patients costs, what is in them, and what of it shows in their silhouettes.

  python -m tests.benchmarks.insides [--cases 8] [--seed 1]

Of each case: processor seconds of a scan with and without what is inside, litres of each compartment, Dice of its
silhouette (nothing but the patient; on a couch that is cut out) with that of the patient's own voxels.
"""

import argparse
import json
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from synth.compartments import Insides, Label, bmi_of, label_voxels
from synth.couches import ROOM_MM
from synth.domain.projection import Volume, project
from synth.phantom import PhantomRecipe, body_phantoms, make_patient, scan
from synth.template import Template, load_template
from synth.voxels import voxelise
from tests.benchmarks.surroundings import surroundings


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Twice what two masks share, by their sum."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def case(recipe: PhantomRecipe, template: Template, seed: int, index: int) -> dict[str, object]:
    """The figures of one patient."""
    patient = make_patient(recipe, template, seed, index)
    seconds: dict[str, list[float]] = {"filled": [], "insides": []}
    for _ in range(3):
        for name, insides in (("filled", None), ("insides", recipe.insides)):
            start = time.process_time()
            volume = scan(replace(recipe, insides=insides), template, patient, seed, index)
            seconds[name].append(time.process_time() - start)
    margin = (20.0, ROOM_MM, 10.0 + 2 * recipe.spacing_mm[2])
    mask, affine = voxelise(patient.vertices, template.triangles, recipe.spacing_mm, margin)
    full = Volume(voxels=np.where(mask, 40, -1000).astype(np.int16), index_to_patient=affine)
    truth = project(full).silhouette
    bare = scan(replace(recipe, couch="empty"), template, patient, seed, index)
    litre = float(np.prod(recipe.spacing_mm)) / 1e6
    rng = np.random.default_rng([seed, index])
    labels = label_voxels(mask, affine, patient.joints, patient.bones, recipe.insides or Insides(), rng)
    return {
        "million_voxels": mask.size / 1e6,
        "bmi": bmi_of(float(mask.sum()) * litre, patient.joints),
        **{f"{name}_s": float(np.median(values)) for name, values in seconds.items()},
        "litres": {label.name.lower(): float((labels == label).sum()) * litre for label in Label if label},
        "dice_bare": dice(project(bare).silhouette, truth),
        "dice_couch": dice(project(volume, couch="fit").silhouette, truth),
    }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=8)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    recipe, template = body_phantoms(), load_template("body")
    with threadpool_limits(1):
        cases = [case(recipe, template, given.seed, index) for index in range(given.cases)]
    print(json.dumps({"cases": cases} | surroundings(), indent=1))


if __name__ == "__main__":
    main()
