"""What trust.py flags: broken inputs by kind, and good landmarks of sound ones; prints JSON, writes the risk curve.

  python -m tests.benchmarks.trust MODEL --sound NAME=URI [--sound …] --other URI [--children NAME=URI …]
      [--curve FILE.csv]

Sound inputs: renderings no network has seen, the first of them also as training varies them, and studies. Broken ones
are made of the first: those that trust is learnt with, and four that it is not: the other anatomy's renderings, thirds,
two bodies side by side. Children are judged by their size, too. A landmark is good within 5 % of the patch's longer
side; one is withheld where predict.py would not place it. Curve: of sound inputs, share kept by falling certainty, and
the mean error of those.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.domain.shards import read_manifest, read_samples
from tests.benchmarks.surroundings import surroundings
from training.augment import change, draw_changes
from training.broken import Images, broken, cut_again, kinds_of
from training.checkpoint import LoadedModel, load_model
from training.data import Batch, Patches
from training.extent import beyond, extent_mm
from training.predict import FAR_FROM_TISSUE, LARGEST_SIGMA
from training.trust import describe
from training.trust_learning import features_of, images_of

GOOD = 0.05  # of the patch's longer side
CASES = 512


def read_patches(loaded: LoadedModel, uri: str) -> Patches:
    """The first CASES of a dataset."""
    anatomy = read_manifest(uri).anatomy
    reads = loaded.card.model.inputs
    samples = read_samples(uri, anatomy, depth="depth" in reads, thickness="thickness" in reads, limit=CASES)
    return Patches.from_samples(samples, anatomy, inputs=reads, crop=loaded.card.crop)


def withheld(loaded: LoadedModel, batch: Batch, pixel_mm: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """(N, K) errors px, sigma px and whether withheld, (N,) whether the whole case is; pixel_mm: (N, 2)."""
    assert loaded.card.trust is not None
    model, size, count = loaded.model, max(batch.silhouette.shape[-2:]), batch.points.shape[1]
    doubted, points, sigma, beyond = [], [], [], []
    for at in range(0, len(batch.points), 128):
        part = batch.part(slice(at, at + 128))
        features = describe(model, part)
        doubted.append(loaded.card.trust.scores(features) > loaded.card.trust.limit)
        beyond.append(features[:, -2 * count : -count])
        sigma.append(np.exp(features[:, -count:]))
        with torch.no_grad():
            points.append(model(part.channels(model.inputs)).points.numpy())
    said = np.concatenate(points)
    errors = np.hypot(*np.moveaxis(said - batch.points.numpy(), 2, 0))
    scale = np.array([v or 1.0 for v in loaded.card.sigma_scale or (1.0,) * count])
    expected, far = np.concatenate(sigma) * scale, np.maximum(np.concatenate(beyond), 0) ** 2
    single = (far > FAR_FROM_TISSUE * size) | (expected > LARGEST_SIGMA * size)
    whole = np.concatenate(doubted) | other_size(loaded, said, pixel_mm)
    return {"error": errors, "sigma": expected, "single": single | whole[:, None], "whole": whole}


def other_size(loaded: LoadedModel, points: NDArray[Any], pixel_mm: NDArray[Any]) -> NDArray[np.bool_]:
    """(N,) whether landmarks (N, K, 2) px have an extent that the model has not learnt from."""
    return np.array([beyond(extent, loaded.card.extent_mm) for extent in extent_mm(points, pixel_mm)])


def sound_batches(
    loaded: LoadedModel, sound: dict[str, str]
) -> dict[str, tuple[Batch, NDArray[np.bool_], NDArray[Any]]]:
    """Name -> (inputs, (N, K) which landmarks are annotated and seen, (N, 2) mm of a pixel, NaN where cut anew)."""
    found = {}
    for name, uri in sound.items():
        patches = read_patches(loaded, uri)
        plain = patches.batch(torch.arange(len(patches)))
        assert patches.pixel_mm is not None
        found[name] = plain, patches.valid.numpy(), patches.pixel_mm.numpy()
        if len(found) == 1:
            rng = np.random.default_rng([77, 1])
            train = loaded.card.train
            changes = draw_changes(patches, torch.arange(len(patches)), train.augment, train.views, rng)
            seen = (patches.valid & ~changes.unseen).numpy()
            unknown = np.full((len(patches), 2), np.nan)
            found[f"{name}, varied"] = change(plain, changes, patches.crop), seen, unknown
    return found


def foreign(images: Images, others: Images) -> dict[str, Images]:
    """Broken inputs of kinds that trust is not learnt with, not yet cut."""
    height, width = images.shape[2:]
    return {
        "other anatomy": others,
        "upper third": images[:, :, : height // 3],
        "lower two thirds": images[:, :, height // 3 :],
        "two overlapping": np.maximum(images, np.roll(np.roll(images, 1, 0), width // 4, 3)),
    }


def children_flagged(loaded: LoadedModel, uri: str) -> dict[str, float]:
    """Shares of children flagged, and of those flagged for their silhouette alone."""
    patches = read_patches(loaded, uri)
    assert loaded.card.trust is not None and patches.pixel_mm is not None
    batch = patches.batch(torch.arange(len(patches)))
    alone = loaded.card.trust.doubts(loaded.model, batch)
    return {
        "flagged": float(withheld(loaded, batch, patches.pixel_mm.numpy())["whole"].mean()),
        "by_silhouette": float(alone.mean()),
    }


def report(loaded: LoadedModel, given: argparse.Namespace) -> dict[str, Any]:
    """Shares flagged and withheld."""
    anatomy, trust = loaded.card.anatomy, loaded.card.trust
    assert trust is not None, "the model has no trust; pre-train it with this version"
    batches = sound_batches(loaded, dict(item.split("=", 1) for item in given.sound))
    sound, curve = {}, []
    for name, (batch, seen, pixel_mm) in batches.items():
        found = withheld(loaded, batch, pixel_mm)
        good = seen & (found["error"] <= GOOD * max(anatomy.size))
        sound[name] = {
            "cases": len(seen),
            "cases_flagged": float(found["whole"].mean()),
            "good_landmarks_withheld": float(found["single"][good].mean()),
            "error_px_kept": float(found["error"][seen & ~found["single"]].mean()),
            "error_px_withheld": _mean(found["error"][seen & found["single"]]),
        }
        curve += risk_curve(name, found, seen)
    if given.curve:
        write_curve(given.curve, curve)
    images = images_of(loaded.model, next(iter(batches.values()))[0].part(slice(0, 256)))
    rng = np.random.default_rng([77, 2])
    kinds = {kind: broken(images, kind, loaded.card.crop, rng) for kind in kinds_of(anatomy.base)}
    others = read_images(loaded, given.other)
    unlearnt = {k: cut_again(v, anatomy.size, loaded.card.crop) for k, v in foreign(images, others).items()}
    children = dict(item.split("=", 1) for item in given.children)

    def flagged(made: dict[str, Images]) -> dict[str, float]:
        return {k: float((trust.scores(features_of(loaded.model, v)) > trust.limit).mean()) for k, v in made.items()}

    return {
        "sound": sound,
        "flagged": flagged(kinds),
        "flagged_unlearnt": flagged(unlearnt),
        "children": {name: children_flagged(loaded, uri) for name, uri in children.items()},
    }


def risk_curve(name: str, found: dict[str, NDArray[Any]], seen: NDArray[np.bool_]) -> list[tuple[str, float, float]]:
    """(name, share kept, mean error px of those) for every twentieth: flagged last, the surest first."""
    order = np.lexsort([found["sigma"][seen], found["single"][seen]])
    errors = found["error"][seen][order]
    counts = [max(1, round(len(errors) * k / 20)) for k in range(1, 21)]
    return [(name, n / len(errors), float(errors[:n].mean())) for n in counts]


def write_curve(path: Path, rows: list[tuple[str, float, float]]) -> None:
    """Write the curve as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["inputs", "share_kept", "error_px"])
        writer.writerows((name, f"{share:.3f}", f"{error:.4f}") for name, share, error in rows)


def read_images(loaded: LoadedModel, uri: str) -> Images:
    """(N, C, H, W) renderings, 256 at most, as the model reads them."""
    patches = read_patches(loaded, uri)
    return images_of(loaded.model, patches.batch(torch.arange(min(256, len(patches)))))


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if values.size else None


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", metavar="MODEL")
    options.add_argument("--sound", action="append", required=True, metavar="NAME=URI")
    options.add_argument("--other", required=True, metavar="URI", help="renderings of the other anatomy")
    options.add_argument("--children", action="append", default=[], metavar="NAME=URI", help="renderings of children")
    options.add_argument("--curve", type=Path, metavar="FILE.csv")
    given = options.parse_args()
    torch.set_num_threads(1)
    print(json.dumps({"model": given.model} | report(load_model(given.model), given) | surroundings()), flush=True)


if __name__ == "__main__":
    main()
