"""One case predicted: its files, its picture of the steps, and last its record, with which it is done."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipelines.explain import explain
from pipelines.preview import Screen, preview
from pipelines.reading import read_scan
from synth.domain.cases import case_name, is_dicom
from synth.domain.cloud import Cloud
from synth.domain.parts import find_parts
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.reader import Reader
from synth.domain.settings import ImportSettings
from synth.domain.slicer import write_markups
from synth.domain.storage import read_bytes, write_bytes
from synth.domain.study import Prepared, prepare
from training.checkpoint import LoadedModel
from training.figures import overlay_figure
from training.predict import CasePrediction, predict_case
from training.shipped import Fit, Unlike, choose, settings_for

RECORDS = "cases"  # folder of a prediction's records, one a case
BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is done to every case, as plain data.

    cases: name -> scan; shipped: whether a model is chosen for each case, else there is but one
    made_with: model and settings, as every record holds them; pictures: where those of --explain go
    screen: of --preview, None where nothing is drawn; report: whether a DICOM structured report is written beside it
    """

    cases: Mapping[str, Path]
    settings: ImportSettings
    shipped: bool
    made_with: dict[str, Any]
    out: Path
    pictures: Path | None = None
    screen: Screen | None = None
    report: bool = False


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a case: why it failed, "" where it did not; how it looks in a terminal, "" if nobody asked."""

    case: str
    failure: str = ""
    drawn: str = ""


class Predictor:
    """Predicts cases of a task with models in memory, on one thread: results do not depend on who predicts a case."""

    def __init__(self, task: Task, models: Mapping[str, LoadedModel], reader: Reader) -> None:
        torch.set_num_threads(1)
        self._task, self._models, self._reader = task, models, reader

    def predict(self, case: str) -> Done:
        """What became of a case; its files are there if it did not fail. One that has its record stays as it is."""
        try:
            with threadpool_limits(1):
                return Done(case=case, drawn=self._predict(case, self._task.cases[case]))
        except (ValueError, OSError) as error:
            why = str(error).encode(errors="backslashreplace").decode()
            return Done(case=case, failure=f"case {case!r}: {why}")

    def _predict(self, case: str, path: Path) -> str:
        """How the case looks in a terminal, if asked; its files are written."""
        task = self._task
        if (record := read_record(task.out, case)) is not None:
            with discreet(case, path):
                digest = content_digest(path)
            if record["sha256"] != digest:
                raise ValueError(f"{task.out} holds landmarks of another scan of that name; choose another --out")
            return ""
        with discreet(case, path):
            source, digest = read_and_digest(self._reader, path, task.settings)
        if task.report:
            check_reportable(source, path)
        try:
            fit = self._fit(source)
        except Unlike as error:
            self._picture(case, error.nearest, None)
            raise
        assert fit.prepared is not None
        predicted = predict_case(fit.loaded, fit.prepared)
        (task.out / RECORDS).mkdir(parents=True, exist_ok=True)  # first: it says whose folder this is
        write_case(case, fit.prepared, predicted, task.out)
        if task.report:
            with discreet(case, path):
                report_case(case, path, predicted, task)
        self._picture(case, fit, predicted)
        entry = entry_of(case, path, digest, fit.prepared, predicted) | {"made_with": task.made_with}
        write_bytes(str(task.out / RECORDS), f"{case}.json", (json.dumps(entry, indent=1) + "\n").encode())
        return "" if task.screen is None else preview(case, fit.prepared, predicted, task.screen)

    def _fit(self, source: Image | Volume | Cloud) -> Fit:
        """The model for a scan, and the scan as it sees it."""
        if self._task.shipped:
            return choose(source, self._models, self._task.settings)
        (loaded,) = self._models.values()
        prepared = prepare(source, loaded.card.anatomy, loaded.card.crop, self._task.settings)
        return Fit(loaded=loaded, prepared=prepared, margin=np.nan, why="")

    def _picture(self, case: str, fit: Fit, predicted: CasePrediction | None) -> None:
        """None; writes the picture of the steps, if asked, with what landmarks were placed."""
        if self._task.pictures is None or fit.prepared is None:
            return
        anatomy, prepared = fit.loaded.card.anatomy, fit.prepared
        points = np.full((anatomy.num_landmarks, 2), np.nan)
        if predicted is not None:
            points = np.where(predicted.trusted[:, None], predicted.patch, np.nan)
        settings = settings_for(anatomy.base, self._task.settings)
        parts = find_parts(prepared.shown, prepared.source)
        picture = explain(prepared, parts, points, anatomy, settings, case, prepared.notes)
        write_bytes(str(self._task.pictures), f"{case}.png", picture)


@contextmanager
def discreet(case: str, path: Path) -> Iterator[None]:
    """Within, an error of a case that was renamed does not name its file."""
    try:
        yield
    except (ValueError, OSError) as error:
        if is_named(case, path):
            raise
        raise ValueError("it cannot be read; predict it without --rename to see why") from error


def read_record(out: Path, case: str) -> dict[str, Any] | None:
    """What a case that is done left in a folder of predictions: its entry, "made_with"; None where it is not."""
    content = read_bytes(str(out / RECORDS), f"{case}.json")
    if content is None:
        return None
    try:
        record: dict[str, Any] = json.loads(content)
    except ValueError as error:
        raise ValueError(
            f"{out / RECORDS}/{case}.json is damaged: {error}; delete it, and the case is done anew"
        ) from error
    return record


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


def check_reportable(source: Image | Volume | Cloud, path: Path) -> None:
    """Raise ValueError where a scan is no DICOM volume: a report is filed with the series it is of."""
    if not isinstance(source, Volume) or not (path.is_dir() or is_dicom(path)):
        raise ValueError("a structured report (--sr) is of a DICOM volume, and this is none; leave --sr out")


def report_case(case: str, path: Path, predicted: CasePrediction, task: Task) -> None:
    """None; writes <case>.dcm, the landmarks that were placed as a DICOM structured report."""
    from synth.domain.structured_report import ReportedPoint, write_structured_report  # highdicom takes a second

    points = [
        ReportedPoint(
            name=name,
            patient_mm=(float(place[0]), float(place[1]), float(place[2])),
            radius90_mm=float(predicted.radius90_mm[k]),
        )
        for k, (name, place) in enumerate(zip(predicted.anatomy.names, predicted.patient_mm, strict=True))
        if predicted.trusted[k]
    ]
    if points:
        wanted = None if task.settings.series is None else task.settings.series.split("+")[0]
        write_structured_report(task.out / f"{case}.dcm", path, points, version=version("synthmark"), wanted=wanted)


def entry_of(case: str, path: Path, digest: str, prepared: Prepared, predicted: CasePrediction) -> dict[str, Any]:
    """A case's entry in run.json; digest: of the scan, see content_digest."""
    return {
        "case": case,
        "input": str(path) if is_named(case, path) else None,
        "sha256": digest,
        "anatomy": predicted.anatomy.name,
        "threshold": prepared.source.threshold,
        "notes": [*prepared.notes, *([predicted.doubt] if predicted.doubt else [])],
        "uncertainty_px": predicted.uncertainty or None,
        "landmarks": [landmark_of(predicted, k) for k in range(predicted.anatomy.num_landmarks)],
    }


def landmark_of(predicted: CasePrediction, k: int) -> dict[str, Any]:
    """The k-th landmark of a case as run.json has it: numbers are null where unknown, and where it was not placed."""
    placed = predicted.status[k] == "ok"
    return {
        "name": predicted.anatomy.names[k],
        "status": predicted.status[k],
        "px": _numbers(predicted.source[k], placed),
        "mm": _numbers(predicted.patient_mm[k], placed),
        "sigma_mm": _number(predicted.sigma_mm[k], placed),
        "radius90_mm": _number(predicted.radius90_mm[k], placed),
        "radius90_all_mm": _number(predicted.radius90_all_mm[k], placed),
        "depth_source": predicted.depth_source[k],
        "n_calibration": predicted.num_calibration[k],
    }


def _number(value: float, placed: bool) -> float | None:
    """The value to a thousandth, None where it is unknown."""
    return round(float(value), 3) if placed and np.isfinite(value) else None


def _numbers(values: NDArray[np.float64], placed: bool) -> list[float | None]:
    return [_number(value, placed) for value in values]


def is_named(case: str, path: Path) -> bool:
    """Whether a case is called after its file; where it was renamed, what the file is called is nobody's business."""
    return case == case_name(path)


def read_and_digest(reader: Reader, path: Path, settings: ImportSettings) -> tuple[Image | Volume | Cloud, str]:
    """(the scan at `path`, its content_digest), which is worked out while the reader's child reads."""
    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(content_digest, path)
        source = read_scan(reader, path, settings)
        return source, digest.result()


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the files in a folder and its folders, in order."""
    buffer = memoryview(bytearray(BUFFER_BYTES))  # one for all: a new one's pages cost a fifth of the hash
    if not path.is_dir():
        return _file_digest(path, buffer)
    digest = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        line = f"{file.relative_to(path)}\0{_file_digest(file, buffer)}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _file_digest(file: Path, buffer: memoryview) -> str:
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()
