"""Toy hands drawn in numpy: a palm, five fingers, and the tips of those."""

from pathlib import Path

import numpy as np

from synth.domain.anatomy import HAND
from synth.domain.patch import Crop
from synth.domain.schema import Samples, pack_silhouettes
from synth.domain.shards import Manifest, write_manifest, write_shard
from training.checkpoint import ModelCard
from training.job import PretrainJob
from training.models import ModelRecipe
from training.recipe import TrainRecipe

ANGLES = np.deg2rad([40, 10, -5, -20, -38])


def toy_samples(count: int, seed: int, first_id: int = 0) -> Samples:
    """Samples of `count` hands; depth is a slanted plane, so that it can be normalised."""
    silhouettes, points = zip(*(_hand(np.random.default_rng([seed, i])) for i in range(count)), strict=True)
    silhouette = np.stack(silhouettes)
    depth = silhouette * (20 + np.arange(96, dtype=np.float32) / 10)
    return Samples(
        sample_id=np.arange(first_id, first_id + count, dtype=np.int64),
        packed=pack_silhouettes(silhouette),
        depth_mm=depth.astype(np.float32),
        landmarks=np.stack(points).astype(np.float32),
        visible=np.ones((count, 5), np.uint8),
        pixel_mm=np.full((count, 2), 2.0, np.float32),
        parameters=np.zeros((count, 1), np.float32),
        joints=np.zeros((count, 1, 3), np.float32),
    )


def _hand(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.indices(HAND.size) + 0.5
    centre = np.array([48, 64]) + generator.normal(0, 2, 2)
    radius = generator.uniform(14, 18)
    mask = np.hypot((x - centre[0]) / radius, (y - centre[1]) / radius / 1.2) < 1
    points = np.zeros((5, 3))
    for k, angle in enumerate(ANGLES + generator.normal(0, 0.06, 5)):
        length = generator.uniform(36, 46) * (0.8 if k in (0, 4) else 1)
        direction = np.array([np.sin(angle), -np.cos(angle)])
        along = np.clip((x - centre[0]) * direction[0] + (y - centre[1]) * direction[1], 0, length - 4)
        mask |= np.hypot(x - centre[0] - along * direction[0], y - centre[1] - along * direction[1]) < 4
        points[k] = [*(centre + direction * length), 25.0]
    return mask, points


def toy_dataset(uri: str, count: int, seed: int, rows: int = 16) -> None:
    """Write toy hands as renderings."""
    samples = [toy_samples(min(rows, count - i), seed + i, i) for i in range(0, count, rows)]
    shards = tuple(write_shard(part, uri, i, {}) for i, part in enumerate(samples))
    write_manifest(uri, Manifest(kind="renderings", anatomy=HAND, recipe={}, seed=seed, shards=shards))


def toy_job(folder: Path, count: int, *, model: ModelRecipe, train: TrainRecipe, rows: int = 16) -> PretrainJob:
    """A pre-training on `count` toy hands, its data and output under `folder`."""
    toy_dataset(str(folder / "data"), count, 1, rows)
    return PretrainJob(
        anatomy="hand",
        model=model,
        train=train,
        crop=Crop(),
        recipe={},
        seed=1,
        data_uri=str(folder / "data"),
        out_uri=str(folder / "out"),
    )


def toy_card(model: ModelRecipe) -> ModelCard:
    """A card with nothing learnt."""
    return ModelCard(
        anatomy=HAND,
        model=model,
        train=TrainRecipe(),
        crop=Crop(),
        recipe={},
        git_commit="none",
        versions={},
        data={},
    )
