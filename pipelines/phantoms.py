#!/usr/bin/env python3
"""Make a virtual study: labelled CT or MR volumes of virtual patients (images/, landmarks.csv, subjects.csv).

  python pipelines/phantoms.py hand --count 24 --seed 1 --out /data/phantoms
  python pipelines/study.py hand --side left --images /data/phantoms/images \\
      --landmarks /data/phantoms/landmarks.csv --out /data/study
  python pipelines/phantoms.py body_virtual_dev --count 2 --seed 1 --format dicom --out /data/bodies
  python pipelines/study.py body --images /data/bodies/images/* --landmarks /data/bodies/landmarks.csv --out /data/study

These are virtual patients: other shapes, proportions and poses than are rendered, deformed, voxelised, with noise, and
labelled by definitions of their own. --set phantom.shifts.scoliosis=1 and the like set them further apart
(synth/shifts.py). phantoms.json says who each case is and what it has; subjects.csv is for study.py --subjects. With
--format dicom each case is a folder of slices (--images /data/phantoms/images/*), some feet first, sagittal or coronal
(phantom.acquisition). Run the same command again and it finishes what is missing; a larger --count adds cases.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from pipelines.cli import UsageError, as_dict, parser, positive, progress, resolve, run, show_recipe
from synth.domain.anatomy import anatomy_named
from synth.domain.dicom_write import write_series
from synth.domain.landmarks import Annotation, write_csv
from synth.domain.volume import write_volume
from synth.patient import Patient
from synth.phantom import EXPORT, TAG, PhantomRecipe, make_patient, scan
from synth.template import Template, load_template

Format = Literal["nifti", "dicom"]


def main(argv: Sequence[str]) -> str:
    """Where the volumes and landmarks are."""
    options = parser(__doc__ or "")
    options.add_argument("--count", type=positive, help="number of cases; default: the recipe's phantom.count")
    options.add_argument("--seed", type=int, required=True, help="seed of every draw, 0 or more")
    options.add_argument("--out", required=True, type=Path, help="folder; a local path")
    options.add_argument(
        "--format",
        choices=get_args(Format),
        default="nifti",
        help="nifti: a .nii.gz a case, dicom: a folder of slices; default: nifti",
    )
    given = options.parse_args(argv)
    if given.seed < 0:
        raise UsageError(f"--seed {given.seed} is not allowed; give 0 or more")
    recipe = resolve(given.recipe, given.overrides).phantom
    check_output(recipe, given.seed, given.out, given.format)
    show_recipe(recipe)
    print(f"structured shifts: {', '.join(switches(recipe)) or 'none'}", flush=True)
    made = make_all(recipe, given.count or recipe.count, given.seed, given.out, given.format)
    return f"{given.out}: {given.count or recipe.count} virtual {recipe.anatomy} scans ({made} new) and landmarks.csv"


def check_output(recipe: PhantomRecipe, seed: int, out: Path, kind: Format) -> None:
    """Raise ValueError where `out` holds anything but phantoms of the same recipe, seed and format."""
    record = out / "phantoms.json"
    if record.is_file():
        try:
            found = json.loads(record.read_text())
        except ValueError as error:
            raise ValueError(f"{record} is damaged: {error}; choose another --out") from error
        if found.get("recipe") != _lasting(recipe) or found.get("seed") != seed:
            raise ValueError(f"output {out} holds phantoms of another recipe or seed; choose another --out")
        if (other := found.get("images", "nifti")) != kind:
            raise ValueError(f"output {out} holds phantoms as {other}; give --format {other}, or another --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"output {out} already holds something else; choose another --out or remove it")


def switches(recipe: PhantomRecipe) -> list[str]:
    """Every structured shift that is on, and of how many."""
    on = [f"{name} ({share:.0%})" for name, share in recipe.shifts.on.items()]
    if recipe.acquisition.oblique > 0:
        on.append(f"oblique ({recipe.acquisition.oblique:.0%})")
    if recipe.deformation_mm > 0:
        on.append(f"deformation ({recipe.deformation_mm:g} mm)")
    return on if recipe.couch in ("none", "empty") else [*on, f"couch ({recipe.couch})"]


def make_all(recipe: PhantomRecipe, count: int, seed: int, out: Path, kind: Format) -> int:
    """Number of volumes made now; those already there are kept. Landmarks are written for all of them."""
    anatomy = anatomy_named(recipe.anatomy)
    template = load_template(anatomy.base)
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    record = {"format": "synthmark phantoms", "recipe": _lasting(recipe), "seed": seed, "images": kind}
    write_json(out / "phantoms.json", record | {"cases": {}})
    annotations, people, cases, made = [], [], {}, 0
    with progress(count, "scan", f"scanning {recipe.anatomy} phantoms") as bar:
        for index in range(count):
            patient = make_patient(recipe, template, seed, index)
            path = images / (f"{patient.case}.nii.gz" if kind == "nifti" else patient.case)
            if not path.exists():
                write_scan(recipe, template, patient, seed, index, path)
                made += 1
            people.append(
                {
                    "case": patient.case,
                    "subject": patient.subject,
                    **patient.attributes,
                    "shifts": " ".join(patient.shifts) or "none",
                }
            )
            annotations.append(Annotation(case=patient.case, subject=patient.subject, points=patient.landmarks))
            cases[patient.case] = {
                "subject": patient.subject,
                **({"side": recipe.side} if anatomy.base == "hand" else {}),
                **patient.attributes,
                "shifts": patient.shifts,
            }
            bar.update()
    write_csv(out / "landmarks.csv", annotations, anatomy)
    write_people(out / "subjects.csv", people)
    write_json(out / "phantoms.json", record | {"cases": cases})
    return made


def write_people(path: Path, rows: Sequence[dict[str, str | float]]) -> None:
    """Write one row a case: its subject, and attributes to stratify by."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def write_scan(recipe: PhantomRecipe, template: Template, patient: Patient, seed: int, index: int, path: Path) -> None:
    """Scan a patient and write the volume: NIfTI where the path says so, else a DICOM series; whole or not at all."""
    rng = np.random.default_rng([seed, index, TAG, EXPORT])
    source = f"{json.dumps(_lasting(recipe), sort_keys=True)}/{seed}/{patient.case}"
    export = recipe.acquisition.sample(recipe.modality, index, source, rng)
    lying = patient if export.rotation is None else patient.turned(export.rotation)
    volume = scan(recipe, template, lying, seed, index)
    if path.suffix == ".gz":
        write_volume(volume, path, export.rotation)
    else:
        write_series(volume, path, export)


def write_json(path: Path, value: object) -> None:
    """Write indented JSON."""
    path.write_text(json.dumps(value, indent=1) + "\n")


def _lasting(recipe: PhantomRecipe) -> dict[str, object]:
    """The recipe without its count: a larger --count adds cases and changes none."""
    return {key: value for key, value in as_dict(recipe).items() if key != "count"}


if __name__ == "__main__":
    run(main)
