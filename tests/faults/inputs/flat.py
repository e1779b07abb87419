"""Photographs and exported radiographs: PNG, JPEG, MetaImage in 2D."""

# ruff: noqa: E501  a table of inputs

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from tests.faults.inputs.shapes import Input, pixels
from tests.faults.inputs.volumes import meta


def saved(
    image: Callable[[], PIL.Image.Image], name: str = "a.png", change: Callable[[bytes], bytes] = bytes, **how: object
) -> Callable[[Path], Path]:
    """Writes an image with PIL, its bytes changed."""

    def make(folder: Path) -> Path:
        path = folder / name
        image().save(path, **how)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def grey() -> PIL.Image.Image:
    """The hand in 8 bits."""
    return PIL.Image.fromarray(pixels())


def deep() -> PIL.Image.Image:
    """The hand in 16 bits."""
    return PIL.Image.fromarray(pixels().astype(np.uint16) * 200)


def rotated() -> PIL.Image.Image:
    """The hand with a tag that says to turn it."""
    made = grey()
    made.getexif()[274] = 6
    return made


def png(rows: bytes, width: int, height: int, interlace: int = 0) -> bytes:
    """An 8-bit grey PNG of filtered rows."""
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, interlace)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data


def interlaced(image: NDArray[np.uint8]) -> bytes:
    """A PNG in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    parts = [image[y::down, x::across] for y, x, down, across in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    return png(rows, image.shape[1], image.shape[0], 1)


def written(data: bytes, name: str = "a.png") -> Callable[[Path], Path]:
    """Writes bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


FLAT_META = {
    "NDims": "2",
    "TransformMatrix": "1 0 0 1",
    "Offset": "0 0",
    "DimSize": "30 40",
    "ElementType": "MET_UCHAR",
}
INPUTS = (
    Input(given="PNG, 8 bits", make=saved(grey)),
    Input(given="PNG, 16 bits", make=saved(deep)),
    Input(given="PNG, 1 bit", make=saved(lambda: grey().point(lambda v: 255 * (v > 100), "1"))),
    Input(given="PNG, a dark hand on a bright ground", make=saved(lambda: grey().point(lambda v: 255 - v))),
    Input(given="PNG, interlaced", make=written(interlaced(pixels()))),
    Input(given="PNG with transparency", make=saved(lambda: grey().convert("LA")), told="is LA, not grey"),
    Input(given="PNG in colour", make=saved(lambda: grey().convert("RGB")), told="is RGB, not grey"),
    Input(given="PNG with a palette", make=saved(lambda: grey().convert("P")), told="is P, not grey"),
    Input(given="PNG, truncated", make=saved(grey, change=lambda data: data[:90]), told="cannot be read"),
    Input(given="PNG with a flipped byte", make=saved(grey, change=lambda d: d[:60] + b"\7" + d[61:]), told="cannot be read"),
    Input(given="PNG that claims 60,000 × 60,000 pixels", make=written(png(b"\0", 60_000, 60_000)), told="claims more pixels"),
    Input(given="PNG, empty file", make=written(b""), told="is empty"),
    Input(given="PNG, text", make=written(b"not an image"), told="cannot be read"),
    Input(given="PNG, the same value everywhere", make=saved(lambda: PIL.Image.new("L", (30, 40), 7)), told="every value is 7"),
    Input(given="PNG, one row", make=saved(lambda: PIL.Image.new("L", (30, 1), 7)), told="at least 2 along each axis"),
    Input(given="JPEG", make=saved(grey, "a.jpg", quality=95)),
    Input(given="JPEG with a rotation in its EXIF", make=saved(rotated, "a.jpg", exif=rotated().getexif()), told="save it upright"),
    Input(given="JPEG, CMYK", make=saved(lambda: grey().convert("CMYK"), "a.jpg"), told="is CMYK, not grey"),
    Input(given="JPEG, truncated", make=saved(grey, "a.jpg", lambda data: data[:-200]), told="cannot be read"),
    Input(given="JPEG called .png", make=saved(grey, "a.png", format="JPEG"), told="cannot be read"),
    Input(given="TIFF called .png", make=saved(grey, "a.png", format="TIFF"), told="cannot be read"),
    Input(given="TIFF", make=saved(grey, "a.tif"), told="unknown extension"),
    Input(given="PDF", make=saved(grey, "a.pdf"), told="unknown extension"),
    Input(given="MetaImage, 2D, with spacing", make=meta(data=pixels().tobytes(), **FLAT_META, ElementSpacing="0.5 0.5")),
    Input(given="MetaImage, 2D, pixel of 0 mm", make=meta(data=pixels().tobytes(), **FLAT_META, ElementSpacing="0 0.5"),
          told="allowed: above 0"),
)  # fmt: skip
