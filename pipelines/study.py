#!/usr/bin/env python3
"""Import labelled scans into a study: silhouettes, depth and landmarks in the patch that networks see.

  python pipelines/study.py hand --images scans/*.nii.gz --landmarks landmarks.csv --side left --out /data/study
  python pipelines/study.py body --images ct/ --landmarks landmarks.csv --out s3://bucket/study
  python pipelines/study.py body --images depth/*.png --camera camera.json --head up --landmarks l.csv --out /data/study
  python pipelines/study.py hand --template scan.nii.gz     # an empty scan.mrk.json to annotate in 3D Slicer

Images are 2D (PNG, JPEG, MHA, a DICOM radiograph), volumes (NIfTI, MHA, NRRD, a folder with a DICOM series) or of depth
cameras (16-bit PNG, PLY, XYZ); a folder of images stands for all of them (docs/inputs.md). Landmarks: a CSV
case,subject,landmark,x,y,z (volumes: patient mm, LPS; depth cameras: mm in the camera's frame; 2D: px, z empty; empty
coordinates = not annotated), or one CASE.mrk.json or CASE.fcsv of 3D Slicer per case. Look at cases.png and
study.csv afterwards; --explain DIR shows each step of each case.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.cli import UsageError, parser, progress, require_empty, run
from pipelines.explain import add_explain_option, explain
from pipelines.reading import add_reading_options, read_scan, reading_settings, require_side
from pipelines.sheet import draw_sheet
from pipelines.subjects import add_subject_options, with_subjects
from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.cases import find_images, match, name_cases
from synth.domain.landmarks import Annotation, read_annotations
from synth.domain.measures import Measures, measure, table
from synth.domain.parts import Parts, find_parts
from synth.domain.patch import Crop
from synth.domain.reader import Reader
from synth.domain.schema import Samples
from synth.domain.settings import ImportSettings
from synth.domain.shards import Manifest, write_manifest, write_shard
from synth.domain.slicer import write_markups
from synth.domain.storage import write_bytes
from synth.domain.study import ImportedCase, Prepared, annotated, assemble, naming, prepare
from synth.domain.suspects import sentence

SHARD_ROWS = 512
SHEET_CASES = 200


def main(argv: Sequence[str]) -> str:
    """Where the study is, with its cases and subjects."""
    given = arguments().parse_args(argv)
    try:
        anatomy = anatomy_named(given.anatomy)
        crop = Crop(pixel_mm=given.pixel_mm)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if given.template:
        return write_templates(given.template, anatomy, Path(given.out or "."))
    if not (given.images and given.landmarks and given.out):
        raise UsageError("give --images, --landmarks and --out; or --template to begin annotating")
    settings = reading_settings(given)
    require_side(settings, anatomy)
    require_empty(given.out)
    if given.explain:
        require_empty(str(given.explain))
    pairs = match(find_images(given.images), read_annotations(given.landmarks, anatomy))
    with Reader() as reader:
        pairs, attributes = with_subjects(pairs, given, reader)
        cases, measures = import_all(pairs, anatomy, crop, settings, reader, given.explain)
    samples = assemble(cases)
    recipe = {
        "anatomy": anatomy.name,
        "crop": dataclasses.asdict(crop),
        "settings": settings.record(),
        **record(cases),
        "attributes": attributes,
        "virtual": are_virtual(pairs),
    }
    write_bytes(given.out, "study.csv", table(measures).encode())
    store(cases, samples, anatomy, recipe, given.out)
    subjects = len({case.subject for case in cases})
    made = f"{given.out}: {len(cases)} {anatomy.name} cases of {subjects} subjects"
    return f"{made}; see cases.png, study.csv; {sentence(measures)}"


def arguments() -> argparse.ArgumentParser:
    """The options of this verb."""
    options = parser(__doc__ or "", recipe=False)
    options.add_argument("anatomy", metavar="ANATOMY", help="hand, body, hand_bone_tips or a .toml file")
    options.add_argument("--images", nargs="+", type=Path, metavar="PATH", help="files or folders")
    options.add_argument("--landmarks", nargs="+", type=Path, metavar="FILE", help="CSV, .mrk.json or .fcsv")
    options.add_argument("--out", help="folder or URI of the study, or folder of templates")
    options.add_argument("--template", nargs="+", type=Path, metavar="PATH", help="write CASE.mrk.json of these images")
    add_subject_options(options)
    options.add_argument("--pixel-mm", type=float, help="fixed patch pixel, as crop.pixel_mm of the recipe")
    add_reading_options(options)
    add_explain_option(options)
    return options


def are_virtual(pairs: Sequence[tuple[Path, Annotation]]) -> bool:
    """Whether any scans are phantoms.py's, which leaves its record beside images/: these are no patients."""
    return any((path.parent.parent / "phantoms.json").is_file() for path, _ in pairs)


def record(cases: Sequence[ImportedCase]) -> dict[str, object]:
    """What was chosen and noted for each case, for the manifest."""
    return {
        "thresholds": {case.case: round(case.threshold, 3) for case in cases},
        "notes": {case.case: list(case.notes) for case in cases},
    }


def import_all(
    pairs: list[tuple[Path, Annotation]],
    anatomy: Anatomy,
    crop: Crop,
    settings: ImportSettings,
    reader: Reader,
    pictures: Path | None,
) -> tuple[list[ImportedCase], list[Measures]]:
    """(the cases in order, their measures); prints what each was cut at. Explained in `pictures` where given."""
    cases: list[ImportedCase] = []
    measures: list[Measures] = []
    with progress(len(pairs), "case", "importing") as bar:
        for path, annotation in pairs:
            source = read_scan(reader, path, settings)
            with naming(annotation.case):
                prepared = prepare(source, anatomy, crop, settings)
                case = annotated(prepared, source, annotation, anatomy)
                parts = find_parts(prepared.shown, prepared.source)
            if pictures is not None:
                picture = explain(prepared, parts, case.landmarks, anatomy, settings, case.case, case.notes)
                write_bytes(str(pictures), f"{case.case}.png", picture)
            cases.append(case)
            measures.append(measured(case, prepared, parts, anatomy))
            bar.update()
    print("\n".join(describe(case) for case in cases), flush=True)
    return cases, measures


def measured(case: ImportedCase, prepared: Prepared, parts: Parts, anatomy: Anatomy) -> Measures:
    """The case's row of study.csv."""
    return measure(
        prepared.source,
        parts,
        prepared.patch_map.source_points(case.landmarks),
        case.visible,
        anatomy,
        case=case.case,
        subject=case.subject,
        notes=case.notes,
    )


def write_templates(paths: Sequence[Path], anatomy: Anatomy, out: Path) -> str:
    """Where the empty .mrk.json files are; 3D Slicer opens one beside its image and asks for point after point."""
    targets = [out / f"{case}.mrk.json" for case in name_cases(find_images(paths))]
    for target in targets:
        if target.exists():
            raise ValueError(f"{target} exists already; remove it, or give another --out")
    out.mkdir(parents=True, exist_ok=True)
    for target in targets:
        write_markups(target, np.full((anatomy.num_landmarks, 3), np.nan), anatomy)
    return f"{out}: {len(targets)} .mrk.json with {', '.join(anatomy.names)} to place"


def describe(case: ImportedCase) -> str:
    """One line: case, threshold, sizes, and what to look at."""
    height, width = case.source_size
    spacing = f"patch pixel {case.pixel_mm[0]:.2f} mm" if case.pixel_mm[0] > 0 else "spacing unknown"
    kind = "2D" if case.depth_mm is None else "3D"
    notes = "".join(f"; NOTE {note}" for note in case.notes)
    return (
        f"{case.case} ({case.subject}): {kind}, {width} x {height} px, threshold {case.threshold:g}, {spacing}{notes}"
    )


def store(cases: list[ImportedCase], samples: Samples, anatomy: Anatomy, recipe: dict[str, object], uri: str) -> None:
    """Write shards, the contact sheet, and last the manifest."""
    starts = range(0, len(cases), SHARD_ROWS)
    shards = [write_shard(assemble(cases[s : s + SHARD_ROWS], s), uri, i, {}) for i, s in enumerate(starts)]
    with tempfile.TemporaryDirectory() as scratch:
        sheet = Path(scratch) / "cases.png"
        draw_sheet(samples, anatomy, sheet, count=SHEET_CASES)
        write_bytes(uri, sheet.name, sheet.read_bytes())
    write_manifest(uri, Manifest(kind="study", anatomy=anatomy, recipe=recipe, seed=None, shards=tuple(shards)))


if __name__ == "__main__":
    run(main)
