"""The air around a hand in a flat image: a smooth surface of what would be seen without the hand, and its noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

POINTS = 20_000  # pixels that the surface is fitted to, at most
ROUNDS = 12
BAND = 0.04  # of the field's size along its edge, where air is looked for first
WIDE = 4.685  # deviations beyond which a pixel does not count (Tukey's biweight)
NEAR = 0.03  # of the picture's size: how far air tells of the air beside it
FAINT = np.float32(0.02)  # share of air near by with which the surface of all air counts
SMOOTH_PX = 1.0

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]


def air_of(pixels: Plane, field: Mask) -> tuple[Plane, float]:
    """(surface (H, W), deviation of the air around it), from the pixels of the field.

    A polynomial of second degree, fitted robustly from the field's rim inwards: an uneven beam adds to what the
    logarithmic curve of a detector shows, so it can be taken away.
    """
    powers = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in pixels.shape)
    size = max(2, int(BAND * max(pixels.shape)))
    rim = field & ~ndimage.binary_erosion(field, np.ones((3, 3)), iterations=size)
    rows, cols = np.nonzero(field)
    every = max(1, len(rows) // POINTS)
    rows, cols = rows[::every], cols[::every]
    columns = np.stack([y[rows] ** i * x[cols] ** j for i, j in powers], 1).astype(np.float64)
    values = pixels[rows, cols].astype(np.float64)
    start = float(np.median(pixels[rim]))
    spread = float(np.ptp(np.percentile(pixels[field], (1, 99))))
    deviation = min(1.4826 * float(np.median(np.abs(pixels[rim] - start))), 0.1 * spread)
    floor = max(1e-3 * spread, 1e-6)
    surface = np.full(len(rows), start)
    weight = np.zeros(len(rows))
    for _ in range(ROUNDS):
        scale = max(deviation, floor)
        weight = np.clip(1 - ((values - surface) / (WIDE * scale)) ** 2, 0, None) ** 2
        root = np.sqrt(weight)
        factors = np.linalg.lstsq(columns * root[:, None], values * root, rcond=None)[0]
        surface = columns @ factors
        near = np.abs(values - surface) < 2.5 * scale
        deviation = 1.4826 * float(np.median(np.abs(values - surface)[near])) if near.any() else scale
    whole = sum(f * y[:, None] ** i * x[None] ** j for f, (i, j) in zip(factors, powers, strict=True))
    return np.asarray(whole, np.float32), max(deviation, floor)


def nearby_air(pixels: Plane, surface: Plane, air: Mask, deviation: float) -> tuple[Plane, Plane]:
    """(surface, deviation) (H, W) as the air near each pixel says; far from any air they stay what they were."""
    size = NEAR * max(pixels.shape)
    off = np.where(air, smoothed(pixels - surface, SMOOTH_PX), 0).astype(np.float32)
    weight = smoothed(air, size) + FAINT
    moved = smoothed(off, size) / weight
    spread = (smoothed(off * off, size) + FAINT * np.float32(deviation) ** 2) / weight
    return surface + moved, np.sqrt(np.maximum(spread - moved * moved, 0))


def smoothed(pixels: NDArray[Any], deviation_px: float) -> Plane:
    """(H, W) float32 pixels under a Gaussian."""
    return np.asarray(ndimage.gaussian_filter(np.asarray(pixels, np.float32), deviation_px, truncate=3), np.float32)
