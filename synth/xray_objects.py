"""What lies in the beam or on the film beside a hand: letters, rulers, step wedges, cassettes, frames, dust."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


def letters(
    shape: tuple[int, int], text: str, size: float, place: tuple[float, float], rng: np.random.Generator
) -> Mask:
    """(H, W) text of `size` px around a place (y, x: shares of the picture), turned a little."""
    font = ImageFont.load_default(max(6.0, 1.3 * size))
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    glyphs = Image.new("L", (right - left + 4, bottom - top + 4), 0)
    ImageDraw.Draw(glyphs).text((2 - left, 2 - top), text, 255, font)
    turned = glyphs.rotate(float(rng.uniform(-12, 12)) if len(text) == 1 else 0.0, expand=True)
    page = Image.new("L", shape[::-1], 0)
    y, x = int(place[0] * shape[0] - turned.height / 2), int(place[1] * shape[1] - turned.width / 2)
    if len(text) > 1:
        y, x = int(place[0] * shape[0]), int(place[1] * shape[1])
    page.paste(turned, (x, y))
    return np.asarray(page) > 127


def ruler(shape: tuple[int, int], step: float, rng: np.random.Generator) -> Mask:
    """(H, W) a scale along the left or the right edge, ticks `step` px apart."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    away = x - 0.15 * step if rng.random() < 0.5 else width - 0.15 * step - x
    tick = (y % step < 0.12 * step) & (away < np.where(y // step % 5 == 0, 0.9, 0.5) * step)
    inside = (y > 0.1 * height) & (y < 0.9 * height) & (away >= 0)
    return np.asarray(inside & (tick | (away < 0.12 * step)))


def wedge(shape: tuple[int, int], step: float, rng: np.random.Generator) -> Plane:
    """(H, W) nats of a staircase of eight aluminium steps of `step` px, along the upper edge or a side."""
    stairs = np.repeat(np.arange(1, 9, dtype=np.float32) * 0.15, max(2, int(step)))[None]
    stairs = np.repeat(stairs, max(2, int(1.2 * step)), 0)
    if rng.random() < 0.5:
        stairs = stairs.T
    nats = np.zeros(shape, np.float32)
    high, wide = (min(n, m - 4) for n, m in zip(stairs.shape, shape, strict=True))
    x = 2 if rng.random() < 0.5 else shape[1] - wide - 2
    nats[2 : 2 + high, x : x + wide] = stairs[:high, :wide]
    return nats


def cassette(shape: tuple[int, int], size: float, rng: np.random.Generator) -> Plane:
    """(H, W) nats of a cassette's rim of `size` px along one side, tilted a little."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    side = rng.integers(3)
    away, along = ((y, x / width), (x, y / height), (width - 1 - x, y / height))[side]
    return np.asarray(1.2 * (away < size * (1 + 0.5 * (along - 0.5))), np.float32)


def tilted_box(shape: tuple[int, int], box: NDArray[np.float64], degrees: float, corners: float) -> Mask:
    """(H, W) inside of a box (x0, y0, x1, y1 px) turned about its middle; corners: share of its sides cut off them."""
    height, width = shape
    y, x = np.mgrid[:height, :width] + 0.5
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    turn = np.deg2rad(degrees)
    u = np.abs((x - middle[0]) * np.cos(turn) + (y - middle[1]) * np.sin(turn)) / half[0]
    v = np.abs((y - middle[1]) * np.cos(turn) - (x - middle[0]) * np.sin(turn)) / half[1]
    return np.asarray((u < 1) & (v < 1) & (u + v < 2 - 2 * corners))


def specks(shown: Plane, count: int, rng: np.random.Generator) -> Plane:
    """The picture (H, W, 0..1) with dust and hairs of a scanner, bright or dark."""
    if count == 0:
        return shown
    height, width = shown.shape
    page = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(page)
    for _ in range(count):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        if rng.random() < 0.8:
            radius = rng.uniform(0.5, 1.8)
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
        else:
            hair = np.cumsum(rng.normal(0, 6, (6, 2)), 0) + np.array([x, y])
            pen.line([tuple(point) for point in hair.tolist()], 255, 1)
    dust = ndimage.gaussian_filter(np.asarray(page, np.float32) / 255, 0.4)
    return np.asarray(shown * (1 - dust) + dust * np.float32(rng.random() < 0.5), np.float32)
