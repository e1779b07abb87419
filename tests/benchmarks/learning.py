"""What a network learns from how many renderings in a fixed number of images; prints JSON, a line a run.

  python -m tests.benchmarks.learning hand --data DATA --samples 1024 4096 --images 60000 --unseen DATA2
      [--study real=STUDY ...] [--set model.inputs=...] [--out FOLDER]

Each run takes the first N samples of DATA as often as it needs to show that many images to the network (the last pass
may be a part of one), with the recipe's augmentation, one thread, no Ray; networks are compared at equal time by giving
each as many images as it trains in that time. A rate that decays by epochs decays over the run as it would over the
recipe's epochs. Then the errors (landmark_errors.py) of renderings of another seed, and of studies, zero-shot.
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

from pipelines.pretrain import job_of
from synth.domain.rows import read_rows
from synth.domain.shards import read_manifest
from tests.benchmarks.landmark_errors import errors
from tests.benchmarks.surroundings import surroundings
from training.checkpoint import ModelCard, save_model
from training.data import Patches
from training.job import PretrainJob
from training.loop import fit
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


def run(samples: int, given: argparse.Namespace, number: int) -> dict[str, Any]:
    """One run."""
    manifest = read_manifest(given.data)
    job = job_of(given.recipe, given.overrides, given.data, given.out or "kept nowhere", given.seed)
    table = read_rows(given.data, manifest, np.arange(samples), columns_for(job, manifest.anatomy))
    patches = Patches.from_table(table, manifest.anatomy, "cpu", inputs=job.model.reads, crop=job.crop)
    model, seconds = trained(job, patches, given.images)
    tests = {"unseen": given.unseen, **dict(study.split("=", 1) for study in given.study)}
    found = {name: errors(model, uri, job.crop, regresses=job.model.regress_depth) for name, uri in tests.items()}
    if given.out:
        card = ModelCard(
            anatomy=manifest.anatomy, model=job.model, train=job.train, crop=job.crop, recipe=job.recipe,
            git_commit=surroundings()["commit"], versions={}, data={},
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
    for number, samples in enumerate(given.samples):
        print(json.dumps(run(samples, given, number)), flush=True)


if __name__ == "__main__":
    main()
