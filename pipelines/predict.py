#!/usr/bin/env python3
"""Place landmarks on new scans: 3D Slicer markups, overlays, a table, and a record of what was used.

  python pipelines/predict.py --out /data/predicted ct.nii.gz
  python pipelines/predict.py --side left --preview --out /data/predicted hand.png
  python pipelines/predict.py --model /data/hand_model/model --side left --out /data/predicted scans/
  python pipelines/predict.py --model models:/synthmark-body/1 --out /data/predicted dicom_folders/*

INPUT: 2D images, volumes or images of depth cameras (--camera, --head), or folders of them, or a folder with a DICOM
series; a case is named after its file. MODEL: a model folder of pretrain.py or sweep.py, or an MLflow models:/ or
runs:/ URI. Without one, the models that come with synthmark are taken, each scan with the one that it fits; a scan that
looks like neither a whole hand nor a whole body is refused, and a hand whose side is not given.

A volume takes a second or two; many cases are shared among --workers. A case that cannot be read is reported and the
others go on. Run the same command again and it does what is missing or failed; what is there is not touched.
radius90_mm holds a landmark in 9 of 10 patients where the model was fine-tuned by sweep.py on a study like these scans,
of no fewer than 9 subjects: the same kind of patient, scanner and annotation. It says nothing of other scans.
annotate_next.csv names the cases whose annotation would teach the model most, the most uncertain first; corrected in
3D Slicer they go back with study.py --landmarks *.mrk.json. --sr writes <case>.dcm beside them, for a DICOM archive: a
structured report with the patient's name and id, as an archive needs; nothing else here repeats a header's text.
Research use; not a medical device.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from pipelines.cli import parser, positive, require_empty, run
from pipelines.explain import add_explain_option
from pipelines.predicted_case import RECORDS, Task
from pipelines.predicted_cases import predict_cases
from pipelines.predictions import claim, collect, made_with
from pipelines.preview import screen_of
from pipelines.reading import add_reading_options, reading_settings, require_side
from synth.domain.cases import find_images, name_cases
from training.checkpoint import LoadedModel, load_model
from training.registry import local_model
from training.shipped import load_shipped, shipped_folder

TOLD = 5  # reasons of failures in the last line; run.json has all


def main(argv: Sequence[str]) -> str:
    """Where the predictions are, and how many landmarks were placed; with --json all of them instead."""
    given = arguments().parse_args(argv)
    task, models, uris = prepared_task(given)
    done = predict_cases(task, models, given.workers)
    failures = {item.case: item.failure for item in done if item.failure}
    document = collect(task.out, models, uris, task.settings, failures)
    told = sys.stderr if given.json else sys.stdout
    show(document, [item.drawn for item in done], task.cases, told)
    text = json.dumps(document, indent=1)
    if failures:
        if given.json:
            print(text, flush=True)
        raise ValueError(why_failed(list(failures.values()), len(task.cases), bool(document["cases"])))
    summary = f"{task.out}: {placed(document)} landmarks placed; see landmarks.csv"
    if given.json:
        print(summary, file=told, flush=True)
        return text
    return summary


def arguments() -> argparse.ArgumentParser:
    """The options of this verb."""
    options = parser(__doc__ or "", recipe=False)
    options.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="images, volumes or folders")
    options.add_argument(
        "--model", help="model folder or URI, or hand or body for the shipped one; default: the shipped one that fits"
    )  # fmt: skip
    options.add_argument("--out", type=Path, required=True, help="folder of the predictions")
    options.add_argument("--rename", action="store_true", help="call cases case-0001 … in the order of their names")
    options.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="processes for many cases; default: cores"
    )
    options.add_argument("--json", action="store_true", help="print run.json, all results, and nothing else on stdout")
    options.add_argument(
        "--sr",
        action="store_true",
        help="also a DICOM structured report of each volume; it names the patient",
    )
    options.add_argument("--preview", action="store_true", help="draw each case that is predicted now in the terminal")
    add_reading_options(options)
    add_explain_option(options)
    return options


def prepared_task(given: argparse.Namespace) -> tuple[Task, dict[str, LoadedModel], dict[str, str]]:
    """(what is to be done, the models by the anatomy they are for, where those came from)."""
    settings = reading_settings(given)
    cases = name_cases(find_images(given.inputs))
    if given.rename:
        cases = {f"case-{k:04d}": cases[name] for k, name in enumerate(sorted(cases), 1)}
    if given.model is None:
        models = load_shipped()
        uris = dict.fromkeys(models, "shipped with synthmark")
    else:
        loaded = load_model(model_folder(given.model))
        require_side(settings, loaded.card.anatomy)
        models, uris = {loaded.card.anatomy.name: loaded}, {loaded.card.anatomy.name: given.model}
    made = made_with(models, settings, report=given.sr)
    if given.explain and not (given.out / RECORDS).is_dir():
        require_empty(str(given.explain))
    claim(given.out, made)
    task = Task(
        cases=cases,
        settings=settings,
        shipped=given.model is None,
        made_with=made,
        out=given.out,
        pictures=given.explain,
        report=given.sr,
        screen=screen_of("stderr" if given.json else "stdout") if given.preview else None,
    )
    return task, models, uris


def model_folder(model: str) -> str:
    """The folder of a model that a person named: the shipped one of a hand or body, unless there is such a folder."""
    if model in ("hand", "body") and not Path(model).exists():
        return shipped_folder(model)
    return local_model(model)


def show(document: Mapping[str, Any], drawn: Sequence[str], cases: Mapping[str, Path], told: TextIO) -> None:
    """None; tells a person how the cases look and what to note of those that were asked for."""
    for text in drawn:
        print(text, end="\n" if text else "", file=told, flush=True)
    for entry in document["cases"]:
        if entry["case"] in cases:
            notes = "".join(f"{entry['case']}: NOTE {note}\n" for note in entry["notes"])
            print(notes, end="", file=told, flush=True)


def placed(document: Mapping[str, Any]) -> str:
    """How many cases there are, and how many of their landmarks were placed."""
    status = [landmark["status"] for case in document["cases"] for landmark in case["landmarks"]]
    return f"{len(document['cases'])} cases, {status.count('ok')} of {len(status)}"


def why_failed(reasons: Sequence[str], num_cases: int, any_done: bool) -> str:
    """The last line of a run in which cases failed."""
    told = "; ".join(reasons[:TOLD]) + ("; … (run.json has all)" if len(reasons) > TOLD and any_done else "")
    if not any_done:
        return f"no case could be predicted; nothing was written; {told}"
    return f"{len(reasons)} of {num_cases} cases failed: {told}"


if __name__ == "__main__":
    run(main)
