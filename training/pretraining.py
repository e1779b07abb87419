"""One pre-training run: what it is made of, whose output it may continue, and the model it ends with. No Ray."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import nn

from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.annotation import normalise_landmark_depth
from synth.domain.patch import Crop
from synth.domain.shards import Manifest, read_manifest, read_samples
from synth.domain.storage import filesystem, has_files, write_bytes
from training.checkpoint import ModelCard, latest_state, restore_state, save_model, save_state
from training.data import Patches
from training.loop import EpochReport, OnStep, fit, make_optimiser, predict, unwrap
from training.metrics import errors_px, summarise
from training.models import LandmarkNet, ModelRecipe, build_model
from training.provenance import git_commit, versions
from training.recipe import TrainRecipe

CLAIM = "pretraining.json"
HELD_OUT_SHARE = 20  # one in so many renderings, the last by id, is never trained on
MOST_HELD_OUT = 1000

OnEntry = Callable[[dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class PretrainJob:
    """A pre-training run as plain data, the same on every worker. URIs are absolute.

    anatomy: name of the anatomy the recipe is for; the landmarks are those of the data, see anatomy_of
    recipe: the whole resolved recipe, for the record
    """

    anatomy: str
    model: ModelRecipe
    train: TrainRecipe
    crop: Crop
    recipe: dict[str, Any]
    seed: int
    data_uri: str
    out_uri: str

    @property
    def checkpoints_uri(self) -> str:
        """Where training states lie."""
        return f"{self.out_uri.rstrip('/')}/checkpoints"

    @property
    def model_uri(self) -> str:
        """Where the final model lies."""
        return f"{self.out_uri.rstrip('/')}/model"


def absolute_uri(uri: str) -> str:
    """The URI, a local path made absolute: a worker has another working directory."""
    return uri if "://" in uri else str(Path(uri).absolute())


def claim_output(job: PretrainJob) -> Manifest:
    """The manifest of the job's data, after its output was checked and marked as this job's.

    Raises: ValueError where the data is missing or of another anatomy, or the output holds something else.
    """
    manifest = read_manifest(job.data_uri)
    if manifest.anatomy.base != anatomy_named(job.anatomy).base:
        raise ValueError(f"{job.data_uri} holds {manifest.anatomy.name} data; recipe is for {job.anatomy}")
    if manifest.rows < 2:
        raise ValueError(f"{job.data_uri} holds {manifest.rows} samples; at least 2 are needed, one is held out")
    identity = {
        "format": "synthmark pretraining 1",
        "anatomy": job.anatomy,
        "model": TypeAdapter(ModelRecipe).dump_python(job.model, mode="json"),
        "train": TypeAdapter(TrainRecipe).dump_python(job.train, mode="json"),
        "seed": job.seed,
        "data": manifest.digest,
    }
    if not has_files(job.out_uri):
        write_bytes(job.out_uri, CLAIM, (json.dumps(identity, indent=1) + "\n").encode())
        return manifest
    found = _read_claim(job.out_uri)
    if different := [key for key in identity if found.get(key) != identity[key]]:
        raise ValueError(
            f"output {job.out_uri} holds another pre-training (its {', '.join(different)} differ); choose another --out"
        )
    return manifest


def anatomy_of(job: PretrainJob) -> Anatomy:
    """The anatomy of the job's data, which its manifest defines."""
    return read_manifest(job.data_uri).anatomy


def _read_claim(out_uri: str) -> dict[str, Any]:
    fs, base = filesystem(out_uri)
    try:
        with fs.open_input_stream(f"{base}/{CLAIM}") as stream:
            found = json.loads(stream.read())
    except (OSError, ValueError) as error:
        raise ValueError(f"output {out_uri} holds something else; choose another --out or remove it") from error
    if not isinstance(found, dict):
        raise ValueError(f"output {out_uri} holds something else; choose another --out or remove it")
    return found


def num_held_out(rows: int) -> int:
    """How many of `rows` samples, the last by id, are held out for validation."""
    return min(MOST_HELD_OUT, max(1, rows // HELD_OUT_SHARE))


class Split(NamedTuple):
    """Patches to train on and patches held out."""

    train: Patches
    held_out: Patches


def read_split(job: PretrainJob, device: torch.device | str = "cpu") -> Split:
    """All patches of the job's data on `device`, the last by id held out."""
    anatomy = anatomy_of(job)
    own = anatomy.names != anatomy_named(anatomy.base).names
    samples = read_samples(job.data_uri, anatomy, depth="depth" in job.model.inputs, points=own)
    patches = Patches.from_samples(samples, anatomy, device, inputs=job.model.inputs, crop=job.crop)
    held_out = num_held_out(len(patches))
    rows = torch.arange(len(patches))
    return Split(patches.select(rows[:-held_out]), patches.select(rows[-held_out:]))


def new_model(job: PretrainJob) -> LandmarkNet:
    """The job's network with fresh weights, a function of its seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        return build_model(job.model, anatomy_of(job))


def train(
    job: PretrainJob,
    split: Split,
    wrap: Callable[[LandmarkNet], nn.Module],
    *,
    rank: int = 0,
    world: int = 1,
    on_step: OnStep | None = None,
    on_entry: OnEntry | None = None,
) -> LandmarkNet:
    """The trained network, continued from the newest checkpoint of the job's output; rank 0 writes one each epoch.

    wrap: puts the network on its device, and into DistributedDataParallel where there are several workers
    on_entry: called on every rank with an epoch's figures
    """
    model = new_model(job)
    wrapped = wrap(model)
    optimiser = make_optimiser(wrapped, job.train)
    state = latest_state(job.checkpoints_uri)
    history: list[dict[str, float]] = []
    if state is not None:
        restore_state(state, model, optimiser)
        history = state.notes["history"]

    def close_epoch(report: EpochReport) -> None:
        entry = {
            "epoch": report.epoch,
            "loss": report.loss,
            "rate": report.rate,
            "images_per_s": report.images_per_s,
            "held_out_px": held_out_error(unwrap(wrapped), split.held_out, rank, world),
        }
        history.append(entry)
        if rank == 0:
            save_state(job.checkpoints_uri, model, optimiser, report.epoch + 1, {"history": history})
        if on_entry is not None:
            on_entry(entry)

    fit(
        wrapped,
        split.train,
        job.train,
        seed=job.seed,
        rank=rank,
        world=world,
        start_epoch=0 if state is None else state.epochs,
        optimiser=optimiser,
        on_epoch=close_epoch,
        on_step=on_step,
    )
    return model


def held_out_error(model: LandmarkNet, patches: Patches, rank: int = 0, world: int = 1) -> float:
    """Mean error in patch px over held-out patches, each worker taking its share of them."""
    mine = patches.select(torch.arange(rank, len(patches), world))
    errors = _errors(model, mine)
    sums = torch.tensor([np.nansum(errors), np.isfinite(errors).sum()], dtype=torch.float64)
    if world > 1:
        sums = sums.to(patches.packed.device)
        torch.distributed.all_reduce(sums)
    return float(sums[0] / sums[1]) if sums[1] > 0 else float("nan")


def _errors(model: LandmarkNet, patches: Patches) -> NDArray[np.float64]:
    return errors_px(predict(model, patches).points, true_points(patches))


def true_points(patches: Patches) -> NDArray[np.float32]:
    """(N, K, 2) float32 patch px on the host, NaN where not annotated."""
    return torch.where(patches.valid[..., None], patches.points, torch.nan).cpu().numpy()


def finish(job: PretrainJob, model: LandmarkNet, held_out: Patches) -> ModelCard:
    """The card of the final model, written to the job's output with what held-out patches say of its errors."""
    anatomy = anatomy_of(job)
    predictions = predict(model, held_out)
    truth = true_points(held_out)
    errors = errors_px(predictions.points, truth)
    summary = summarise(errors)
    per_landmark = dict(zip(anatomy.names, summary.mean.tolist(), strict=True))
    card = ModelCard(
        anatomy=anatomy,
        model=job.model,
        train=job.train,
        crop=job.crop,
        recipe=job.recipe,
        git_commit=git_commit(),
        versions=versions(),
        data={"renderings": read_manifest(job.data_uri).digest},
        mean_depth=mean_landmark_depth(job.data_uri, anatomy, len(held_out)),
        sigma_scale=sigma_scale(errors, predictions.sigma) if model.has_covariance else None,
        sigma_px=tuple(float(v) for v in np.sqrt(np.nanmean(errors**2, axis=0) / 2)),
        metrics={"held_out_px": summary.overall_mean}
        | {f"held_out_px.{name}": value for name, value in per_landmark.items()},
    )
    return save_model(job.model_uri, model, card)


def sigma_scale(errors: NDArray[np.float64], sigma: NDArray[np.float32]) -> tuple[float | None, ...]:
    """(K,) factors that turn a heatmap's deviation into the error's along one axis; None where nothing is known.

    errors, sigma: (N, K) px. With e = factor * sigma the mean of error^2 / (2 e^2) is 1 (two axes).
    """
    ratio = errors**2 / (2 * np.maximum(sigma, 1e-3).astype(np.float64) ** 2)
    known = np.isfinite(ratio)
    counts = known.sum(0)
    mean = np.where(known, ratio, 0).sum(0) / np.maximum(counts, 1)
    return tuple(float(np.sqrt(m)) if n else None for m, n in zip(mean, counts, strict=True))


def mean_landmark_depth(uri: str, anatomy: Anatomy, count: int) -> tuple[float, ...] | None:
    """(K,) mean normalised landmark depth of the first `count` samples; None where a landmark's depth is unknown."""
    samples = read_samples(uri, anatomy, depth=True, limit=count)
    if samples.depth_mm is None:
        return None
    depths = np.stack(
        [
            normalise_landmark_depth(points[:, 2], depth)
            for points, depth in zip(samples.landmarks, samples.depth_mm, strict=True)
        ]
    )
    if not np.isfinite(depths).any(0).all():
        return None
    return tuple(float(v) for v in np.nanmean(depths, axis=0))
