"""How deep landmarks lie beneath the surface at their pixel, and how much of a network's own depth tells more of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.annotation import denormalise_landmark_depth
from training.metrics import Floats

Depths = NDArray[np.float64]
HALF = 0.5  # of two estimates whose errors know nothing of each other


@dataclass(frozen=True, kw_only=True)
class Beneath:
    """Where K landmarks lie: surface + mm + own_share * (the model's own depth - surface); mm None: its own alone."""

    mm: tuple[float | None, ...]
    own_share: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mm) != len(self.own_share) or not set(self.own_share) <= {0.0, HALF, 1.0}:
            raise ValueError(f"beneath: own_share is {self.own_share}; {len(self.mm)} of 0, {HALF} and 1 are needed")

    def depth(self, surface: Floats, own: Floats) -> NDArray[np.float64]:
        """(..., K) mm of landmarks at pixels where the surface is (..., K) mm and the model says (..., K) mm."""
        below = np.array([np.nan if mm is None else mm for mm in self.mm])
        told = surface + below + np.array(self.own_share) * (own - surface)
        return np.where(np.isfinite(told), told, own)

    def sources(self, own: str) -> tuple[str, ...]:
        """(K,) what each depth is told from, as landmarks.csv names it; own: the name of the model's own depth."""
        names = {0.0: "surface", HALF: f"surface+{own}"}
        return tuple(own if mm is None else names[share] for mm, share in zip(self.mm, self.own_share, strict=True))


def surface_mm(depth_mm: Floats, points: Floats) -> NDArray[np.float64]:
    """(N, K) mm of depth maps (N, H, W) at the tissue nearest to `points` (N, K, 2) px; NaN where a point is."""
    rows, cols = nearest_tissue(depth_mm, points)
    unknown = np.where(np.isfinite(points).all(2), 0.0, np.nan)
    return np.asarray(depth_mm[np.arange(len(depth_mm))[:, None], rows, cols] + unknown, np.float64)


def nearest_tissue(depth_mm: Floats, points: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows, columns), each (N, K), of the foreground pixels of depth maps (N, H, W) nearest to `points` (N, K, 2)."""
    size = np.array(depth_mm.shape[2:0:-1])
    at = np.clip(np.nan_to_num(points).astype(np.int64), 0, size - 1)
    rows, cols = np.empty(at.shape[:2], np.int64), np.empty(at.shape[:2], np.int64)
    for n, plane in enumerate(depth_mm):
        nearest = ndimage.distance_transform_edt(plane <= 0, return_distances=False, return_indices=True)
        rows[n], cols[n] = nearest[:, at[n, :, 1], at[n, :, 0]]
    return rows, cols


def beneath_surface(depth_mm: Floats, true_mm: Floats, points: Floats, own: Floats, *, regressed: bool) -> Beneath:
    """How the depths of K landmarks are best told from the surface at their predicted pixels, by N cases.

    depth_mm: (N, H, W) depth maps; true_mm: (N, K) depths of the landmarks in them; points: (N, K, 2) px, predicted
    own: (N, K) depths that the model gives, normalised; regressed: whether it read them off the case
    A regressed depth counts half, or not at all: it was learnt on renderings, the surface is the scan's own. One that
    is a mean counts alone, or not at all. The smaller mean error decides; medians, so that folded parts do not count.
    """
    surface = surface_mm(depth_mm, points)
    own_mm = np.stack([denormalise_landmark_depth(z, plane) for z, plane in zip(own, depth_mm, strict=True)])
    ways = [
        _nearest_way(*both[:, np.isfinite(both).all(0)], regressed=regressed)
        for both in np.stack([np.asarray(true_mm, np.float64), surface, own_mm]).T.swapaxes(1, 2)
    ]
    return Beneath(mm=tuple(mm for mm, _ in ways), own_share=tuple(share for _, share in ways))


def _nearest_way(true: Depths, seen: Depths, said: Depths, *, regressed: bool) -> tuple[float | None, float]:
    """(mm beneath, share of the own depth) of a landmark with the smallest mean error over cases; its own of none."""
    if not len(true):
        return None, 1.0
    found: list[tuple[float, float | None, float]] = []
    for share in (0.0, HALF) if regressed else (0.0,):
        left = true - seen - share * (said - seen)
        median = float(np.median(left))
        found.append((float(np.abs(left - median).mean()), round(median, 3), share))
    if not regressed:
        found.append((float(np.abs(said - true).mean()), None, 1.0))
    return min(found, key=lambda way: way[0])[1:]
