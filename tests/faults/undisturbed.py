"""A small run of hands that nothing happens to, and what every disturbed one is held against."""

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.cli import resolve
from pipelines.recipes import Recipe
from synth.domain.anatomy import HAND
from synth.domain.schema import Samples
from synth.domain.shards import read_manifest, read_samples, shard_fault
from synth.figure import RenderRecipe
from synth.worker import ShardWorker, plan_shards

OVERRIDES = ("render.shard_rows=16",)
SEED = 13


def recipe() -> RenderRecipe:
    """What these tests render."""
    whole: Recipe = resolve("hand_smoke", OVERRIDES)
    return whole.render


def render_plainly(out: str, count: int) -> list[str]:
    """Render without Ray, as its workers do, and return the errors."""
    worker = ShardWorker(recipe(), SEED, out)
    answers = [worker(vars(job)) for job in plan_shards(count, recipe().shard_rows)]
    worker._blender.close()
    return [answer["error"] for answer in answers if answer["error"]]


@cache
def undisturbed(count: int) -> tuple[tuple[str, ...], Samples]:
    """(content hashes of the shards, the samples) of a run that nothing happens to."""
    from synth.corpus import collect

    with tempfile.TemporaryDirectory() as out:
        assert render_plainly(out, count) == []
        manifest = collect(recipe(), SEED, plan_shards(count, recipe().shard_rows), out, tolerance=0)
        samples = read_samples(out, HAND, depth=True, points=True)
        assert [path.name for path in sorted(Path(out).iterdir())] == [
            "manifest.json",
            *(shard.name for shard in manifest.shards),
        ]
    return tuple(shard.content_hash for shard in manifest.shards), samples


def check_dataset(out: str, count: int) -> None:
    """The dataset is sound, has every id exactly once, and the very bits of the undisturbed run."""
    manifest = read_manifest(out)
    assert [shard_fault(out, shard) for shard in manifest.shards] == [None] * len(manifest.shards)
    np.testing.assert_array_equal(read_samples(out, HAND).sample_id, np.arange(count))
    assert tuple(shard.content_hash for shard in manifest.shards) == undisturbed(count)[0]
    assert manifest.quarantine == ()
    if "://" not in out:
        assert {path.suffix for path in Path(out).iterdir()} == {".parquet", ".json"}, "temporary files are gone"
        assert not list(Path(out).glob("ledger-*")), json.dumps(sorted(map(str, Path(out).iterdir())))
