"""Couch removal on virtual patients: what is left of them, and what is left of the couch; prints JSON.

  python -m tests.benchmarks.couches [--recipe body_virtual_test --seed 1001] [--cases 20] [--mode fit] [--sheet FILE]

Cases are drawn from body_virtual_dev with seed 1 for development, from body_virtual_test with seed 1001 for what is
reported. Each is scanned once without a couch and once on each kind of couch, with the same noise. Held against the
first: Dice of the silhouettes; 95th percentile and largest distance of their outlines; distance of the landmarks from
the silhouette; gaps (arm to trunk, between legs), and how many are not open any more; RMS of depth in mm. Distances are
in patch pixels.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from threadpoolctl import threadpool_limits

from pipelines.recipes import RECIPES
from synth.couches import KINDS as COUCHES
from synth.domain.anatomy import anatomy_named
from synth.domain.couch import Mask
from synth.domain.patch import Crop, apply_affine, invert_affine, silhouette_box
from synth.domain.projection import CouchRemoval, Projection, project
from synth.phantom import Patient, PhantomRecipe, make_patient, scan
from synth.template import Template, load_template
from tests.benchmarks.surroundings import surroundings

KINDS = ("empty", *COUCHES)
GAP = 4.0  # patch pixels; smaller gaps are not counted


def compare(found: Projection, truth: Projection, patient: Patient) -> dict[str, float]:
    """Figures of one case, see above; both projections are of one grid."""
    size = anatomy_named("body").size
    own, other = found.silhouette, truth.silhouette
    assert own.shape == other.shape and truth.pixel_mm is not None
    patch_px = float(Crop().window(silhouette_box(other), size)[0, 0])  # source px per patch px
    edges = _edges(own), _edges(other)
    apart = [ndimage.distance_transform_edt(~edge)[beside] / patch_px for edge, beside in (edges, edges[::-1])]
    points = apply_affine(invert_affine(truth.to_patient), patient.landmarks)[:, :2]
    inside = ((points >= 0) & (points < other.shape[::-1])).all(1)
    rows, cols = points[inside].astype(int).T[::-1]
    gaps, count = ndimage.label(~other)
    sizes = np.bincount(gaps.ravel()) / patch_px**2
    kept = [(~own)[gaps == i].mean() for i in range(1, count + 1) if sizes[i] > GAP and not _touches(gaps == i)]
    both = own & other
    assert found.depth_mm is not None and truth.depth_mm is not None
    depth = (found.depth_mm - truth.depth_mm)[both]
    return {
        "dice": 2 * both.sum() / (own.sum() + other.sum()),
        "outline_p95_px": float(np.percentile(np.concatenate(apart), 95)),
        "outline_max_px": float(max(part.max(initial=0) for part in apart)),
        "landmark_max_px": float((ndimage.distance_transform_edt(~own)[rows, cols] / patch_px).max(initial=0)),
        "gaps": len(kept),
        "gaps_closed": sum(share <= 0.8 for share in kept),
        "depth_rms_mm": float(np.sqrt(np.mean((depth - np.median(depth)) ** 2))),
    }


def _edges(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _touches(mask: Mask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def case(
    recipe: PhantomRecipe, template: Template, seed: int, index: int, mode: CouchRemoval
) -> tuple[dict[str, dict[str, float]], list[NDArray[np.uint8]]]:
    """(figures by kind of couch, pictures: 1 lost, 2 left over, 3 both) of one patient."""
    patient = make_patient(recipe, template, seed, index)
    bare = scan(replace(recipe, couch="empty"), template, patient, seed, index)
    truth = project(bare)
    rows, pictures = {}, []
    for kind in KINDS:
        volume = scan(replace(recipe, couch=kind), template, patient, seed, index)
        found = project(volume, couch=mode)
        rows[kind] = compare(found, truth, patient)
        pictures.append((truth.silhouette + 2 * found.silhouette).astype(np.uint8))
    return rows, pictures


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--recipe", choices=["body_virtual_dev", "body_virtual_test"], default="body_virtual_dev")
    options.add_argument("--cases", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--mode", choices=["none", "accumulate", "fit"], default="fit")
    options.add_argument("--spacing", type=float, nargs=3, help="of voxels, mm; default: the recipe's")
    options.add_argument("--sheet", type=Path, help="PNG of what is lost and left over; default: none")
    given = options.parse_args()
    recipe, template = RECIPES[given.recipe]().phantom, load_template("body")
    if given.spacing:
        recipe = replace(recipe, spacing_mm=tuple(given.spacing), coarser=(1.0, 1.0))
    with threadpool_limits(1):
        cases = [case(recipe, template, given.seed, index, given.mode) for index in range(given.cases)]
    if given.sheet:
        draw([pictures for _, pictures in cases], given.sheet)
    worst = {
        kind: {
            name: (min if name == "dice" else max)(rows[kind][name] for rows, _ in cases) for name in cases[0][0][kind]
        }
        for kind in KINDS
    }
    report = {
        "recipe": given.recipe,
        "seed": given.seed,
        "mode": given.mode,
        "worst": worst,
        "cases": [rows for rows, _ in cases],
    }
    print(json.dumps(report | surroundings(), indent=1, default=float))


def draw(pictures: list[list[NDArray[np.uint8]]], path: Path) -> None:
    """A sheet: a row per case, a column per kind of couch; red is lost, blue is left over."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 * len(KINDS), 4.2 * len(pictures)), layout="constrained")
    grid = figure.subplots(len(pictures), len(KINDS), squeeze=False)
    for axes, row in zip(grid, pictures, strict=True):
        for axis, picture, kind in zip(axes, row, KINDS, strict=True):
            axis.imshow(picture, cmap=ListedColormap(["black", "red", "blue", "white"]), vmin=0, vmax=3)
            axis.set(title=kind, xticks=[], yticks=[])
    figure.savefig(path, dpi=60)


if __name__ == "__main__":
    main()
