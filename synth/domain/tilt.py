"""How a couch is tilted against the axis of the scan, from where tissue ends towards the back."""

import numpy as np
from numpy.typing import NDArray

from synth.domain.cells import Mask, last_rows

EVERY_MM = 4.0  # slices looked at lie so far apart
STEEPEST = 0.09  # 5 degrees
AGREE = 0.5  # share of columns whose back must move alike for it to be that of a couch


def places_of(above: Mask, spacing_mm: tuple[float, float, float], window_mm: float) -> NDArray[np.intp]:
    """(Z,) whole voxels >= 0 to move slices of tissue (Z, Y, X) towards the back, so that a tilted couch is level.

    All 0 where the couch is level to half a voxel over `window_mm`, where there is none, or where the scan is shorter.
    """
    count = len(above)
    every = max(1, round(EVERY_MM / spacing_mm[2]))
    lag = round(window_mm / spacing_mm[2] / every)
    level = np.zeros(count, np.intp)
    samples = above[::every]
    if len(samples) <= lag:
        return level
    last = np.stack([last_rows(part) for part in samples])
    both = (last[lag:] >= 0) & (last[:-lag] >= 0)
    moved = (last[lag:] - last[:-lag])[both]
    moved = moved[np.abs(moved) <= STEEPEST * window_mm / spacing_mm[1]]
    if moved.size == 0 or moved.size < AGREE * both.sum():
        return level
    usual = np.bincount(moved - moved.min()).argmax() + moved.min()
    alike = np.abs(moved - usual) <= 1
    drift = float(moved[alike].mean())
    if alike.sum() < AGREE * both.sum() or abs(drift) < 0.5:
        return level
    places = np.rint(-drift / (lag * every) * np.arange(count)).astype(np.intp)
    return np.asarray(places - places.min())
