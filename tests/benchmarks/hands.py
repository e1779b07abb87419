"""Hold rendered hands against 901 radiographs: proportions, angles, and how near the nearest tip pentagon comes.

  python -m tests.benchmarks.hands --out hands.json [--count 20000] [--seed 1] [--data hand_radiograph_landmarks.csv]

Points are on bone in both: joints, and the synthetic tips moved inside the skin by the tissue's thickness. Both are
seen in projection. Hand length: from the base to the middle tip; base: in radiographs the mean of points 0-4 (the
distal ends of ulna and radius), in the model its wrist joint, which lies there. The table is development data and no
part of this repository: without --data, $SYNTHMARK_RADIOGRAPHS or ../shared/data is looked in; where it is missing,
the script says so. About 2 minutes on one core.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from pipelines.recipes import RECIPES
from synth.figure import RenderRecipe, joint_names, sample_figure, template_of
from synth.hand.proportion import TISSUE
from synth.template import Template
from tests.benchmarks.pentagons import nearest_pentagons
from tests.benchmarks.surroundings import surroundings

Points = NDArray[np.float64]  # (N, 21, 2): base, then four per digit from root to tip, thumb first; y down

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "hand_radiograph_landmarks.csv"
DIGITS = ("thumb", "index", "middle", "ring", "little")
CLOSE = 0.015  # of the hand's length


def data_path() -> Path:
    """Where the table lies by default; may be missing."""
    return Path(os.environ.get("SYNTHMARK_RADIOGRAPHS", DEFAULT))


def read_radiographs(path: Path) -> Points:
    """The 21 points of each radiographed hand, in its pixels."""
    table = np.genfromtxt(path, delimiter=",")
    points = table[~np.isnan(table[:, 0]), 1:].reshape(-1, 37, 2)
    return np.concatenate([points[:, :5].mean(1, keepdims=True), points[:, 17:37]], axis=1)


def synthetic_points(recipe: RenderRecipe, template: Template, seed: int, count: int) -> Points:
    """The 21 points of `count` drawn hands, seen as they are rendered, mm."""
    names = joint_names(template)
    joints = [names.index("wrist.L")] + [names.index(f"finger{d}-{j}.L") for d in range(1, 6) for j in (1, 2, 3)]
    points = np.empty((count, 21, 3))
    for k in range(count):
        figure = sample_figure(recipe, template, np.random.default_rng([seed, k]))
        chains = figure.joints[joints[1:]].reshape(5, 3, 3)
        tips = figure.landmarks
        length = (
            np.linalg.norm(chains[2, 0] - figure.joints[joints[0]])
            + np.linalg.norm(np.diff(np.vstack([chains[2], tips[2]]), axis=0), axis=1).sum()
        )
        inward = chains[:, 2] - tips
        inward /= np.linalg.norm(inward, axis=1, keepdims=True)
        bone = tips + inward * (TISSUE * length / (1 + TISSUE[2]))[:, None]
        points[k, 0] = figure.joints[joints[0]]
        points[k, 1:] = np.concatenate([chains, bone[:, None]], axis=1).reshape(20, 3)
    return points[:, :, :2]


def measure(points: Points) -> dict[str, NDArray[np.float64]]:
    """Lengths as shares, angles in degrees, positive where digits spread; each (N,)."""
    base, digits = points[:, 0], points[:, 1:].reshape(-1, 5, 4, 2)
    hand = np.linalg.norm(digits[:, 2, 3] - base, axis=1)
    bones = np.linalg.norm(np.diff(digits, axis=2), axis=3)
    fingers = bones.sum(2)
    fingers[:, 0] -= bones[:, 0, 0]  # the thumb's first bone is its metacarpal
    found = {f"{name} / middle finger": fingers[:, d] / fingers[:, 2] for d, name in enumerate(DIGITS) if d != 2}
    found |= {f"{name} / hand": fingers[:, d] / hand for d, name in enumerate(DIGITS)}
    found |= {
        f"{name} bone {joint + 1} / hand": bones[:, d, joint] / hand
        for d, name in enumerate(DIGITS)
        for joint in range(3)
    }
    knuckles = digits[:, 1:, 0]
    found["palm length / hand"] = np.linalg.norm(knuckles[:, 1] - base, axis=1) / hand
    found["palm width / hand"] = np.linalg.norm(knuckles[:, 0] - knuckles[:, 3], axis=1) / hand
    for d in range(3):
        gap = np.linalg.norm(knuckles[:, d] - knuckles[:, d + 1], axis=1)
        found[f"{DIGITS[d + 1]} to {DIGITS[d + 2]} knuckle / hand"] = gap / hand
    found["thumb root to index knuckle / hand"] = np.linalg.norm(digits[:, 0, 0] - knuckles[:, 0], axis=1) / hand
    starts = digits[:, :, 0].copy()
    starts[:, 0] = digits[:, 0, 1]
    lines = _bearing(digits[:, :, 3] - starts)
    for d in range(4):
        found[f"{DIGITS[d]} to {DIGITS[d + 1]} angle"] = _turn(lines[:, d] - lines[:, d + 1])
    along = _bearing(knuckles[:, 1] - base)
    found["middle finger to hand angle"] = _turn(lines[:, 2] - along)
    found["thumb metacarpal to hand angle"] = _turn(_bearing(digits[:, 0, 1] - digits[:, 0, 0]) - along)
    return found


def compare(real: Points, synthetic: Points) -> dict[str, dict[str, float]]:
    """Per measurement: share of real hands inside the synthetic 0.5-99.5 % range, KS distance, medians, deviations."""
    table = {}
    ours, theirs = measure(synthetic), measure(real)
    for name, values in theirs.items():
        low, high = np.percentile(ours[name], [0.5, 99.5])
        table[name] = {
            "inside": float(((values >= low) & (values <= high)).mean()),
            "ks": float(ks_2samp(values, ours[name]).statistic),
            "real_median": float(np.median(values)),
            "synthetic_median": float(np.median(ours[name])),
            "real_sd": float(values.std()),
            "synthetic_sd": float(ours[name].std()),
        }
    return table


def main(argv: Sequence[str]) -> int:
    """Exit code: 0 measured, or skipped with a reason."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options.add_argument("--data", type=Path, default=data_path(), help="the table of radiographs")
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args(argv)
    if not given.data.is_file():
        print(f"skipped: {given.data} is not there; give --data")
        return 0
    recipe = RECIPES["hand"]().render
    assert recipe.hand is not None
    usual = replace(recipe, hand=replace(recipe.hand, pose=replace(recipe.hand.pose, wide=0.0)))
    template = template_of(recipe)
    real = read_radiographs(given.data)
    drawn = synthetic_points(recipe, template, given.seed, given.count)
    flat = synthetic_points(usual, template, given.seed + 1, max(given.count // 4, 1))
    report = {
        **surroundings(),
        "count": given.count,
        "seed": given.seed,
        "recipe": compare(real, drawn),
        "usual": compare(real, flat),
        "pentagons": nearest_pentagons(real, drawn, CLOSE),
    }
    _print(report)
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _print(report: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{'':36s} inside  inside       KS   real          usual")
    print(f"{'':36s} recipe   usual    usual   median  SD    median  SD")
    for name, row in report["usual"].items():
        numbers = [row[key] for key in ("ks", "real_median", "real_sd", "synthetic_median", "synthetic_sd")]
        inside = f"{report['recipe'][name]['inside']:6.3f}  {row['inside']:6.3f}"
        print(f"{name:36s} {inside}  " + " ".join(f"{number:7.3f}" for number in numbers))
    for name, value in report["pentagons"].items():
        print(f"{name:60s} {value}")


def _bearing(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arctan2(vectors[..., 0], -vectors[..., 1]))


def _turn(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    return (degrees + 180) % 360 - 180


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
