"""How far landmarks lie apart in mm: patches are scaled to fit, so that a child or a wrong spacing shows here alone."""

import numpy as np

from training.metrics import Floats

Range = tuple[float, float]  # (smallest, largest) mm


def extent_mm(points: Floats, pixel_mm: Floats) -> Floats:
    """(N,) root mean square distance in mm of landmarks (N, K, 2) patch px from their centre; pixel_mm: (N, 2).

    NaN where any is: a case without one of its landmarks compares with nothing.
    """
    placed = np.asarray(points, np.float64)[..., :2] * np.asarray(pixel_mm, np.float64)[:, None]
    return np.asarray(np.sqrt(((placed - placed.mean(1, keepdims=True)) ** 2).sum(2).mean(1)))


def seen_range(points: Floats, pixel_mm: Floats, known: Range | None = None) -> Range | None:
    """The range of extents (extent_mm) of these cases, and of `known`; None where there is none of either."""
    extents = extent_mm(points, pixel_mm)
    ends = [*extents[np.isfinite(extents)].tolist(), *(known or ())]
    return (round(min(ends), 2), round(max(ends), 2)) if ends else None


def beyond(extent: float, seen: Range | None) -> bool:
    """Whether an extent is known and lies outside a known range."""
    return seen is not None and bool(extent < seen[0] or extent > seen[1])
