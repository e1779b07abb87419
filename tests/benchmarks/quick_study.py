"""A study of many virtual patients in little time: as phantoms.py and study.py make one, but without intensities.

  python -m tests.benchmarks.quick_study hand_virtual_study --count 2000 --seed 9001 --out STUDY

Patients, poses, shifts and voxels are the recipe's; inside the skin everything is one tissue without noise, so that an
outline errs by partial volume alone. Couches, artefacts and fields of view that end early are left out. 0.2 s a hand.
"""

import argparse

import numpy as np

from pipelines.cli import as_dict, progress, resolve
from synth.domain.anatomy import anatomy_named
from synth.domain.landmarks import Annotation
from synth.domain.patch import Crop
from synth.domain.projection import Volume
from synth.domain.settings import ImportSettings
from synth.domain.shards import Manifest, write_manifest, write_shard
from synth.domain.study import ImportedCase, assemble, import_case
from synth.phantom import PhantomRecipe, make_patient
from synth.template import Template, load_template
from synth.voxels import voxelise

TISSUE = 400  # any level above the threshold
MARGIN_MM = 10.0


def quick_case(recipe: PhantomRecipe, template: Template, seed: int, index: int) -> ImportedCase:
    """Case `index` of the recipe's study, its volume homogeneous."""
    anatomy = anatomy_named(recipe.anatomy)
    patient = make_patient(recipe, template, seed, index)
    mask, affine = voxelise(patient.vertices, template.triangles, recipe.spacing_mm, MARGIN_MM)
    volume = Volume(voxels=mask * np.int16(TISSUE), index_to_patient=affine, modality="MR")
    settings = ImportSettings(
        side="left" if anatomy.base == "hand" else None,
        back="anterior" if anatomy.base == "hand" else None,
        fingers="superior" if anatomy.base == "hand" else None,
        threshold=TISSUE / 2,
        couch="none",
    )
    annotation = Annotation(case=patient.case, subject=patient.subject, points=patient.landmarks)
    return import_case(volume, annotation, anatomy, Crop(), settings)


def main() -> None:
    """Make the study and say where it is."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe")
    options.add_argument("--count", type=int, required=True)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--out", required=True, metavar="URI")
    options.add_argument("--set", dest="overrides", action="append", default=[], metavar="NAME=VALUE")
    given = options.parse_args()
    recipe = resolve(given.recipe, given.overrides).phantom
    anatomy = anatomy_named(recipe.anatomy)
    template = load_template(anatomy.base)
    cases = []
    with progress(given.count, "case", "patients") as bar:
        for index in range(given.count):
            cases.append(quick_case(recipe, template, given.seed, index))
            bar.update()
    shard = write_shard(assemble(cases), given.out, 0, {})
    about = {"crop": as_dict(Crop()), "virtual": True, "phantom": as_dict(recipe)}
    write_manifest(given.out, Manifest(kind="study", anatomy=anatomy, recipe=about, seed=given.seed, shards=(shard,)))
    print(f"{given.out}: {given.count} cases of {len({case.subject for case in cases})} virtual patients")


if __name__ == "__main__":
    main()
