"""Contact sheets: patches with their landmarks, side by side, for a person to look at."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from synth.domain.anatomy import HIDDEN, OUTSIDE, Anatomy
from synth.domain.schema import Samples, unpack_silhouettes

ZOOM, COLUMNS = 2, 10
COLOURS = ("#e6194b", "#f58231", "#ffe119", "#3cb44b", "#42d4f4", "#4363d8", "#911eb4", "#f032e6", "#fabed4")


def draw_sheet(samples: Samples, anatomy: Anatomy, path: Path, count: int = 60) -> None:
    """Write a PNG of the first `count` samples: depth as grey (near is bright), landmarks as dots, hidden as rings."""
    height, width = anatomy.height * ZOOM, anatomy.width * ZOOM
    shown = min(count, len(samples))
    columns = min(COLUMNS, shown)
    sheet = Image.new("RGB", (columns * (width + 2), -(-shown // columns) * (height + 2)), "#404040")
    pen = ImageDraw.Draw(sheet)
    masks = unpack_silhouettes(samples.packed[:shown], anatomy.size)
    for i in range(shown):
        left, top = (i % columns) * (width + 2), (i // columns) * (height + 2)
        depth = None if samples.depth_mm is None else samples.depth_mm[i]
        picture = Image.fromarray(shade(masks[i], depth)).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(picture, (left, top))
        for k, (x, y, _) in enumerate(samples.landmarks[i]):
            if np.isfinite(x) and samples.visible[i, k] != OUTSIDE:
                cx, cy, colour = left + x * ZOOM, top + y * ZOOM, COLOURS[k % len(COLOURS)]
                fill = None if samples.visible[i, k] == HIDDEN else colour
                pen.ellipse((cx - 3, cy - 3, cx + 3, cy + 3), fill=fill, outline=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def shade(
    mask: NDArray[np.bool_],
    depth_mm: NDArray[np.float32] | None,
) -> NDArray[np.uint8]:
    """(H, W) uint8 picture of a silhouette: grey by depth where known, flat grey else; background black."""
    if depth_mm is None or not mask.any():
        return np.where(mask, 150, 0).astype(np.uint8)
    near, far = depth_mm[mask].min(), max(depth_mm[mask].max(), depth_mm[mask].min() + 1)
    return np.where(mask, 240 - 180 * (depth_mm - near) / (far - near), 0).astype(np.uint8)
