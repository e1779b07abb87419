"""What a network learns from how many renderings in a fixed number of images; prints JSON, a line a run.

  python -m tests.benchmarks.learning hand --data DATA --samples 1024 4096 --images 60000 --unseen DATA2
      [--study real=STUDY ...] [--set model.inputs=...] [--out FOLDER]

Each run takes the first N samples of DATA as often as it needs to show that many images to the network (the last pass
may be a part of one), with the recipe's augmentation, one thread, no Ray; networks are compared at equal time by giving
each as many images as it trains in that time. A rate that decays by epochs decays over the run as it would over the
recipe's epochs. Then the errors, in patch px: of renderings of another seed, and of studies, zero-shot: mean, median,
the worst case's mean, the worst landmark, and the mean of each landmark.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.cli import as_dict, resolve
from pipelines.recipes import Recipe
from synth.domain.anatomy import Anatomy
from synth.domain.rows import read_rows
from synth.domain.shards import read_manifest, read_samples
from tests.benchmarks.surroundings import surroundings
from training.checkpoint import ModelCard, save_model
from training.data import Patches
from training.held_out import true_points
from training.job import PretrainJob
from training.loop import fit, predict
from training.metrics import errors_px
from training.models import LandmarkNet
from training.pretraining import new_model
from training.split import columns_for


@dataclass(frozen=True)
class Again:
    """Resident patches, gone through again and again until `images` were shown. See data.Source."""

    patches: Patches
    images: int

    def __len__(self) -> int:
        return self.images

    @property
    def device(self) -> torch.device:
        return self.patches.device

    def batches(self, seed: int, epoch: int, size: int, start: int = 0) -> Iterator[Patches]:
        assert epoch == start == 0, "there is one long epoch"
        left, passes = self.images, 0
        while left > 0:
            for batch in self.patches.batches(seed, passes, size):
                yield batch.select(torch.arange(min(left, len(batch))))
                left -= len(batch)
                if left <= 0:
                    return
            passes += 1


def trained(job: PretrainJob, patches: Patches, images: int) -> tuple[LandmarkNet, float]:
    """(the network after so many images, seconds of processor time)."""
    model, train = new_model(job), job.train
    source = Again(patches, images)
    steps = -(-images // train.batch)
    begun = time.process_time()

    def rate_at(_: int, step: int) -> float:
        return train.rate_at(step * train.epochs // steps, step, steps // train.epochs)

    rate = rate_at if train.schedule == "decay" else None
    fit(model, source, replace(train, epochs=1), seed=job.seed, rate_at=rate)
    return model, time.process_time() - begun


def errors(model: LandmarkNet, patches: Patches, anatomy: Anatomy) -> dict[str, Any]:
    """Errors in patch px, of landmarks that lie in the patch."""
    truth = true_points(patches)
    height, width = patches.size
    truth[((truth < 0) | (truth > [width, height])).any(2)] = np.nan
    found = errors_px(predict(model, patches).points, truth)
    cases = np.nanmean(found, 1)
    return {
        "mean": float(np.nanmean(found)),
        "median": float(np.nanmedian(found)),
        "worst_case": float(np.nanmax(cases)),
        "worst_case_row": int(np.nanargmax(cases)),
        "worst_landmark": float(np.nanmax(found)),
        "landmarks": dict(zip(anatomy.names, np.nanmean(found, 0).round(3).tolist(), strict=True)),
    }


def patches_of(uri: str, recipe: Recipe) -> Patches:
    """A dataset's patches for the recipe's network."""
    anatomy = read_manifest(uri).anatomy
    reads = recipe.model.reads
    samples = read_samples(uri, anatomy, depth="depth" in reads, thickness="thickness" in reads)
    return Patches.from_samples(samples, anatomy, inputs=reads, crop=recipe.render.crop)


def run(recipe: Recipe, samples: int, given: argparse.Namespace, number: int) -> dict[str, Any]:
    """One run."""
    manifest = read_manifest(given.data)
    job = PretrainJob(
        anatomy=recipe.anatomy, model=recipe.model, train=recipe.train, crop=recipe.render.crop, recipe=as_dict(recipe),
        seed=given.seed, data_uri=given.data, out_uri="",
    )  # fmt: skip
    table = read_rows(given.data, manifest, np.arange(samples), columns_for(job, manifest.anatomy))
    patches = Patches.from_table(table, manifest.anatomy, "cpu", inputs=recipe.model.reads, crop=recipe.render.crop)
    model, seconds = trained(job, patches, given.images)
    tests = {"unseen": given.unseen, **dict(study.split("=", 1) for study in given.study)}
    found = {name: errors(model, patches_of(uri, recipe), manifest.anatomy) for name, uri in tests.items()}
    if given.out:
        card = ModelCard(
            anatomy=manifest.anatomy, model=recipe.model, train=recipe.train, crop=recipe.render.crop,
            recipe=as_dict(recipe), git_commit=surroundings()["commit"], versions={}, data={},
        )  # fmt: skip
        save_model(str(Path(given.out) / f"model-{number}"), model, card)
    said = {"recipe": given.recipe, "set": given.overrides, "samples": samples, "images": given.images}
    return said | {"cpu_s": seconds, "images_per_cpu_s": given.images / seconds, "px": found} | surroundings()


def main() -> None:
    """Train and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe")
    options.add_argument("--data", required=True, help="folder of renderings")
    options.add_argument("--samples", type=int, nargs="+", required=True, help="how many of them, a run each")
    options.add_argument("--images", type=int, required=True, help="images shown in a run")
    options.add_argument("--unseen", required=True, help="renderings of another seed")
    options.add_argument("--study", action="append", default=[], metavar="NAME=FOLDER", help="made by study.py")
    options.add_argument("--set", dest="overrides", action="append", default=[], help="a recipe's field, a.b=value")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", help="where the models are kept")
    given = options.parse_args()
    torch.set_num_threads(1)
    recipe = resolve(given.recipe, given.overrides)
    for number, samples in enumerate(given.samples):
        print(json.dumps(run(recipe, samples, given, number)), flush=True)


if __name__ == "__main__":
    main()
