"""Errors of kept models on renderings and studies, in patch px; prints JSON, a line a model.

  python -m tests.benchmarks.landmark_errors MODEL [MODEL …] --on NAME=URI [--on NAME=URI …]

Of landmarks that lie in the patch: mean, median, the worst case's mean and its row, the worst landmark, the mean of
each landmark, and means and shares of those on the outline, inside the silhouette, and behind other tissue. Where the
network regresses depth: its mean error in mm, and what the mean depth of these very samples would miss by.
"""

import argparse
import json
from typing import Any

import numpy as np
import torch

from synth.domain.anatomy import VISIBILITY_NAMES
from synth.domain.patch import Crop
from synth.domain.shards import read_manifest, read_samples
from tests.benchmarks.surroundings import surroundings
from training.checkpoint import load_model
from training.data import Patches
from training.held_out import depth_errors, true_points
from training.loop import predict
from training.metrics import errors_px
from training.models import LandmarkNet


def errors(model: LandmarkNet, uri: str, crop: Crop, *, regresses: bool = False) -> dict[str, Any]:
    """Errors in patch px of a network on a dataset."""
    anatomy = read_manifest(uri).anatomy
    reads = model.inputs
    samples = read_samples(uri, anatomy, depth="depth" in reads or regresses, thickness="thickness" in reads)
    patches = Patches.from_samples(samples, anatomy, inputs=(*reads, "depth") if regresses else reads, crop=crop)
    predictions = predict(model, patches)
    truth = true_points(patches)
    height, width = patches.size
    truth[((truth < 0) | (truth > [width, height])).any(2)] = np.nan
    found = errors_px(predictions.points, truth)
    known = np.isfinite(found)
    cases = np.nanmean(found, 1)
    seen = {name: known & (samples.visible == code) for code, name in enumerate(VISIBILITY_NAMES)}
    return {
        "mean": float(np.nanmean(found)),
        "median": float(np.nanmedian(found)),
        "worst_case": float(np.nanmax(cases)),
        "worst_case_row": int(np.nanargmax(cases)),
        "worst_landmark": float(np.nanmax(found)),
        "landmarks": dict(zip(anatomy.names, np.nanmean(found, 0).round(3).tolist(), strict=True)),
        "seen": {name: _mean_and_share(found[rows], known.sum()) for name, rows in seen.items() if rows.any()},
        **(_depth(predictions.depth, patches, known) if regresses else {}),
    }


def _depth(depth: "np.ndarray[Any, Any]", patches: Patches, known: "np.ndarray[Any, Any]") -> dict[str, float]:
    rows = torch.arange(len(patches)).split(256)
    true = np.where(known, torch.cat([patches.batch(some).landmark_depth() for some in rows]).numpy(), np.nan)
    mean = np.broadcast_to(np.nanmean(true, 0), depth.shape)
    found, guess = (np.where(known, depth_errors(value, patches)[1], np.nan) for value in (depth, mean))
    return {"depth_mm": float(np.nanmean(found)), "mean_depth_mm": float(np.nanmean(guess))}


def _mean_and_share(found: "np.ndarray[Any, Any]", of: int) -> dict[str, float]:
    return {"mean": float(found.mean()), "share": len(found) / int(of)}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="+", metavar="MODEL")
    options.add_argument("--on", action="append", required=True, metavar="NAME=URI", help="renderings or a study")
    given = options.parse_args()
    torch.set_num_threads(1)
    for uri in given.models:
        loaded = load_model(uri)
        tests = dict(test.split("=", 1) for test in given.on)
        found = {
            name: errors(loaded.model, on, loaded.card.crop, regresses=loaded.card.model.regress_depth)
            for name, on in tests.items()
        }
        print(json.dumps({"model": uri, "px": found} | surroundings()), flush=True)


if __name__ == "__main__":
    main()
