"""How much of a regressed depth tells the third coordinate best, beside the surface's; prints JSON, mm.

  python -m tests.benchmarks.depth_share MODEL --learnt RENDERINGS --on STUDY

Depths are surface + share * (regressed - surface) + a constant of each landmark: its median on the first renderings.
`learnt`: mean error on those; `on`: on the study, which the constants have not seen. Share 1 is the regressed depth.
"""

import argparse
import json

import numpy as np
import torch
from numpy.typing import NDArray

from synth.domain.annotation import denormalise_landmark_depth
from synth.domain.shards import read_manifest, read_samples
from tests.benchmarks.surroundings import surroundings
from training.checkpoint import LoadedModel, load_model
from training.data import Patches
from training.loop import predict
from training.surface import surface_mm

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
CASES = 1000


def depths(loaded: LoadedModel, uri: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(annotated, surface's, regressed), each (N, K) mm, at predicted pixels."""
    samples = read_samples(uri, read_manifest(uri).anatomy, depth=True, limit=CASES)
    assert samples.depth_mm is not None
    patches = Patches.from_samples(samples, loaded.card.anatomy, inputs=loaded.model.inputs, crop=loaded.card.crop)
    said = predict(loaded.model, patches)
    own = [denormalise_landmark_depth(z, plane) for z, plane in zip(said.depth, samples.depth_mm, strict=True)]
    return (
        samples.landmarks[:, :, 2].astype(float),
        surface_mm(samples.depth_mm, said.points),
        np.stack(own).astype(float),
    )


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", metavar="MODEL")
    options.add_argument("--learnt", required=True, metavar="URI", help="renderings")
    options.add_argument("--on", required=True, metavar="URI", help="a study")
    given = options.parse_args()
    torch.set_num_threads(1)
    loaded = load_model(given.model)
    true, surface, own = depths(loaded, given.learnt)
    true_on, surface_on, own_on = depths(loaded, given.on)
    found = {}
    for share in SHARES:
        left, left_on = (t - s - share * (o - s) for t, s, o in ((true, surface, own), (true_on, surface_on, own_on)))
        constant = np.nanmedian(left, 0)
        found[share] = {
            "learnt": round(float(np.nanmean(np.abs(left - constant))), 2),
            "on": round(float(np.nanmean(np.abs(left_on - constant))), 2),
        }
    print(json.dumps({"shares": found} | surroundings()), flush=True)


if __name__ == "__main__":
    main()
