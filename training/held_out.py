"""Errors of a network on patches held out from its training."""

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import Patches, depth_scale
from training.loop import predict
from training.metrics import Floats, errors_px
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


def depth_errors(depth: Floats, patches: Patches, batch: int = 256) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, K) errors of normalised depths (N, K) in units of the patches' normalised depth maps, and in mm.

    NaN where a landmark is not annotated or has no depth. The patches must hold depth maps.
    """
    units, mm = [], []
    for rows in torch.arange(len(patches)).split(batch):
        shown = patches.batch(rows)
        assert shown.depth_mm is not None, "depth is read where it is regressed"
        true = torch.where(patches.valid[rows.to(patches.device)], shown.landmark_depth(), torch.nan)
        error = np.abs(np.asarray(depth, np.float64)[rows.numpy()] - true.double().cpu().numpy())
        units.append(error)
        mm.append(error * depth_scale(shown.depth_mm)[1].flatten(1).double().cpu().numpy())
    return np.concatenate(units), np.concatenate(mm)
