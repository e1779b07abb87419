"""How deep landmarks lie beneath the surface at their pixel, for those of which that tells more than the network."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.data import Patches
from training.held_out import depth_errors
from training.metrics import Floats


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


def beneath_surface(
    depth_mm: Floats, true_mm: Floats, points: Floats, own: Floats, patches: Patches
) -> tuple[float | None, ...]:
    """(K,) mm of landmarks beneath the surface at their predicted pixels: medians, so that folded parts do not count.

    depth_mm: (N, H, W) depth maps; true_mm: (N, K) depths of the landmarks in them; points: (N, K, 2) px, predicted
    own: (N, K) normalised depths that the model gives without this; patches: the N cases, with their depth maps
    None for a landmark whose depth is as near by the model's own, by the mean error over the cases, or never known.
    """
    below = np.asarray(true_mm, np.float64) - surface_mm(depth_mm, points)
    mean_own = depth_errors(own, patches)[1]
    found: list[float | None] = []
    for column, errors in zip(below.T, mean_own.T, strict=True):
        known = np.isfinite(column)
        median = float(np.median(column[known])) if known.any() else 0.0
        better = known.any() and np.abs(column[known] - median).mean() < np.nanmean(errors[known])
        found.append(round(median, 3) if better else None)
    return tuple(found)
