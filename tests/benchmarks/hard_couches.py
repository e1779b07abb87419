"""Couch removal where something is wrong with the couch; prints JSON.

  python -m tests.benchmarks.hard_couches [--cases 2] [--seed 3]

streaks: bright and dark rays from a metal hip over 120 mm along z; circle: padding beyond a circle a little narrower
than the image, which cuts the couch; tilt 1, 3: patient and couch tilted against z by so many degrees. Figures are
those of the benchmark of couches, the worst of two makes, against the same scan without a couch.
"""

import argparse
import json
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from synth.couches import CouchKind
from synth.domain.projection import Volume, project
from synth.phantom import body_phantoms, make_patient, scan
from synth.template import load_template
from tests.benchmarks.couches import compare
from tests.benchmarks.surroundings import surroundings

KINDS: tuple[CouchKind, ...] = ("plates", "cradle")
WRONG = ("streaks", "circle", "tilt 1", "tilt 3")


def spoiled(volume: Volume, wrong: str) -> Volume:
    """The scan (z, y, x) with one of WRONG."""
    voxels = volume.voxels.astype(np.int16)
    count, height, width = voxels.shape
    sx, sy, sz = volume.spacing_mm
    y, x = np.ogrid[:height, :width]
    if wrong == "streaks":
        angle, away = (f(y - 0.45 * height, x - 0.35 * width) for f in (np.arctan2, np.hypot))
        rays = np.where(away * sx > 12, 450 * np.sign(np.sin(12 * angle)) * np.exp(-away * sx / 180), 0)
        voxels[count // 2 : count // 2 + round(120 / sz)] += rays.astype(np.int16)
    elif wrong == "circle":
        voxels[:, np.hypot(y - 0.4 * height, x - width / 2) > 0.47 * width] = -2000
    else:
        rows = np.rint(np.arange(count) * sz / sy * np.tan(np.radians(float(wrong.split()[1])))).astype(int)
        noise = np.random.default_rng([9, 1]).normal(-1000, 20, (count, height + rows.max(), width))
        level, voxels = voxels, noise.astype(np.int16)
        for part, own, row in zip(voxels, level, rows, strict=True):
            part[row : row + height] = own
    return replace(volume, voxels=voxels)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=2)
    options.add_argument("--seed", type=int, default=3)
    given = options.parse_args()
    recipe, template = body_phantoms(), load_template("body")
    worst: dict[str, dict[str, float]] = {wrong: {} for wrong in WRONG}
    with threadpool_limits(1):
        for index in range(given.cases):
            patient = make_patient(recipe, template, given.seed, index)
            bare, *lying = (
                scan(replace(recipe, couch=kind), template, patient, given.seed, index) for kind in ("empty", *KINDS)
            )
            for wrong, found in worst.items():
                clean = bare if wrong == "streaks" else spoiled(bare, wrong)  # streaks are no part of the truth
                truth = project(clean)
                for volume in lying:
                    for name, value in compare(project(spoiled(volume, wrong), couch="fit"), truth, patient).items():
                        worse = min if name == "dice" else max
                        found[name] = worse(found.get(name, value), value)
    print(json.dumps({"worst": worst} | surroundings(), indent=1, default=float))


if __name__ == "__main__":
    main()
