"""Contact sheet of training's varied patches: silhouettes (or depth), what is not observed, landmarks.

  python -m tests.benchmarks.views --data URI --out PNG [--count 100] [--depth]

Not observed is dark red; a landmark that is not seen is a ring.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from pipelines.sheet import COLOURS, shade
from synth.domain.anatomy import anatomy_named
from synth.domain.patch import Crop
from synth.domain.shards import read_manifest, read_samples
from training.augment import change, draw_changes
from training.data import Batch, Patches
from training.views import Views, body_views, hand_views

ZOOM, COLUMNS = 2, 10


def varied(patches: Patches, views: Views, strength: float = 0.5, seed: int = 1) -> tuple[Batch, torch.Tensor]:
    """(all patches varied once, which landmarks are not seen (N, K))."""
    rows = torch.arange(len(patches))
    changes = draw_changes(patches, rows, strength, views, np.random.default_rng([seed]))
    return change(patches.batch(rows), changes, patches.crop), changes.unseen


def draw(batch: Batch, unseen: torch.Tensor, path: Path) -> None:
    """Write the sheet."""
    height, width = (size * ZOOM for size in batch.silhouette.shape[-2:])
    sheet = Image.new("RGB", (COLUMNS * (width + 2), -(-len(unseen) // COLUMNS) * (height + 2)), "#808080")
    pen = ImageDraw.Draw(sheet)
    for i in range(len(unseen)):
        left, top = (i % COLUMNS) * (width + 2), (i // COLUMNS) * (height + 2)
        mask = batch.silhouette[i, 0].numpy() > 0
        depth = None if batch.depth_mm is None else batch.depth_mm[i, 0].numpy()
        grey = np.repeat(shade(mask, depth)[:, :, None], 3, 2)
        grey[batch.observed[i, 0].numpy() == 0] = (90, 0, 0)
        picture = Image.fromarray(grey).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(picture, (left, top))
        for k, (x, y) in enumerate(batch.points[i].tolist()):
            if 0 <= x * ZOOM <= width and 0 <= y * ZOOM <= height:
                at, colour = (left + x * ZOOM, top + y * ZOOM), COLOURS[k % len(COLOURS)]
                fill = None if unseen[i, k] else colour
                pen.ellipse((at[0] - 3, at[1] - 3, at[0] + 3, at[1] + 3), fill=fill, outline=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def main() -> None:
    """Draw the sheet of a dataset's first samples."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", required=True)
    options.add_argument("--out", required=True, type=Path)
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--depth", action="store_true")
    given = options.parse_args()
    manifest = read_manifest(given.data)
    anatomy = anatomy_named(manifest.anatomy)
    samples = read_samples(given.data, anatomy, depth=given.depth, limit=given.count)
    inputs = ("silhouette", "depth") if given.depth else ("silhouette",)
    patches = Patches.from_samples(samples, anatomy, inputs=inputs, crop=Crop(**manifest.recipe["crop"]))
    views = body_views() if anatomy.name == "body" else hand_views()
    draw(*varied(patches, views), given.out)


if __name__ == "__main__":
    main()
