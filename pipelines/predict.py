#!/usr/bin/env python3
"""Place landmarks on new scans: 3D Slicer markups, overlays, a table, and a record of what was used.

  python pipelines/predict.py --model /data/hand_model/model --side left --out /data/predicted scans/*.nii.gz
  python pipelines/predict.py --model models:/synthmark-body/1 --out /data/predicted ct_folder/

INPUT: 2D images, volumes or images of depth cameras (--camera, --head), or folders of them, or a folder with a DICOM
series; a case is named after its file.
MODEL: a model folder of pretrain.py or sweep.py, or an MLflow models:/ or runs:/ URI. A case that cannot be read is
reported and the others go on. A volume takes a second or two. radius90_mm holds a landmark in 9 of 10 patients where
the model was fine-tuned by sweep.py on a study like these scans, of no fewer than 9 subjects: the same kind of patient,
scanner and annotation. It says nothing of other scans. annotate_next.csv names the cases whose annotation would teach
the model most, the most uncertain first; corrected in 3D Slicer they go back with study.py --landmarks *.mrk.json.
Research use; not a medical device.
"""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.cli import parser, progress, require_empty, run
from pipelines.explain import add_explain_option, explain
from pipelines.reading import add_reading_options, read_scan, reading_settings, require_side
from synth.domain.cases import case_name, find_images, name_cases
from synth.domain.landmarks import Prediction, escaped, write_predictions
from synth.domain.parts import find_parts
from synth.domain.reader import Reader
from synth.domain.settings import ImportSettings
from synth.domain.slicer import write_markups
from synth.domain.storage import write_bytes
from synth.domain.study import Prepared, prepare
from training.checkpoint import LoadedModel, load_model
from training.figures import overlay_figure
from training.predict import CasePrediction, predict_case
from training.provenance import git_commit, versions
from training.registry import local_model

HOLDS_FOR = "scans exchangeable with the study the model was fine-tuned on: same kind of patient, scanner, annotation"


def main(argv: Sequence[str]) -> str:
    """Where the predictions are, and how many landmarks were placed."""
    options = parser(__doc__ or "", recipe=False)
    options.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="images, volumes or folders")
    options.add_argument("--model", required=True, help="model folder or URI")
    options.add_argument("--out", required=True, help="folder of the predictions")
    options.add_argument("--rename", action="store_true", help="call cases case-0001 … in the order of their names")
    add_reading_options(options)
    add_explain_option(options)
    given = options.parse_args(argv)
    settings = reading_settings(given)
    require_empty(given.out)
    if given.explain:
        require_empty(str(given.explain))
    cases = name_cases(find_images(given.inputs))
    if given.rename:
        cases = {f"case-{k:04d}": cases[name] for k, name in enumerate(sorted(cases), 1)}
    loaded = load_model(local_model(given.model))
    require_side(settings, loaded.card.anatomy)
    results, failures = predict_all(cases, loaded, settings, Path(given.out), given.explain)
    if not results:
        raise ValueError(f"no case could be predicted; nothing was written; {'; '.join(failures.values())}")
    record(results, failures, loaded, given.model, settings, Path(given.out))
    rows = [row for result in results for row in result.rows]
    placed = sum(row.status == "ok" for row in rows)
    if failures:
        raise ValueError(f"{len(failures)} of {len(cases)} cases failed: {'; '.join(failures.values())}")
    return f"{given.out}: {len(results)} cases, {placed} of {len(rows)} landmarks placed; see landmarks.csv"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A case that was predicted: rows of landmarks.csv, its entry in run.json; uncertainty: see CasePrediction."""

    rows: list[Prediction]
    entry: dict[str, Any]
    uncertainty: float

    @property
    def num_untrusted(self) -> int:
        """How many landmarks were withheld though they lie in the field of view."""
        return sum(row.status == "untrusted" for row in self.rows)


def predict_all(
    cases: dict[str, Path], loaded: LoadedModel, settings: ImportSettings, out: Path, pictures: Path | None
) -> tuple[list[Result], dict[str, str]]:
    """(results, case -> why it failed); each case's files are written as soon as it is done."""
    anatomy = loaded.card.anatomy
    results, failures = [], {}
    with Reader() as reader, progress(len(cases), "case", "predicting") as bar:
        for case, path in cases.items():
            try:
                source = read_scan(reader, path, settings)
                prepared = prepare(source, anatomy, loaded.card.crop, settings)
                predicted = predict_case(loaded, prepared)
            except ValueError as error:
                why = str(error) if is_named(case, path) else "failed; predict it without --rename to see why"
                failures[case] = f"case {case!r}: {why}"
            else:
                write_case(case, prepared, predicted, out)
                if pictures is not None:
                    points = np.where(predicted.trusted[:, None], predicted.patch, np.nan)
                    parts = find_parts(prepared.shown, prepared.source)
                    picture = explain(prepared, parts, points, anatomy, settings, case, prepared.notes)
                    write_bytes(str(pictures), f"{case}.png", picture)
                entry = entry_of(case, path, prepared, predicted)
                results.append(Result(rows=predicted.rows(case), entry=entry, uncertainty=predicted.uncertainty))
            bar.update()
    for result in results:
        print("".join(f"{result.entry['case']}: NOTE {note}\n" for note in result.entry["notes"]), end="", flush=True)
    return results, failures


def write_case(case: str, prepared: Prepared, predicted: CasePrediction, out: Path) -> None:
    """None; writes <case>.mrk.json and <case>.png."""
    out.mkdir(parents=True, exist_ok=True)
    names = predicted.anatomy.names
    write_markups(out / f"{case}.mrk.json", predicted.positions(), predicted.anatomy, "predicted by synthmark")
    pixel_mm = prepared.source.pixel_mm
    radius_px = predicted.radius90_mm / (np.nan if pixel_mm is None else pixel_mm[0])
    shown = np.where(predicted.trusted[:, None], predicted.source, np.nan)
    figure = overlay_figure(prepared.source.silhouette, shown, names, radius_px, case)
    figure.savefig(out / f"{case}.png", dpi=110)


def entry_of(case: str, path: Path, prepared: Prepared, predicted: CasePrediction) -> dict[str, Any]:
    """A case's entry in run.json."""
    return {
        "case": case,
        "input": str(path) if is_named(case, path) else None,
        "sha256": content_digest(path),
        "threshold": prepared.source.threshold,
        "notes": [*prepared.notes, *([predicted.doubt] if predicted.doubt else [])],
        "status": dict(zip(predicted.anatomy.names, predicted.status, strict=True)),
        "radius90_all_mm": {
            name: round(float(radius), 3)
            for name, radius, ok in zip(
                predicted.anatomy.names, predicted.radius90_all_mm, predicted.trusted, strict=True
            )
            if ok and np.isfinite(radius)
        },
    }


def is_named(case: str, path: Path) -> bool:
    """Whether a case is called after its file; where it was renamed, what the file is called is nobody's business."""
    return case == case_name(path)


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the files in a folder and its folders, in order."""
    if not path.is_dir():
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(f"{file.relative_to(path)}\0{content_digest(file)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def record(
    results: list[Result],
    failures: dict[str, str],
    loaded: LoadedModel,
    model: str,
    settings: ImportSettings,
    out: Path,
) -> None:
    """None; writes landmarks.csv, annotate_next.csv and run.json."""
    write_predictions(out / "landmarks.csv", [row for result in results for row in result.rows])
    write_next(out / "annotate_next.csv", results)
    card = loaded.card
    payload = {
        "format": "synthmark predictions 1",
        "model": {"uri": model, "card_sha256": card.digest, "weights_sha256": card.weights_sha256},
        "anatomy": card.anatomy.name,
        "network": card.model.network,
        "conformal": asdict(card.conformal) | {"holds_for": HOLDS_FOR},
        "settings": settings.record(),
        "crop": asdict(card.crop),
        "git_commit": git_commit(),
        "versions": versions(),
        "cases": [result.entry for result in results],
        "failed": failures,
    }
    (out / "run.json").write_text(json.dumps(payload, indent=1) + "\n", encoding="utf-8")


def write_next(path: Path, results: Sequence[Result]) -> None:
    """None; writes the cases in the order to annotate them: most landmarks untrusted first, then the least certain."""
    order = sorted(results, key=lambda result: (-result.num_untrusted, -result.uncertainty, result.entry["case"]))
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("rank", "case", "untrusted", "uncertainty_px"))
        for rank, result in enumerate(order, 1):
            known = f"{result.uncertainty:.3f}" if result.uncertainty else ""
            writer.writerow((rank, escaped(result.entry["case"]), result.num_untrusted, known))


if __name__ == "__main__":
    run(main)
