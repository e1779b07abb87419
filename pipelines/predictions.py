"""A folder of predictions as a whole: what may go on in it, and its tables, made of the records of its cases."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.cli import require_empty
from pipelines.predicted_case import RECORDS, read_record
from synth.domain.landmarks import Prediction, escaped, write_predictions
from synth.domain.settings import ImportSettings
from synth.domain.storage import write_bytes
from training.checkpoint import LoadedModel
from training.provenance import git_commit, versions

HALF_WRITTEN = re.compile(r".+\.[0-9a-f]{32}\.tmp")  # as storage.write_bytes names it
HOLDS_FOR = "scans exchangeable with the study the model was fine-tuned on: same kind of patient, scanner, annotation"


def made_with(models: Mapping[str, LoadedModel], settings: ImportSettings, *, report: bool) -> dict[str, Any]:
    """What decides about a prediction's files but for the scan, in plain JSON types."""
    cards = {name: loaded.card.digest for name, loaded in models.items()}
    given = {**settings.record(), "sr": report}
    plain: dict[str, Any] = json.loads(json.dumps({"models": cards, "settings": given}))
    return plain


def claim(out: Path, made: Mapping[str, Any]) -> None:
    """None; what a killed run left half written goes.

    Raises: ValueError where `out` holds anything but predictions made so.
    """
    folder = out / RECORDS
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    if not folder.is_dir() or any(file.suffix not in (".json", ".tmp") for file in files):
        require_empty(str(out))
    remove_half_written(out)
    for record in records(out):
        theirs = record["made_with"]
        if theirs["models"] != made["models"]:
            raise ValueError(f"{out} holds predictions of another model; choose another --out")
        if changed := [name for name, value in made["settings"].items() if theirs["settings"].get(name) != value]:
            was, now = (side["settings"].get(changed[0]) for side in (theirs, made))
            raise ValueError(f"{out} holds predictions with {changed[0]} {was}, not {now}; choose another --out")


def remove_half_written(out: Path) -> None:
    """None; what killed processes left half written among predictions goes."""
    for folder in (out, out / RECORDS):
        for file in folder.glob("*.tmp"):
            if HALF_WRITTEN.fullmatch(file.name):
                file.unlink()


def records(out: Path) -> list[dict[str, Any]]:
    """The records of all cases that are done, by name. Raises ValueError for one that is none."""
    found = []
    for path in sorted((out / RECORDS).glob("*.json")):
        record = read_record(out, path.name.removesuffix(".json"))
        if record is None or not {"case", "made_with", "landmarks"} <= record.keys():
            raise ValueError(f"{path} is no record of a prediction; choose another --out")
        found.append(record)
    return found


def collect(
    out: Path,
    models: Mapping[str, LoadedModel],
    uris: Mapping[str, str],
    settings: ImportSettings,
    failures: dict[str, str],
) -> dict[str, Any]:
    """All predictions of a folder in one document; where there are any, landmarks.csv, annotate_next.csv and run.json
    (the document) are written anew, and what workers that were lost left half written is gone.

    uris: where each model came from; failures: why cases of this run failed
    """
    remove_half_written(out)
    cases = [{name: value for name, value in record.items() if name != "made_with"} for record in records(out)]
    document = {
        "format": "synthmark predictions 2",
        "models": {name: described(loaded, uris[name]) for name, loaded in models.items()},
        "settings": settings.record(),
        "git_commit": git_commit(),
        "versions": versions(),
        "cases": cases,
        "failed": failures,
    }
    if cases:
        write_predictions(out / "landmarks.csv", [row for case in cases for row in rows_of(case)])
        write_next(out / "annotate_next.csv", cases)
        write_bytes(str(out), "run.json", (json.dumps(document, indent=1) + "\n").encode())
    return document


def described(loaded: LoadedModel, uri: str) -> dict[str, Any]:
    """A model in run.json."""
    card = loaded.card
    return {
        "uri": uri,
        "card_sha256": card.digest,
        "weights_sha256": card.weights_sha256,
        "network": card.model.network,
        "conformal": asdict(card.conformal) | {"holds_for": HOLDS_FOR},
        "crop": asdict(card.crop),
    }


def rows_of(case: Mapping[str, Any]) -> list[Prediction]:
    """The rows of landmarks.csv of a case of run.json."""
    return [
        Prediction(
            case=case["case"],
            landmark=landmark["name"],
            status=landmark["status"],
            point_px=tuple(_numbers(landmark["px"])),
            point_mm=tuple(_numbers(landmark["mm"])),
            sigma_mm=landmark["sigma_mm"],
            radius90_mm=landmark["radius90_mm"],
            depth_source=landmark["depth_source"],
            num_calibration=landmark["n_calibration"],
        )
        for landmark in case["landmarks"]
    ]


def _numbers(values: Sequence[float | None]) -> Any:
    """The values, NaN for null."""
    return (float("nan") if value is None else value for value in values)


def num_untrusted(case: Mapping[str, Any]) -> int:
    """How many landmarks of a case were withheld though they lie in the field of view."""
    return sum(landmark["status"] == "untrusted" for landmark in case["landmarks"])


def write_next(path: Path, cases: Sequence[Mapping[str, Any]]) -> None:
    """None; writes the cases in the order to annotate them: most landmarks untrusted first, then the least certain."""
    order = sorted(cases, key=lambda case: (-num_untrusted(case), -(case["uncertainty_px"] or 0), case["case"]))
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("rank", "case", "untrusted", "uncertainty_px"))
        for rank, case in enumerate(order, 1):
            known = f"{case['uncertainty_px']:.3f}" if case["uncertainty_px"] else ""
            writer.writerow((rank, escaped(case["case"]), num_untrusted(case), known))
