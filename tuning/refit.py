"""What a sweep ends with: the chosen schedule, and one network refitted with it on every case, calibrated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.fs as pafs
import torch
from pydantic import TypeAdapter, ValidationError

from synth.domain.storage import filesystem
from training.checkpoint import Conformal, LoadedModel, ModelCard, save_model
from training.data import Patches
from training.extent import seen_range
from training.metrics import sigma_scale, summarise
from training.provenance import git_commit, versions
from training.trust_learning import adapted
from training.uncertainty import expected_error
from tuning.baselines import mean_shape
from tuning.cases import Cases
from tuning.conformal import Radii, conformal_radii
from tuning.schedule import Schedule
from tuning.trial import OnEpoch, Trial, TrialResult, fine_tune, fold_seed, starting_network


@dataclass(frozen=True, kw_only=True)
class ChosenSchedule:
    """What schedule.json says: the schedule, on what it was chosen, from how many, and its out-of-fold error.

    error_px: by the plain protocol, that chose the schedule by this very error
    by_fold: for each outer fold the schedule chosen on inner folds of its training subjects alone; () without them
    nested_error_px: the error of those on the outer folds, which their choice never saw
    failed: the trials without a result
    """

    schedule: Schedule
    anatomy: str
    network: str
    study_digest: str
    num_schedules: int
    num_folds: int
    seed: int
    error_px: float
    failed: tuple[str, ...] = ()
    by_fold: tuple[Schedule, ...] = ()
    nested_error_px: float | None = None


def choose(results: Sequence[TrialResult]) -> TrialResult:
    """The result with the smallest mean error in patch px; the first of equal ones.

    Raises: ValueError where there is none or none has an error.
    """
    known = [result for result in results if np.isfinite(result.error_px)]
    if not known:
        raise ValueError("no schedule has an error on this study; are its landmarks annotated?")
    return min(known, key=lambda result: result.error_px)


def refit(loaded: LoadedModel, cases: Cases, trial: Trial, *, on_epoch: OnEpoch | None = None) -> LoadedModel:
    """The loaded network trained by the trial's schedule on every case, with a card that lacks its calibration."""
    torch.set_num_threads(1)
    seed = fold_seed(trial.seed, trial.num_folds)
    model = starting_network(loaded, trial.start, seed)
    patches = Patches.from_samples(cases.samples, cases.anatomy, inputs=loaded.card.model.reads, crop=loaded.card.crop)
    fine_tune(model, patches, trial.trains_by, loaded.card.train, seed=seed, on_epoch=on_epoch)
    trust = loaded.card.trust if trial.start == "pretrained" else None  # fresh weights see other features
    if trust is not None:
        trust = adapted(trust, model, patches, loaded.card.train, seed)
    extent = seen_range(cases.points, cases.samples.pixel_mm, loaded.card.extent_mm)
    return LoadedModel(model=model.eval(), card=replace(loaded.card, trust=trust, extent_mm=extent))


def calibrated(card: ModelCard, cases: Cases, result: TrialResult) -> ModelCard:
    """The card with radii, sigma and mean depth measured on `cases` by the out-of-fold predictions of `result`.

    Radii are multiples of the error that each prediction expects of itself. The mean depth stays that of the
    pre-training where the study has none; a network that regresses depth has then forgotten how.
    """
    residuals = cases.errors_px(result.points)
    depths = cases.depths()
    depth = mean_shape(depths)
    if card.mean_depth is not None:
        depth = np.where(np.isfinite(depth), depth, np.asarray(card.mean_depth, np.float32))
    known = [column[np.isfinite(column)] for column in residuals.T]
    regressed = card.model.regress_depth and bool(np.isfinite(depths).any())
    depth_error = {"out_of_fold_depth_mm": summarise(cases.depth_errors_mm(result.depth)).overall_mean}
    along_axis = [float(np.sqrt((column**2).mean() / 2)) for column in known if column.size]
    measured = replace(
        card,
        sigma_scale=sigma_scale(residuals, np.asarray(result.sigma, np.float32)),
        sigma_px=tuple(along_axis) if len(along_axis) == len(known) else card.sigma_px,
    )
    return replace(
        measured,
        depth_regressed=regressed,
        beneath=card.beneath if regressed == card.model.regress_depth else None,
        mean_depth=tuple(float(z) for z in depth) if np.isfinite(depth).all() else None,
        conformal=_conformal(conformal_radii(residuals, expected_error(measured, result.sigma), cases.subjects)),
        metrics={"out_of_fold_error_px": result.error_px, **(depth_error if regressed else {})},
    )


def _conformal(radii: Radii) -> Conformal:
    return Conformal(
        level=radii.level,
        unit="sigma",
        radii=radii.radius,
        num_subjects=radii.num_subjects,
        simultaneous=radii.simultaneous,
        num_simultaneous=radii.num_simultaneous,
        reason=radii.reason,
    )


def save_refitted(
    uri: str, refitted: LoadedModel, cases: Cases, result: TrialResult, pretrained_digest: str, recipe: dict[str, Any]
) -> ModelCard:
    """The card as written under `uri`, with the data, code and settings that made the model."""
    card = replace(
        calibrated(refitted.card, cases, result),
        recipe=recipe,
        git_commit=git_commit(),
        versions=versions(),
        data={**refitted.card.data, "study": cases.digest, "pretrained": pretrained_digest},
    )
    return save_model(uri, refitted.model, card)


def read_chosen(uri: str) -> ChosenSchedule:
    """The schedule.json of a sweep. Raises ValueError where it is missing or something else."""
    fs, path = filesystem(uri)
    try:
        with fs.open_input_stream(path) as stream:
            raw = stream.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise ValueError(f"schedule {uri} cannot be read; give the schedule.json of a sweep") from error
    try:
        return TypeAdapter(ChosenSchedule).validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ValueError(f"{uri} is not the schedule.json of a sweep: {where}: {first['msg']}") from error


def is_finished(uri: str, chosen: ChosenSchedule) -> bool:
    """Whether a sweep's schedule.json is there and says the same: it is written last, after the refitted network."""
    fs, path = filesystem(uri)
    return fs.get_file_info(path).type == pafs.FileType.File and read_chosen(uri) == chosen


def as_json(chosen: ChosenSchedule) -> bytes:
    """The bytes of schedule.json."""
    return TypeAdapter(ChosenSchedule).dump_json(chosen, indent=1) + b"\n"
