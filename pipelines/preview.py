"""A case in a terminal: its silhouette in half blocks, its landmarks numbered, and a legend."""

import os
import shutil
import string
import sys
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synth.domain.patch import silhouette_box
from synth.domain.study import Prepared
from training.predict import CasePrediction

BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
MARKS = string.digits[1:] + string.ascii_letters
TISSUE = 250  # of the 256 colours of terminals, as are those of the landmarks
COLOURS = (196, 46, 39, 226, 201, 51, 208, 118, 141)
BESIDE = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1))  # where a mark goes whose cell is taken
MOST_COLUMNS, LEAST_LINES, MOST_LINES = 100, 22, 48  # of a silhouette


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What is drawn on: characters across and down, and whether in colours."""

    columns: int
    lines: int
    colours: bool


def screen_of(stream_name: str = "stdout") -> Screen:
    """The screen behind sys.stdout or sys.stderr; no colours where that is no terminal or NO_COLOR is set."""
    size = shutil.get_terminal_size((100, 50))
    colours = getattr(sys, stream_name).isatty() and not os.environ.get("NO_COLOR")
    return Screen(columns=size.columns, lines=size.lines, colours=colours)


def preview(case: str, prepared: Prepared, predicted: CasePrediction, screen: Screen) -> str:
    """Lines of text that show the silhouette as it lies in the scan, placed landmarks as numbers, and a legend."""
    box = silhouette_box(prepared.source.silhouette)
    mask, scale = _shrunk(prepared.source.silhouette, box, screen, len(predicted.status))
    cells = np.array([[BLOCKS[top, low] for top, low in zip(*pair, strict=True)] for pair in _pairs(mask)])
    owners = np.full(cells.shape, -1)
    for k in np.flatnonzero(predicted.trusted):
        x, y = (predicted.source[k] - box[:2]) * scale
        if (cell := _free(owners, int(y // 2), int(x))) is not None:
            cells[cell], owners[cell] = MARKS[k], k
    lines = [_line(*row, screen.colours) for row in zip(cells, owners, strict=True)]
    legend = [_legend(predicted, k, screen.colours) for k in range(len(predicted.status))]
    return "\n".join([case, *lines, *legend]) + "\n"


def _shrunk(
    silhouette: NDArray[np.bool_], box: NDArray[np.float64], screen: Screen, num_landmarks: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(what lies in the box, as many pixels across as columns and two a line; (x, y) screen px per source px)."""
    left, top, right, bottom = box.astype(int)
    lines = min(MOST_LINES, max(LEAST_LINES, screen.lines - num_landmarks - 3))
    across, down = min(screen.columns - 1, MOST_COLUMNS), 2 * lines
    factor = min(across / (right - left), down / (bottom - top))
    size = max(1, round((right - left) * factor)), max(2, 2 * round((bottom - top) * factor / 2))
    part = Image.fromarray(silhouette[top:bottom, left:right].astype(np.uint8) * 255)
    small = np.asarray(part.resize(size, Image.Resampling.BOX))
    return small > 127, np.array(size) / [right - left, bottom - top]


def _pairs(mask: NDArray[np.bool_]) -> zip:  # type: ignore[type-arg]
    """The upper and lower row of pixels of each line."""
    return zip(mask[::2].tolist(), mask[1::2].tolist(), strict=True)


def _free(owners: NDArray[np.int_], line: int, column: int) -> tuple[int, int] | None:
    """The cell nearest to a place that no landmark has, None where the place is off the screen or all are taken."""
    for down, across in BESIDE:
        cell = line + down, column + across
        if 0 <= cell[0] < owners.shape[0] and 0 <= cell[1] < owners.shape[1] and owners[cell] < 0:
            return cell
    return None


def _line(cells: NDArray[np.str_], owners: NDArray[np.int_], colours: bool) -> str:
    """A line of cells as text; with colours, each stretch of one kind in its own."""
    if not colours:
        return "".join(cells).rstrip()
    parts = []
    for owner, stretch in groupby(zip(owners.tolist(), cells.tolist(), strict=True), key=lambda pair: pair[0]):
        text = "".join(cell for _, cell in stretch)
        parts.append(f"\x1b[38;5;{TISSUE}m{text}\x1b[0m" if owner < 0 else _marked(text, owner))
    return "".join(parts)


def _marked(text: str, k: int) -> str:
    """Black on the colour of the k-th landmark."""
    return f"\x1b[1;38;5;16;48;5;{COLOURS[k % len(COLOURS)]}m{text}\x1b[0m"


def _legend(predicted: CasePrediction, k: int, colours: bool) -> str:
    """The k-th landmark: its mark, name and place; its status where it was not placed."""
    width = max(map(len, predicted.anatomy.names))
    head = f"{_marked(MARKS[k], k) if colours else MARKS[k]} {predicted.anatomy.names[k].ljust(width)}"
    if predicted.status[k] != "ok":
        return f"{head}  {predicted.status[k]}"
    mm = predicted.patient_mm[k]
    known = mm[np.isfinite(mm)]
    place = ", ".join(f"{value:.1f}" for value in (known if known.size else predicted.source[k]))
    radius = predicted.radius90_mm[k]
    within = f" ± {radius:.1f} mm (9 of 10)" if np.isfinite(radius) else ""
    return f"{head}  ({place}) {'mm' if known.size else 'px'}{within}"
