"""One body for every input: as voxels, as pixels, and as what must be seen of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.domain.projection import Volume, project
from synth.domain.radiograph import Image, outline

SPACING = 2.0
ORIGIN = (-30.0, -20.0, 100.0)  # LPS mm of the first voxel


@dataclass(frozen=True, kw_only=True)
class Input:
    """One thing that a person may give.

    given: in words; make: writes it into an empty folder, and returns its path
    told: words of the one line that refuses it; "" where it must give the right silhouette
    notes: words that must be noted where it is read
    series: what --series says; None: it is left out
    """

    given: str
    make: Callable[[Path], Path]
    told: str = ""
    notes: str = ""
    series: str | None = None


def voxels() -> NDArray[np.int16]:
    """(24, 20, 30) a lopsided body in CT numbers, so that every flip and permutation shows."""
    made = np.full((24, 20, 30), -1000, np.int16)
    made[3:20, 6:14, 8:22] = 40
    made[16:20, 6:9, 22:28] = 60
    return made


def pixels() -> NDArray[np.uint8]:
    """(40, 30) a lopsided hand, bright on dark."""
    made = np.full((40, 30), 10, np.uint8)
    made[12:38, 8:22] = 200
    made[14:18, 22:28] = 180
    return made


def seen(scan: Image | Volume) -> NDArray[np.bool_]:
    """The silhouette of a scan; a volume's on a grid of 2 mm in the patient, so that it does not depend on storage.

    Where a file does not say where it lies, the grid begins at the first voxel.
    """
    if isinstance(scan, Image):
        return outline(scan).silhouette
    view = project(scan)
    origin = scan.index_to_patient[:, 3] if any("axes point" in note for note in scan.notes) else np.array(ORIGIN)
    x = origin[0] + SPACING * np.arange(30)
    z = origin[2] + SPACING * np.arange(23, -1, -1)
    col = np.floor((x - view.to_patient[0, 3]) / view.to_patient[0, 0]).astype(int)
    row = np.floor((z - view.to_patient[2, 3]) / view.to_patient[2, 1]).astype(int)
    height, width = view.silhouette.shape
    inside = np.ix_((row >= 0) & (row < height), (col >= 0) & (col < width))
    found = np.zeros((24, 30), bool)
    found[inside] = view.silhouette[np.ix_(row[(row >= 0) & (row < height)], col[(col >= 0) & (col < width)])]
    return found


def right(scan: Image | Volume) -> NDArray[np.bool_]:
    """What must be seen of it."""
    return pixels() > 100 if isinstance(scan, Image) else (voxels() > -400).any(1)[::-1]
