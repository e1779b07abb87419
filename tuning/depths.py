"""The third coordinate of landmarks found in a silhouette, by several methods, from the study's depth and thickness.

Each but the regressed one is base + factor * span: base and span are read off a case at a landmark's pixel, and the
factor of each landmark is learnt by least squares on the training cases of a fold, at their annotated pixels (those of
the network, where its depth is part of the base).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import Floats
from training.surface import nearest_tissue
from tuning.baselines import mean_depth_errors_mm
from tuning.cases import Cases, Errors
from tuning.folds import Fold

Read = tuple[NDArray[np.float64], NDArray[np.float64]]  # (base, span), each (N, K) mm

MEAN, SURFACE, THICKNESS = "mean depth", "surface", "surface + fraction of thickness"
LATERAL, REGRESSED, BOTH = "lateral silhouette", "regressed", "surface and regressed, half each"


def depth_errors_mm(
    cases: Cases, folds: Sequence[Fold], points: Floats, regressed: Floats | None
) -> dict[str, NDArray[np.float64]]:
    """Name of a method -> (N, K) mm by which it misses the annotated depths, NaN where unknown. {} without depth.

    points: (N, K, 2) px where each case's landmarks are looked for, predicted out of fold
    regressed: (N, K) normalised depths of that network, None where it has none

    "surface": the first tissue at the pixel plus a learnt mm per landmark. "surface + fraction of thickness": a learnt
    share of the way from skin to skin. "lateral silhouette": a learnt share of the way through the side view's
    silhouette in the landmark's row; a study holds no side view, so it is put together from depth and thickness, in
    which a gap between two parts of the body (an arm above the belly) counts as tissue. "surface and regressed, half
    each": their mean, plus a learnt mm per landmark.
    """
    if not np.isfinite(cases.depths()).any():
        return {}
    errors = {MEAN: mean_depth_errors_mm(cases, folds)}
    true = np.asarray(cases.samples.landmarks[:, :, 2], np.float64)
    looked_for = readings(cases, points)
    for name, annotated in readings(cases, cases.points).items():
        errors[name] = _errors(folds, true, annotated, looked_for[name])
    if regressed is not None and np.isfinite(regressed).any():
        errors[REGRESSED] = cases.depth_errors_mm(regressed)
        means, deviations = cases.depth_scales()
        surface, one = looked_for[SURFACE]
        both = (surface + regressed * deviations[:, None] + means[:, None]) / 2, one
        errors[BOTH] = _errors(folds, true, both, both)
    return errors


def readings(cases: Cases, points: Floats) -> dict[str, Read]:
    """Name of a method -> (base, span), each (N, K) mm, at the tissue nearest to `points` (N, K, 2) px.

    NaN where a point is. Without thickness there is the surface alone.
    """
    depth_mm, thickness_mm = cases.samples.depth_mm, cases.samples.thickness_mm
    assert depth_mm is not None
    rows, cols = nearest_tissue(depth_mm, points)
    case = np.arange(len(cases))[:, None]
    unknown = np.where(np.isfinite(points).all(2), 0.0, np.nan)
    surface = depth_mm[case, rows, cols] + unknown
    found = {SURFACE: (surface, np.ones_like(surface))}
    if thickness_mm is not None:
        found[THICKNESS] = (surface, thickness_mm[case, rows, cols] + unknown)
        front, back = side_view(depth_mm, thickness_mm)
        found[LATERAL] = (front[case, rows] + unknown, (back - front)[case, rows])
    return found


def side_view(depth_mm: Floats, thickness_mm: Floats) -> tuple[Errors, Errors]:
    """(front, back), each (N, H) mm: where the lateral silhouette begins and ends in each row; NaN in an empty row."""
    tissue = depth_mm > 0
    front = np.where(tissue, depth_mm, np.inf).min(2)
    back = np.where(tissue, np.asarray(depth_mm, np.float64) + thickness_mm, -np.inf).max(2)
    empty = ~tissue.any(2)
    return np.where(empty, np.nan, front), np.where(empty, np.nan, back)


def _errors(folds: Sequence[Fold], true: Errors, annotated: Read, looked_for: Read) -> Errors:
    """(N, K) mm off: a factor per landmark from the training cases' annotated pixels, at the pixels looked for."""
    errors = np.full(true.shape, np.nan)
    for fold in folds:
        base, span, depth = annotated[0][fold.train], annotated[1][fold.train], true[fold.train]
        known = np.isfinite(base + span + depth)
        along = np.where(known, span * (depth - base), 0).sum(0)
        square = np.where(known, span**2, 0).sum(0)
        factor = np.divide(along, square, out=np.full(square.shape, np.nan), where=square > 0)
        guess = looked_for[0][fold.test] + factor * looked_for[1][fold.test]
        errors[fold.test] = np.abs(guess - true[fold.test])
    return errors
