"""Toy data of the tests: a palm with five thick fingers, whose tips are the landmarks."""

from dataclasses import replace

import numpy as np
import torch

from synth.domain.anatomy import HAND, OUTLINE
from synth.domain.patch import Crop
from synth.domain.schema import Samples, pack_silhouettes
from synth.domain.shards import Manifest, write_manifest, write_shard
from training.checkpoint import ModelCard, save_model
from training.loop import Predictions
from training.models import ModelRecipe, build_model
from training.recipe import TrainRecipe
from tuning.cases import Cases
from tuning.folds import make_folds
from tuning.schedule import Schedule
from tuning.trial import FoldResult, TrialResult, fold_result

ANGLES = np.radians([20.0, 60.0, 90.0, 120.0, 150.0])


def draw_hand(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(silhouette (96, 96) bool, tips (5, 2) px) of one toy hand."""
    palm = np.array([48.0, 66.0]) + generator.normal(0, 2, 2)
    angles = ANGLES + generator.normal(0, 0.06, 5)
    lengths = 38.0 + generator.normal(0, 3, 5)
    tips = palm + lengths[:, None] * np.column_stack([np.cos(angles), -np.sin(angles)])
    rows, cols = np.indices(HAND.size) + 0.5
    pixels = np.stack([cols, rows], -1)
    silhouette = np.hypot(*(pixels - palm).transpose(2, 0, 1)) < 17
    for tip in tips:
        along = np.clip(((pixels - palm) @ (tip - palm)) / ((tip - palm) @ (tip - palm)), 0, 1)
        silhouette |= np.hypot(*(pixels - palm - along[..., None] * (tip - palm)).transpose(2, 0, 1)) < 3.5
    return silhouette, tips


def toy_samples(
    count: int, seed: int, *, per_subject: int | None = None, pixel_mm: float = np.nan, depth: bool = False
) -> Samples:
    """`count` toy hands; with per_subject they are a study, that many cases to a subject."""
    hands = [draw_hand(np.random.default_rng([seed, index])) for index in range(count)]
    silhouettes = np.stack([silhouette for silhouette, _ in hands])
    landmarks = np.full((count, 5, 3), np.nan, np.float32)
    landmarks[:, :, :2] = [tips for _, tips in hands]
    depth_mm = None
    if depth:
        rise = np.linspace(100, 200, 96, dtype=np.float32)[:, None]
        depth_mm = np.where(silhouettes, rise, 0).astype(np.float32)
        landmarks[:, :, 2] = 100 + landmarks[:, :, 1]
    spacing = pixel_mm if np.isfinite(pixel_mm) else 3.0
    study = per_subject is not None
    return Samples(
        sample_id=np.arange(count, dtype=np.int64),
        packed=pack_silhouettes(silhouettes),
        depth_mm=depth_mm,
        landmarks=landmarks,
        visible=np.full((count, 5), OUTLINE, np.uint8),
        pixel_mm=np.full((count, 2), pixel_mm, np.float32),
        parameters=np.zeros((count, 0), np.float32),
        joints=np.zeros((count, 0, 3), np.float32),
        case=tuple(f"case{i:03d}" for i in range(count)) if study else None,
        subject=tuple(f"subject{i // (per_subject or 1):02d}" for i in range(count)) if study else None,
        to_source=np.tile([[3.0, 0, 5], [0, 3.0, 7]], (count, 1, 1)) if study else None,
        to_patient=np.tile([[spacing, 0, 0, 5], [0, spacing, 0, 7], [0, 0, 1, 0]], (count, 1, 1)) if study else None,
    )


def toy_cases(count: int, per_subject: int, seed: int = 1, **options: float) -> Cases:
    """A toy study in memory."""
    samples = toy_samples(
        count, seed, per_subject=per_subject, pixel_mm=options.get("pixel_mm", np.nan), depth=bool(options.get("depth"))
    )
    return Cases(anatomy=HAND, samples=samples, digest="toy")


def write_toy(samples: Samples, uri: str) -> str:
    """The URI of a dataset written from toy samples: a study where they have cases, else renderings."""
    shard = write_shard(samples, uri, 0, {})
    kind = "renderings" if samples.case is None else "study"
    write_manifest(uri, Manifest(kind=kind, anatomy=HAND, recipe={"toy": True}, seed=1, shards=(shard,)))
    return uri


def write_network(uri: str, recipe: ModelRecipe = ModelRecipe(width=8), **changes: object) -> str:  # noqa: B008
    """The URI of a network, by default a tiny heatmap network, with seeded weights; `changes` go to its card."""
    torch.manual_seed(3)
    card = ModelCard(
        anatomy=HAND,
        model=recipe,
        train=TrainRecipe(precision="float32"),
        crop=Crop(),
        recipe={},
        git_commit="none",
        versions={},
        data={"renderings": "toy"},
    )
    card = replace(card, **changes)
    save_model(uri, build_model(recipe, card.anatomy), card)
    return uri


def made_up_result(cases: Cases, schedule: Schedule, num_folds: int, error_px: float, **changes: object) -> TrialResult:
    """A result without training: every landmark predicted `error_px` too far right; `changes` go to every fold."""

    def result(number: int, test: np.ndarray) -> FoldResult:
        points = (cases.points[test] + [error_px, 0]).astype(np.float32)
        unknown = np.full(points.shape[:2], np.nan, np.float32)
        losses = tuple(error_px * 0.9**epoch for epoch in range(schedule.epochs))
        predictions = Predictions(points=points, sigma=unknown, depth=unknown)
        return replace(fold_result(cases, folds[number], number, predictions, losses, 2.0), **changes)

    folds = make_folds(cases.subjects, num_folds, 1)
    return TrialResult(schedule=schedule, folds=tuple(result(number, fold.test) for number, fold in enumerate(folds)))
