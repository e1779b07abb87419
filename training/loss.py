"""The loss of one landmark, in units of the network's training target."""

from typing import Literal

import torch
from torch import Tensor

from training.models import Output

Loss = Literal["l2", "l1", "nll"]
LEAST_VARIANCE_PX2 = 0.01  # keeps the likelihood of a heatmap in a single cell finite


def landmark_losses(
    output: Output, points: Tensor, unit: Tensor, *, loss: Loss, spread_px: float, spread_weight: float
) -> Tensor:
    """(N, K) losses, summed over a landmark's two outputs.

    points: (N, K, 2) true patch px. unit: (2,) patch px per target unit. The spread term draws the heatmap's standard
    deviation along each axis to spread_px; it and "nll" need a network with a covariance.
    """
    residual = (output.points - points) / unit
    if output.covariance is None:
        assert loss != "nll" and spread_weight == 0, "the recipe is checked against the network"
        return (residual**2).sum(-1) if loss == "l2" else residual.abs().sum(-1)
    if loss == "nll":
        losses = negative_log_likelihood(output.points - points, output.covariance)
    else:
        losses = (residual**2).sum(-1) if loss == "l2" else residual.abs().sum(-1)
    if spread_weight > 0:
        spread = output.covariance.diagonal(dim1=-2, dim2=-1).clamp_min(LEAST_VARIANCE_PX2).sqrt()
        losses = losses + spread_weight * (spread - spread_px).abs().sum(-1)
    return losses


def depth_losses(depth: Tensor, true: Tensor, *, loss: Loss) -> Tensor:
    """(N, K) losses of normalised depths (N, K), 0 where the truth is NaN: squared for "l2", else absolute."""
    known = true.isfinite()
    residual = torch.where(known, depth - true, 0.0)
    return residual**2 if loss == "l2" else residual.abs()


def negative_log_likelihood(residual: Tensor, covariance: Tensor) -> Tensor:
    """(...) of residuals (..., 2) px under normal distributions of covariance (..., 2, 2) px^2, without constants."""
    xx = covariance[..., 0, 0] + LEAST_VARIANCE_PX2
    yy = covariance[..., 1, 1] + LEAST_VARIANCE_PX2
    xy = covariance[..., 0, 1]
    determinant = (xx * yy - xy**2).clamp_min(LEAST_VARIANCE_PX2**2)
    x, y = residual.unbind(-1)
    distance = (yy * x**2 - 2 * xy * x * y + xx * y**2) / determinant
    return 0.5 * (distance + torch.log(determinant))
