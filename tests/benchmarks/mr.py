"""Silhouettes of virtual MR hands under each artefact, against those of their masks; prints JSON.

  python -m tests.benchmarks.mr [--cases 4] [--seed 1] [--body] [--only "coil 1:8" …] [--sheet mr.png]

Each case is scanned once under each artefact with the same noise, and cut at Otsu's threshold (before) and as studies
are (after). Worst over the cases: Dice; 95th percentile and largest distance of the outlines; distance of the landmarks
from the silhouette; gaps that are not open any more; medians of the errors of depth and thickness, mm; processor
seconds, the projection included. Distances are in patch pixels.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from threadpoolctl import threadpool_limits

from synth.compartments import Insides, label_voxels
from synth.domain.anatomy import anatomy_named
from synth.domain.mr import even_signal
from synth.domain.patch import Crop, Matrix, apply_affine, invert_affine, silhouette_box
from synth.domain.projection import Projection, Volume, project
from synth.mr_artefacts import Artefacts, pressed
from synth.patient import Patient
from synth.phantom import body_phantoms, hand_phantoms, make_patient
from synth.template import load_template
from synth.voxels import mr_volume, voxelise
from tests.benchmarks.surroundings import surroundings

Mask = NDArray[np.bool_]
WAYS = ("before", "after")
NOISE, LOUD = 25.0, 70.0  # of muscle = 420: a ratio of 17 and of 6
MARGIN_MM = (40.0, 25.0, 30.0)  # fields of view of hands leave some room
ARTEFACTS: dict[str, tuple[Artefacts, float]] = {
    "clean": (Artefacts(), NOISE),
    "coil 1:4": (Artefacts(coil=4.0), NOISE),
    "coil 1:8": (Artefacts(coil=8.0), NOISE),
    "ghost 5 %": (Artefacts(ghost=0.05), NOISE),
    "ghost 15 %": (Artefacts(ghost=0.15), NOISE),
    "ghost 15 % along z": (Artefacts(ghost=0.15, phase="z"), NOISE),
    "ringing": (Artefacts(sharp=0.4), NOISE),
    "wrap along x": (Artefacts(wrap_mm=10.0), NOISE),
    "wrap along z": (Artefacts(wrap_mm=15.0, phase="z"), NOISE),
    "sand bag": (Artefacts(pressed_mm=4.0), NOISE),
    "fat suppressed": (Artefacts(weighting="water"), NOISE),
    "dark skin": (Artefacts(skin=0.4), NOISE),
    "zipper": (Artefacts(zipper=0.5), NOISE),
    "spike": (Artefacts(spike=0.15), NOISE),
    "slice gain": (Artefacts(slice_gain=0.25), NOISE),
    "chemical shift": (Artefacts(chemical_shift=1), NOISE),
    "noise 1:6": (Artefacts(), LOUD),
    "coil 1:8, noise 1:6": (Artefacts(coil=8.0), LOUD),
    "coil 1:8, ghost 15 %": (Artefacts(coil=8.0, ghost=0.15), NOISE),
    "coil 1:8, ghost 15 % along z": (Artefacts(coil=8.0, ghost=0.15, phase="z"), NOISE),
    "all": (
        Artefacts(
            skin=0.6, weighting="water", pressed_mm=3.0, chemical_shift=1, coil=5.0, slice_gain=0.1, ghost=0.1,
            sharp=0.6, zipper=0.2, spike=0.05,
        ),
        50.0,
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A virtual patient, its voxels (z, y, x) and their place, what it is filled with, the patch's size."""

    patient: Patient
    mask: Mask
    affine: Matrix
    insides: Insides
    size: tuple[int, int]

    def labels(self, mask: Mask, rng: np.random.Generator) -> NDArray[np.uint8]:
        """(z, y, x) what the voxels of its mask are made of, which a sand bag may have pressed."""
        return label_voxels(mask, self.affine, self.patient.joints, self.patient.bones, self.insides, rng)


def subject(name: str, seed: int, index: int) -> Subject:
    """Case `index` of the virtual hands, or of virtual bodies in whole-body MR."""
    template, anatomy = load_template(name), anatomy_named(name)
    recipe = hand_phantoms()
    if name == "body":
        recipe = replace(body_phantoms(), spacing_mm=(2.0, 2.0, 5.0))
    patient = make_patient(recipe, template, seed, index)
    mask, affine = voxelise(patient.vertices, template.triangles, recipe.spacing_mm, MARGIN_MM)
    assert recipe.insides is not None
    return Subject(patient=patient, mask=mask, affine=affine, insides=recipe.insides, size=anatomy.size)


def compare(found: Projection, truth: Projection, who: Subject) -> dict[str, float]:
    """Figures of one case, see above; both projections are of one grid."""
    own, other = found.silhouette, truth.silhouette
    patch_px = float(Crop().window(silhouette_box(other), who.size)[0, 0])  # source px per patch px
    edges = _edges(own), _edges(other)
    apart = [ndimage.distance_transform_edt(~edge)[beside] / patch_px for edge, beside in (edges, edges[::-1])]
    points = apply_affine(invert_affine(truth.to_patient), who.patient.landmarks)[:, :2]
    inside = ((points >= 0) & (points < other.shape[::-1])).all(1)
    rows, cols = points[inside].astype(int).T[::-1]
    tips = ndimage.distance_transform_edt(~own)[rows, cols] / patch_px
    gaps, count = ndimage.label(ndimage.binary_opening(~other, iterations=max(1, round(patch_px))))
    closed = sum((~own)[gaps == i].mean() <= 0.8 for i in range(1, count + 1))
    both = own & other
    assert found.depth_mm is not None and truth.depth_mm is not None
    assert found.thickness_mm is not None and truth.thickness_mm is not None
    depth = (found.depth_mm - truth.depth_mm)[both]
    return {
        "dice": 2 * both.sum() / (own.sum() + other.sum()),
        "outline_p95_px": float(np.percentile(np.concatenate(apart), 95)),
        "outline_max_px": float(max(part.max(initial=0) for part in apart)),
        "landmark_max_px": float(tips.max(initial=0)),
        "gaps_closed": float(closed),
        "depth_mm": float(np.median(np.abs(depth - np.median(depth)))),
        "thickness_mm": float(np.median(np.abs(found.thickness_mm - truth.thickness_mm)[both])),
    }


def _edges(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def truth_of(who: Subject, mask: Mask, volume: Volume) -> Projection:
    """The projection of the part of a subject's mask that a scan shows."""
    low = np.rint((volume.index_to_patient[:, 3] - who.affine[:, 3]) / np.diag(who.affine)).astype(int)
    end = low + volume.voxels.shape[::-1]
    part = mask[low[2] : end[2], low[1] : end[1], low[0] : end[0]]
    return project(Volume(voxels=part, index_to_patient=volume.index_to_patient), threshold=0.5)


def after(volume: Volume) -> Projection:
    """The projection as a study's."""
    even, level = even_signal(volume)
    return project(even, threshold=level)


def case(
    who: Subject, seed: int, index: int, chosen: list[str]
) -> tuple[dict[str, dict[str, dict[str, float]]], list[NDArray[np.uint8]]]:
    """(figures by artefact, before and after; pictures: 1 lost, 2 left over, 3 both) of one subject."""
    rows: dict[str, dict[str, dict[str, float]]] = {}
    pictures = []
    for name in chosen:
        artefacts, noise = ARTEFACTS[name]
        rng = np.random.default_rng([seed, index, 9])
        x, y, z = (float(mm) for mm in np.diag(who.affine))
        mask = pressed(who.mask, (x, y, z), artefacts.pressed_mm)
        volume = mr_volume(who.labels(mask, rng), who.affine, noise, 0.6, rng, artefacts)
        truth = truth_of(who, mask, volume)
        rows[name] = {}
        for way, view in (("before", project), ("after", after)):
            start = time.process_time()
            found = view(volume)
            seconds = time.process_time() - start
            rows[name][way] = compare(found, truth, who) | {"seconds": seconds}
            pictures.append((truth.silhouette + 2 * found.silhouette).astype(np.uint8))
    return rows, pictures


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=4)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--body", action="store_true", help="whole-body MR of 2 x 2 x 5 mm instead of hands")
    options.add_argument("--only", choices=ARTEFACTS, nargs="+", default=list(ARTEFACTS), help="default: all of them")
    options.add_argument("--sheet", type=Path, help="PNG of what is lost and left over; default: none")
    given = options.parse_args()
    results, pictures = [], []
    with threadpool_limits(1):
        for index in range(given.cases):
            who = subject("body" if given.body else "hand", given.seed, index)
            rows, shown = case(who, given.seed, index, given.only)
            results.append(rows)
            pictures.append(shown)
    if given.sheet:
        draw(pictures, given.only, given.sheet)
    worst = {name: {way: worst_of([rows[name][way] for rows in results]) for way in WAYS} for name in given.only}
    print(table(worst))
    print(json.dumps({"worst": worst, "cases": results} | surroundings(), indent=1, default=float))


def worst_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """The worst of each figure."""
    return {name: (min if name == "dice" else max)(row[name] for row in rows) for name in rows[0]}


def table(worst: dict[str, dict[str, dict[str, float]]]) -> str:
    """Markdown: a row per artefact, before -> after."""
    names = list(next(iter(worst.values()))["after"])
    lines = [" | ".join(["artefact", *names]), "|".join(["---"] * (len(names) + 1))]
    for artefact, ways in worst.items():
        cells = [f"{ways['before'][name]:.3g} → {ways['after'][name]:.3g}" for name in names]
        lines.append(" | ".join([artefact, *cells]))
    return "\n".join(f"| {line} |" for line in lines)


def draw(pictures: list[list[NDArray[np.uint8]]], names: list[str], path: Path) -> None:
    """A sheet: two rows per case, before and after, a column per artefact; red is lost, blue is left over."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 * len(names), 4.4 * len(pictures)), layout="constrained")
    grid = figure.subplots(2 * len(pictures), len(names), squeeze=False)
    for case_number, row in enumerate(pictures):
        for number, picture in enumerate(row):
            axis = grid[2 * case_number + number % 2, number // 2]
            axis.imshow(picture, cmap=ListedColormap(["black", "red", "blue", "white"]), vmin=0, vmax=3)
            axis.set(title=f"{names[number // 2]}, {WAYS[number % 2]}", xticks=[], yticks=[])
            axis.title.set_fontsize(7)
    figure.savefig(path, dpi=60)


if __name__ == "__main__":
    main()
