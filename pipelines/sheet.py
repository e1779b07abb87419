"""Contact sheets: patches with their landmarks, side by side, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.domain.anatomy import HIDDEN, OUTSIDE, Anatomy
from synth.domain.schema import Samples, unpack_silhouettes

SHOWN = 100
ZOOM, GAP, WIDTH = 3, 3, 3010  # sheet px a patch px; px between patches; most px across
DOT, FONT, LINE = 5, 34, 52  # px: radius of a landmark, height of the legend's letters and lines
COLOURS = (
    "#e6194b", "#f58231", "#ffe119", "#3cb44b", "#42d4f4", "#4363d8", "#911eb4", "#f032e6", "#fabed4", "#bfef45",
    "#469990", "#9a6324", "#aaffc3", "#808000", "#dcbeff", "#ffd8b1",
)  # fmt: skip


def draw_sheet(samples: Samples, anatomy: Anatomy, path: Path, count: int = SHOWN) -> None:
    """Write a PNG of the first `count` samples; see sheet_of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet_of(samples, anatomy, count).save(path)


def sheet_of(samples: Samples, anatomy: Anatomy, count: int = SHOWN) -> Image.Image:
    """A picture of the first `count` samples under a legend: landmarks as dots, hidden ones as rings.

    Tissue is grey, near is bright, slopes are dark; a small number is the sample's id, in a study its case.
    """
    shown = min(count, len(samples))
    width, height = anatomy.width * ZOOM + GAP, anatomy.height * ZOOM + GAP
    columns = max(1, min(shown, WIDTH // width))
    across = max(columns * width, 700)
    legend = _legend(anatomy.names, across)
    sheet = Image.new("RGB", (across, legend.height + -(-shown // columns) * height), "#404040")
    sheet.paste(legend, (0, 0))
    masks = unpack_silhouettes(samples.packed[:shown], anatomy.size)
    for i in range(shown):
        tile = _tile(samples, masks[i], i)
        sheet.paste(tile, ((i % columns) * width, legend.height + (i // columns) * height))
    return sheet


def _tile(samples: Samples, mask: NDArray[np.bool_], i: int) -> Image.Image:
    """One patch, enlarged, with its landmarks."""
    depth = None if samples.depth_mm is None else samples.depth_mm[i]
    pixel = float(samples.pixel_mm[i, 0])
    grey = Image.fromarray(shade(mask, depth, pixel if np.isfinite(pixel) else None))
    tile = grey.resize((mask.shape[1] * ZOOM, mask.shape[0] * ZOOM), Image.Resampling.NEAREST).convert("RGB")
    pen = ImageDraw.Draw(tile)
    for k, (x, y, _) in enumerate(samples.landmarks[i]):
        if np.isfinite(x) and samples.visible[i, k] != OUTSIDE:
            _mark(pen, x * ZOOM, y * ZOOM, COLOURS[k % len(COLOURS)], hidden=samples.visible[i, k] == HIDDEN)
    name = str(samples.sample_id[i]) if samples.case is None else samples.case[i]
    pen.text((4, 2), name, fill="#b0b0b0", font=ImageFont.load_default(16))
    return tile


def _mark(pen: ImageDraw.ImageDraw, x: float, y: float, colour: str, *, hidden: bool, radius: float = DOT) -> None:
    """A dot or, for what is hidden, a ring, both with a dark rim so that they stand out from any grey."""
    rim = radius + 1.5
    if hidden:
        pen.ellipse((x - rim - 1, y - rim - 1, x + rim + 1, y + rim + 1), outline="#000000", width=6)
        pen.ellipse((x - rim, y - rim, x + rim, y + rim), outline=colour, width=3)
    else:
        pen.ellipse((x - rim, y - rim, x + rim, y + rim), fill="#000000")
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _legend(names: Sequence[str], across: int) -> Image.Image:
    """A strip `across` px wide with every landmark's colour and name, and what a ring means."""
    font = ImageFont.load_default(FONT)
    entries = [(name.replace("_", " "), COLOURS[k % len(COLOURS)], False) for k, name in enumerate(names)]
    entries.append(("ring: hidden", "#ffffff", True))
    places, x, y = [], LINE // 2, 0
    for text, _, _ in entries:
        length = int(font.getlength(text)) + LINE + LINE // 2
        if x + length > across and x > LINE // 2:
            x, y = LINE // 2, y + LINE
        places.append((x, y))
        x += length
    strip = Image.new("RGB", (across, y + LINE), "#404040")
    pen = ImageDraw.Draw(strip)
    for (text, colour, hidden), (x, y) in zip(entries, places, strict=True):
        _mark(pen, x, y + LINE / 2, colour, hidden=hidden, radius=11)
        pen.text((x + LINE / 2, y + LINE / 2), text, fill="#ffffff", font=font, anchor="lm")
    return strip


def shade(
    mask: NDArray[np.bool_],
    depth_mm: NDArray[np.float32] | None,
    pixel_mm: float | None = None,
) -> NDArray[np.uint8]:
    """(H, W) uint8 picture of a silhouette: grey by depth where known, flat grey else; background black.

    With `pixel_mm` slopes are darkened too, as light from the viewer would, so that limbs before the trunk stand out.
    """
    if depth_mm is None or not mask.any():
        return np.where(mask, 150, 0).astype(np.uint8)
    near, far = depth_mm[mask].min(), max(depth_mm[mask].max(), depth_mm[mask].min() + 1)
    grey = 240 - 180 * (depth_mm - near) / (far - near)
    if pixel_mm is not None:
        behind = np.where(mask, depth_mm, far)
        down, right = np.gradient(behind)
        facing = pixel_mm / np.sqrt(pixel_mm**2 + down**2 + right**2)
        grey = 30 + (grey - 30) * (0.55 + 0.45 * facing)
    return np.where(mask, grey, 0).astype(np.uint8)
