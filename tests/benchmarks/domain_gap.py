"""How well a classifier tells virtual patients from training renderings; prints a table and writes JSON.

  python -m tests.benchmarks.domain_gap [hand] [body] [--count 400] [--seed 1] [--out gap.json]

AUC 0.5: nobody could tell them apart, the patients test nothing new; AUC 0.9: nine times in ten the odd one is found,
so whoever does well on patients does so beyond what was trained on. Pictures: moments, widths and depth of the patch;
points: distances between landmarks. Cross-validated by person, 5 folds. "control" is between two seeds of renderings
and must come out at 0.5. Patients are the study's, in the scanner's axes, in voxels of 4 x 4 x 6 mm (body) or 1.5 mm
(hand) to save time. About 4 minutes for 400 hands, 12 for 400 bodies, on one core.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.recipes import RECIPES, Recipe
from synth.domain.anatomy import anatomy_named
from synth.domain.landmarks import Annotation
from synth.domain.schema import unpack_silhouettes
from synth.domain.study import ImportSettings, import_case
from synth.figure import GROUP
from synth.phantom import make_patient, scan
from synth.template import load_template
from synth.worker import ShardJob, ShardWorker
from tests.benchmarks.surroundings import surroundings

Table = NDArray[np.float64]
BANDS = 12
SPACING = {"hand": (1.5, 1.5, 1.5), "body": (4.0, 4.0, 6.0)}


def picture_features(mask: NDArray[np.bool_], depth_mm: NDArray[np.float32]) -> Table:
    """(F,) of a patch: area, moments, outline, widths and heights by bands, and statistics of depth."""
    rows, cols = np.nonzero(mask)
    size = np.array(mask.shape)
    centre = np.array([rows.mean(), cols.mean()])
    offset = np.stack([rows, cols], 1) - centre
    second = (offset.T @ offset / len(rows) / size.max() ** 2).ravel()[[0, 1, 3]]
    third = (offset**3).mean(0) / size.max() ** 3
    outline = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    widths = [band.mean() for band in np.array_split(mask, BANDS, axis=0)]
    heights = [band.mean() for band in np.array_split(mask, BANDS, axis=1)]
    depth = depth_mm[mask] - depth_mm[mask].min()
    deep = [*np.percentile(depth, [5, 25, 50, 75, 95]), depth.std(), ((depth - depth.mean()) ** 3).mean()]
    layers = [
        depth_mm[part][mask[part]].mean() - depth_mm[mask].mean() if mask[part].any() else 0.0
        for part in np.array_split(np.arange(len(mask)), BANDS)
    ]
    shape = [mask.mean(), *((centre + 0.5) / size), outline / len(rows)]
    return np.array([*shape, *second, *third, *widths, *heights, *deep, *layers])


def point_features(landmarks: NDArray[np.float32]) -> Table:
    """(F,) distances between landmarks (K, 3) in the picture, patch px, and differences of their depth, mm."""
    first, second = np.triu_indices(len(landmarks), 1)
    apart = landmarks[first] - landmarks[second]
    return np.concatenate([np.linalg.norm(apart[:, :2], axis=1), apart[:, 2]])


def auc(ours: Table, theirs: Table, groups: Sequence[int], seed: int) -> dict[str, float]:
    """Cross-validated AUC between rows (N, F) and (M, F) by classifier; groups (N + M,): rows of one stay together."""
    rows, labels = np.concatenate([ours, theirs]), np.repeat([0, 1], [len(ours), len(theirs)])
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1)),
        "boosting": HistGradientBoostingClassifier(max_iter=150, random_state=seed),
    }
    return {
        name: float(
            roc_auc_score(
                labels,
                cross_val_predict(model, rows, labels, groups=groups, cv=folds, method="predict_proba")[:, 1],
            )
        )
        for name, model in models.items()
    }


def renderings(recipe: Recipe, seed: int, count: int) -> tuple[Table, Table]:
    """(picture, point) features of `count` renderings, as they are trained on but for their variation."""
    worker = ShardWorker(recipe.render, seed, "/nowhere")  # nothing is written
    samples, _ = worker.render(ShardJob(index=0, first_id=0, rows=-(-count // GROUP) * GROUP))
    worker.close()
    masks = unpack_silhouettes(samples.packed, anatomy_named(recipe.anatomy).size)
    assert samples.depth_mm is not None
    pictures = [picture_features(mask, depth) for mask, depth in zip(masks, samples.depth_mm, strict=True)]
    return np.stack(pictures[:count]), np.stack([point_features(points) for points in samples.landmarks[:count]])


def patients(recipe: Recipe, seed: int, count: int) -> tuple[Table, Table]:
    """(picture, point) features of `count` virtual patients, scanned and imported."""
    anatomy = anatomy_named(recipe.anatomy)
    template = load_template(anatomy.base)
    shifts = replace(recipe.phantom.shifts, field_of_view=0.0)
    phantom = replace(recipe.phantom, shifts=shifts, spacing_mm=SPACING[anatomy.base], coarser=(1.0, 1.0))
    settings = ImportSettings(side=phantom.side if anatomy.base == "hand" else None)
    pictures, points = [], []
    for index in range(count):
        patient = make_patient(phantom, template, seed, index)
        annotation = Annotation(case=patient.case, subject=patient.subject, points=patient.landmarks)
        volume = scan(phantom, template, patient, seed, index)
        case = import_case(volume, annotation, anatomy, recipe.render.crop, settings)
        assert case.depth_mm is not None
        pictures.append(picture_features(case.silhouette, case.depth_mm))
        points.append(point_features(case.landmarks))
        print(f"\r{index + 1} of {count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return np.stack(pictures), np.stack(points)


def gap(recipe: Recipe, seed: int, count: int) -> dict[str, dict[str, float]]:
    """AUC by kind of features and classifier."""
    rendered, again = (renderings(recipe, seed + k, count) for k in (0, 1))
    scanned = patients(recipe, seed, count)
    alone = list(range(count))
    people = [count + k // recipe.phantom.cases_per_subject for k in alone]
    found = {}
    for name, ours, other, theirs in zip(("pictures", "points"), rendered, again, scanned, strict=True):
        found[name] = auc(ours, theirs, alone + people, seed)
        found[f"{name}, control"] = auc(ours, other, [*alone, *(k + count for k in alone)], seed)
    return found


def main(argv: Sequence[str]) -> int:
    """Exit code 0."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("anatomy", nargs="*", help="hand, body; default: both")
    options.add_argument("--count", type=int, default=400, help="of renderings and of patients")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, help="JSON file to write")
    given = options.parse_args(argv)
    report = {**surroundings(), "count": given.count, "seed": given.seed}
    for anatomy in given.anatomy or SPACING:
        found = gap(RECIPES[f"{anatomy}_virtual_study"](), given.seed, given.count)
        for name, row in found.items():
            print(f"{anatomy} {name:20s} " + "  ".join(f"{model} AUC {value:.3f}" for model, value in row.items()))
        report[anatomy] = found
    if given.out is not None:
        given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
