"""Outlines of hands in virtual radiographs, by trouble: what is found of them; prints JSON.

  python -m tests.benchmarks.radiographs [--cases 8] [--seed 1] [--only together,lead] [--sheet sheet.png] [--size 0.5]

Each trouble alone on the same hands, and all of them drawn together. Held against the outline that is known: the least
and the median Dice; 95th percentile and largest distance of the outlines; the tips' largest distance from the outline
found, of those on the known one (distances in patch pixels); how many are refused; how many are wrong and nothing is
said (Dice below 0.97; only a note that asks to look at it counts as said). "before" is one threshold for all,
"after" what study.py does. Bones alone must be refused: for them, Dice is not to be looked at.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage
from threadpoolctl import threadpool_limits

from synth.domain.anatomy import HAND
from synth.domain.patch import Crop, silhouette_box
from synth.domain.projection import largest_component, otsu
from synth.domain.radiograph import Image, outline
from synth.domain.study import ImportSettings, prepare
from synth.phantom import hand_phantoms
from synth.radiographs import Radiograph, RadiographRecipe, radiograph, troubled
from synth.template import Template, load_template
from tests.benchmarks.surroundings import surroundings

Mask = NDArray[np.bool_]
Found = tuple[Mask, tuple[str, ...]]
CLEAN = RadiographRecipe()
TROUBLES = {
    "clean": CLEAN,
    "film": replace(CLEAN, curve="film"),
    "inverted": replace(CLEAN, inverted=True),
    "gradient": replace(CLEAN, gradient=(0.25, 0.25)),
    "vignetting": replace(CLEAN, vignetting=0.3),
    "noise": replace(CLEAN, photons=500.0),
    "faint": replace(CLEAN, curve="film", faint=1.0, bits=8),
    "clipped": replace(CLEAN, clipped=True),
    "jpeg": replace(CLEAN, bits=8, jpeg=60),
    "lead": replace(CLEAN, frame="lead", corners=True, forearm=True),
    "shutter": replace(CLEAN, frame="shutter", forearm=True),
    "paper": replace(CLEAN, frame="paper", inverted=True),
    "marker": replace(CLEAN, marker="free"),
    "touching": replace(CLEAN, marker="touching"),
    "text": replace(CLEAN, text=True),
    "ruler": replace(CLEAN, ruler=True),
    "wedge": replace(CLEAN, wedge=True),
    "cassette": replace(CLEAN, cassette=True),
    "dust": replace(CLEAN, dust=40, frame="paper"),
    "forearm": replace(CLEAN, forearm=True),
    "bones": replace(CLEAN, bone_only=True, forearm=True),
}
TOGETHER = "together"
WRONG = 0.97  # Dice
SHOWN = ("dice", "dice_median", "p95_px", "max_px", "tip_px", "tips_within_1", "refused", "wrong_quietly")


def before(image: Image) -> Found:
    """Otsu's threshold for the whole picture, the side that its border is not, the largest part."""
    above = image.pixels > otsu(image.pixels)
    border = np.concatenate([above[0], above[-1], above[:, 0], above[:, -1]])
    return largest_component(above if border.mean() < 0.5 else ~above), ()


def after(image: Image) -> Found:
    """What study.py takes it for. Raises ValueError where it is refused."""
    prepared = prepare(image, HAND, Crop(), ImportSettings(side="left"))
    return prepared.source.silhouette, tuple(note for note in prepared.notes if "look at" in note)


def compare(found: Mask, truth: Radiograph) -> dict[str, float]:
    """Dice and distances of one case, see above."""
    known = truth.silhouette
    patch_px = float(Crop().window(silhouette_box(known), HAND.size)[0, 0])
    edges = [np.asarray(mask & ~ndimage.binary_erosion(mask)) for mask in (found, known)]
    away = [ndimage.distance_transform_edt(~edge) / patch_px for edge in edges]
    apart = np.concatenate([away[0][edges[1]], away[1][edges[0]]])
    rows, cols = np.clip(truth.landmarks[:, ::-1].astype(int), 0, np.array(known.shape) - 1).T
    on_outline = away[1][rows, cols] < 0.75
    return {
        "dice": float(2 * (found & known).sum() / (found.sum() + known.sum())),
        "p95_px": float(np.percentile(apart, 95)),
        "max_px": float(apart.max()),
        "tip_px": float(away[0][rows, cols][on_outline].max(initial=0)),
    }


def measure(find: Callable[[Image], Found], cases: list[Radiograph]) -> tuple[dict[str, float], list[Mask | None]]:
    """(figures over cases, the outlines found, None where refused)."""
    rows, masks, quiet, seconds = [], [], 0, []
    for case in cases:
        image = Image(pixels=case.pixels.astype(np.float32), spacing_mm=None, to_viewer=np.eye(2, 3))
        began = time.perf_counter()
        try:
            mask, notes = find(image)
        except ValueError:
            masks.append(None)
            continue
        finally:
            seconds.append(time.perf_counter() - began)
        rows.append(compare(mask, case))
        quiet += rows[-1]["dice"] < WRONG and not notes
        masks.append(mask)
    figures = {"refused": 1 - len(rows) / len(cases), "wrong_quietly": quiet / len(cases), "seconds": max(seconds)}
    if rows:
        figures |= {"dice_median": float(np.median([row["dice"] for row in rows]))}
        figures |= {key: (min if key == "dice" else max)(row[key] for row in rows) for key in rows[0]}
        figures |= {"tips_within_1": float(np.mean([row["tip_px"] <= 1 for row in rows]))}
    return {key: round(value, 4) for key, value in figures.items()}, masks


def make(trouble: str, pixel_mm: float, template: Template, seed: int, index: int) -> Radiograph:
    """A case of one trouble; the hands are the same for all."""
    recipe = TROUBLES.get(trouble, CLEAN)
    if trouble == TOGETHER:
        recipe = troubled(recipe, np.random.default_rng([seed, index, 77]))
    return radiograph(replace(recipe, pixel_mm=pixel_mm), hand_phantoms(), template, seed, index)


def seconds(template: Template, seed: int) -> float:
    """Processor seconds that the outline of a picture of 3000 x 2400 px takes, the least of three times."""
    case = radiograph(replace(CLEAN, frame="lead", bits=16), hand_phantoms(), template, seed, 0)
    zoom = (3000 / case.pixels.shape[0], 2400 / case.pixels.shape[1])
    pixels = ndimage.zoom(case.pixels.astype(np.float32), zoom, order=1)
    taken = []
    for _ in range(3):
        began = time.process_time()
        outline(Image(pixels=pixels, spacing_mm=None, to_viewer=np.eye(2, 3)))
        taken.append(time.process_time() - began)
    return min(taken)


def draw(cases: list[Radiograph], masks: list[Mask | None], path: Path, height: int = 400, across: int = 6) -> None:
    """A sheet of pictures; red: lost, blue: left over, the outline found in green; grey where refused."""
    tiles = []
    for case, mask in zip(cases, masks, strict=True):
        grey = (case.pixels.astype(np.float32) * (255 / case.pixels.max())).astype(np.uint8)
        shown = np.stack([grey] * 3, -1)
        if mask is not None:
            shown[case.silhouette & ~mask] = [255, 0, 0]
            shown[mask & ~case.silhouette] = [0, 0, 255]
            shown[mask & ~ndimage.binary_erosion(mask, iterations=2)] = [0, 255, 0]
        else:
            shown = shown // 2
        picture = Picture.fromarray(shown)
        tiles.append(picture.resize((picture.width * height // picture.height, height)))
    wide = max(tile.width for tile in tiles)
    sheet = Picture.new("RGB", (wide * across, height * -(-len(tiles) // across)))
    for k, tile in enumerate(tiles):
        sheet.paste(tile, (k % across * wide, k // across * height))
    sheet.save(path)


def line(name: str, figures: dict[str, dict[str, float]]) -> str:
    """A row of the table: before -> after."""
    pairs = {key: [figures[when].get(key, float("nan")) for when in ("before", "after")] for key in SHOWN}
    return f"{name:11}" + "".join(f"  {key} {old:.3f} -> {new:.3f}" for key, (old, new) in pairs.items())


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=8)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--size", type=float, default=0.5, help="pixel in mm")
    options.add_argument("--only", help="troubles, by commas; default: all")
    options.add_argument("--sheet", type=Path, help="PNG of the pictures with what was found; default: none")
    given = options.parse_args()
    names = given.only.split(",") if given.only else [*TROUBLES, TOGETHER]
    template, report, shown, found = load_template("hand"), {}, [], []
    with threadpool_limits(1):
        for name in names:
            cases = [make(name, given.size, template, given.seed, index) for index in range(given.cases)]
            now, masks = measure(after, cases)
            report[name] = {"before": measure(before, cases)[0], "after": now}
            print(line(name, report[name]), flush=True)
            shown, found = shown + cases, found + masks
    if given.sheet:
        draw(shown, found, given.sheet)
    with threadpool_limits(1):
        large = round(seconds(template, given.seed), 2)
    report = {"cases": given.cases, "seed": given.seed, "seconds_3000x2400": large, "troubles": report}
    print(json.dumps(report | surroundings()))


if __name__ == "__main__":
    main()
