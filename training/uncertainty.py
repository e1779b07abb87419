"""How far off a prediction may be: the error expected of it, and the radii that a study has calibrated."""

import numpy as np
from numpy.typing import NDArray

from training.checkpoint import ModelCard

Errors = NDArray[np.float64]


def expected_error(card: ModelCard, sigma: Errors) -> Errors:
    """(..., K) error along one axis in patch px that is expected of predictions whose heatmaps deviate by `sigma`.

    The heatmap's deviation times its measured factor; for a network without, the one figure of held-out patches, NaN
    where none was measured.
    """
    if np.isfinite(sigma).all() and card.sigma_scale is not None:
        return np.asarray(sigma * np.array([np.nan if v is None else v for v in card.sigma_scale]))
    known = np.full(sigma.shape[-1], np.nan) if card.sigma_px is None else np.array(card.sigma_px)
    return np.broadcast_to(known, sigma.shape)


def radii_mm(card: ModelCard, sigma_mm: Errors, pixel_mm: float) -> tuple[Errors, Errors]:
    """((K,) radius of each landmark by itself, (K,) radii that hold all together), mm; NaN where not calibrated.

    sigma_mm: (K,) expected errors of the case; pixel_mm: its patch pixel, NaN where unknown
    """
    conformal = card.conformal
    unit = {"sigma": sigma_mm, "mm": np.ones_like(sigma_mm), "patch_px": np.full_like(sigma_mm, pixel_mm)}
    radii = conformal.radii or (None,) * card.anatomy.num_landmarks
    each = np.array([np.nan if v is None else v for v in radii])
    together = np.nan if conformal.simultaneous is None else conformal.simultaneous
    return each * unit[conformal.unit], together * unit[conformal.unit]
