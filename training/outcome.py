"""What a pre-training run ends with: errors on patches it never saw, their calibration, and the model's card."""

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy
from synth.domain.annotation import normalise_landmark_depth
from synth.domain.shards import read_manifest, read_samples
from training.checkpoint import ModelCard, save_model
from training.data import Patches
from training.extent import Range, seen_range
from training.held_out import depth_errors, true_points
from training.job import PretrainJob, anatomy_of
from training.loop import predict
from training.metrics import errors_px, sigma_scale, summarise
from training.models import LandmarkNet
from training.provenance import git_commit, versions
from training.split import read_trained_on
from training.surface import Beneath, beneath_surface
from training.trust_learning import learn_trust

TRUST_SHARE = 3  # trust is learnt from so many times as many patches as are held out


def finish(job: PretrainJob, model: LandmarkNet, held_out: Patches) -> ModelCard:
    """The card of the final model, written to the job's output with what held-out patches say of its errors."""
    anatomy = anatomy_of(job)
    predictions = predict(model, held_out)
    truth = true_points(held_out)
    errors = errors_px(predictions.points, truth)
    summary = summarise(errors)
    per_landmark = dict(zip(anatomy.names, summary.mean.tolist(), strict=True))
    mean_depth = mean_landmark_depth(job.data_uri, anatomy, len(held_out))
    beneath = None if mean_depth is None else landmarks_beneath(job, model, mean_depth, len(held_out))
    learnt = read_trained_on(job, TRUST_SHARE * len(held_out), held_out.device)
    card = ModelCard(
        anatomy=anatomy,
        model=job.model,
        train=job.train,
        crop=job.crop,
        recipe=job.recipe,
        git_commit=git_commit(),
        versions=versions(),
        data={"renderings": read_manifest(job.data_uri).digest},
        mean_depth=mean_depth,
        beneath=beneath,
        depth_regressed=job.model.regress_depth,
        sigma_scale=sigma_scale(errors, predictions.sigma) if model.has_covariance else None,
        sigma_px=tuple(float(v) for v in np.sqrt(np.nanmean(errors**2, axis=0) / 2)),
        trust=learn_trust(model, learnt, held_out, anatomy.base, job.train, job.seed),
        extent_mm=extents(job, anatomy, len(held_out)),
        metrics={"held_out_px": summary.overall_mean}
        | {f"held_out_px.{name}": value for name, value in per_landmark.items()}
        | (_depth_metrics(predictions.depth, mean_depth, held_out) if job.model.regress_depth else {}),
    )
    return save_model(job.model_uri, model, card)


def _depth_metrics(
    depth: NDArray[np.float32], mean_depth: tuple[float, ...] | None, held_out: Patches
) -> dict[str, float | None]:
    """Mean errors of regressed depths (N, K), normalised and in mm, and of the mean depth in their place, in mm."""
    units, mm = depth_errors(depth, held_out)
    found: dict[str, float | None] = {
        "held_out_depth": summarise(units).overall_mean,
        "held_out_depth_mm": summarise(mm).overall_mean,
    }
    if mean_depth is not None:
        constant = np.broadcast_to(np.array(mean_depth), depth.shape)
        found["held_out_mean_depth_mm"] = summarise(depth_errors(constant, held_out)[1]).overall_mean
    return found


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


def extents(job: PretrainJob, anatomy: Anatomy, count: int) -> Range | None:
    """The range of extents of the landmarks of the first `count` samples."""
    samples = read_samples(job.data_uri, anatomy, limit=count)
    return seen_range(samples.landmarks, samples.pixel_mm)


def landmarks_beneath(job: PretrainJob, model: LandmarkNet, mean_depth: tuple[float, ...], count: int) -> Beneath:
    """Where landmarks lie beneath the surface, by the first `count` samples; see surface.beneath_surface."""
    anatomy, regressed = anatomy_of(job), job.model.regress_depth
    samples = read_samples(job.data_uri, anatomy, depth=True, thickness="thickness" in model.inputs, limit=count)
    assert samples.depth_mm is not None
    patches = Patches.from_samples(samples, anatomy, model.unit.device, inputs=model.inputs, crop=job.crop)
    said = predict(model, patches)
    own = said.depth if regressed else np.broadcast_to(np.array(mean_depth), said.points.shape[:2])
    return beneath_surface(samples.depth_mm, samples.landmarks[:, :, 2], said.points, own, regressed=regressed)
