"""Errors of a network on patches held out from its training."""

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import Patches
from training.loop import predict
from training.metrics import errors_px
from training.models import LandmarkNet


def held_out_error(model: LandmarkNet, patches: Patches, rank: int = 0, world: int = 1) -> float:
    """Mean error in patch px over held-out patches, each worker taking its share of them."""
    mine = patches.select(torch.arange(rank, len(patches), world))
    errors = _errors(model, mine)
    sums = torch.tensor([np.nansum(errors), np.isfinite(errors).sum()], dtype=torch.float64)
    if world > 1:
        sums = sums.to(patches.packed.device)
        torch.distributed.all_reduce(sums)
    return float(sums[0] / sums[1]) if sums[1] > 0 else float("nan")


def _errors(model: LandmarkNet, patches: Patches) -> NDArray[np.float64]:
    return errors_px(predict(model, patches).points, true_points(patches))


def true_points(patches: Patches) -> NDArray[np.float32]:
    """(N, K, 2) float32 patch px on the host, NaN where not annotated."""
    return torch.where(patches.valid[..., None], patches.points, torch.nan).cpu().numpy()
