"""Errors of body networks on whole and on cut views of held-out renderings: a table, and the same as JSON.

  python -m tests.benchmarks.view_errors --data URI --model URI [--model URI …] [--count 400] [--out JSON]

The last renderings by id are taken, which training holds out. Errors are in mm in the image plane over landmarks that
are seen: mean / 95th percentile. Then the share of unseen landmarks that are put inside the field of view all the same.
"""

import argparse
import json
import platform
from pathlib import Path

import numpy as np
import torch

from synth.domain.anatomy import BODY
from synth.domain.shards import read_manifest, read_samples
from training.augment import Changes, change, draw_changes, draw_warps
from training.checkpoint import load_model
from training.data import Batch, Patches
from training.models import LandmarkNet
from training.provenance import git_commit, versions
from training.views import RANGES, Fields, Views, outside, windows

ARTEFACTS = Views(threshold_px=0.7, thin=0.1, border=0.05, blanket=0.1)


def seen_as(patches: Patches, view: str, seed: int = 7) -> tuple[Batch, torch.Tensor]:
    """(the patches in that view, which landmarks are not seen (N, K)); nothing else is varied."""
    count, rows = len(patches), torch.arange(len(patches))
    generator = np.random.default_rng([seed])
    if view == "artefacts":
        changes = draw_changes(patches, rows, 0.0, ARTEFACTS, generator)
        return change(patches.batch(rows), changes, patches.crop), changes.unseen
    seen = Fields(
        range=torch.full((count,), list(RANGES).index(view) if view in RANGES else -1),
        ends=torch.as_tensor(generator.uniform(size=(count, 2)), dtype=torch.float32),
        width_mm=torch.full((count,), 500.0 if view == "circle_500" else torch.inf),
        centre_mm=torch.as_tensor(generator.uniform(-40, 40, count), dtype=torch.float32),
        edges=torch.full((count, 4), torch.inf),
    )
    limits = windows(seen, patches.points, patches.valid, patches.spacing(rows), patches.size)
    still = draw_warps(count, patches.size, 0.0, generator)
    changes = Changes(warps=still, unseen=outside(patches.points, limits), limits=limits)
    return change(patches.batch(rows), changes, patches.crop), changes.unseen


def measure(model: LandmarkNet, patches: Patches, batch: Batch, unseen: torch.Tensor) -> dict[str, float]:
    """Mean and 95th percentile in mm of the landmarks seen, and the share of the others put into the field of view."""
    with torch.no_grad():
        found = torch.cat([model(part).points for part in batch.channels(model.inputs).split(100)])
    spans = [(points[:, 0] - points[:, 7]).norm(dim=1) for points in (batch.points, patches.points)]
    mm = patches.spacing(torch.arange(len(patches)))[:, :1] * (spans[1] / spans[0])[:, None]
    errors = ((found - batch.points).norm(dim=2) * mm)[~unseen]
    height, width = patches.size
    x, y = found.floor().long().unbind(2)
    within = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    rows = torch.arange(len(patches))[:, None]
    within &= batch.observed[rows, 0, y.clamp(0, height - 1), x.clamp(0, width - 1)] > 0
    return {
        "mean_mm": float(errors.mean()),
        "p95_mm": float(errors.quantile(0.95)),
        "misplaced": float(within[unseen].float().mean()) if bool(unseen.any()) else 0.0,
    }


def main() -> None:
    """Print the table of the given models."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", required=True)
    options.add_argument("--model", required=True, action="append")
    options.add_argument("--count", type=int, default=400)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    torch.set_num_threads(1)
    models = {uri: load_model(uri) for uri in given.model}
    depth = any("depth" in loaded.model.inputs for loaded in models.values())
    crop = next(iter(models.values())).card.crop
    samples = read_samples(given.data, BODY, depth=depth)
    inputs = ("silhouette", "depth") if depth else ("silhouette",)
    patches = Patches.from_samples(samples, BODY, inputs=inputs, crop=crop)
    patches = patches.select(torch.arange(len(patches) - given.count, len(patches)))
    table: dict[str, dict[str, dict[str, float]]] = {}
    for view in ("whole", *RANGES, "circle_500", "artefacts"):
        batch, unseen = seen_as(patches, view)
        table[view] = {uri: measure(loaded.model, patches, batch, unseen) for uri, loaded in models.items()}
        cells = [f"{m['mean_mm']:6.1f} / {m['p95_mm']:5.1f} {m['misplaced']:5.0%}" for m in table[view].values()]
        print(f"{view:22s} {float((~unseen).sum(1).float().mean()):4.1f} seen  {'  '.join(cells)}", flush=True)
    if given.out:
        facts = {"machine": platform.processor() or platform.machine(), "versions": versions(), "commit": git_commit()}
        digest = read_manifest(given.data).digest
        given.out.write_text(json.dumps({**facts, "data": digest, "views": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
