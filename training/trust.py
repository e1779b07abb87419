"""Whether a patch is anything like what a network has learnt from: one linear score of what the network makes of it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from training.data import Batch
from training.models import LandmarkNet

Features = NDArray[np.float64]
FARTHEST = 8.0  # deviations: beyond it a feature says no more


@dataclass(frozen=True, kw_only=True)
class Trust:
    """A linear classifier of features, sound against broken inputs; see trust_learning.py.

    mean, deviation: (F,) of the features of sound inputs; weights: (F,) of the features in those deviations
    limit: an input whose score lies above it is not to be trusted
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    weights: tuple[float, ...]
    limit: float

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.deviation) == len(self.weights):
            lengths = f"{len(self.mean)}, {len(self.deviation)}, {len(self.weights)}"
            raise ValueError(f"trust: mean, deviation, weights have {lengths} values; they must have as many")

    def scores(self, features: Features) -> Features:
        """(N,) how far inputs with features (N, F) lie on the side of broken ones."""
        values = scaled(features, np.array(self.mean), np.array(self.deviation))
        return np.asarray(values @ np.array(self.weights))

    def doubts(self, model: LandmarkNet, batch: Batch) -> NDArray[np.bool_]:
        """(N,) whether inputs are not to be trusted."""
        return np.asarray(self.scores(describe(model, batch)) > self.limit)


def scaled(features: Features, mean: Features, deviation: Features) -> Features:
    """(N, F) features in deviations from the mean, no more than FARTHEST."""
    return np.asarray(np.clip((features - mean) / deviation, -FARTHEST, FARTHEST))


def describe(model: LandmarkNet, batch: Batch) -> Features:
    """(N, F) what the model makes of N patches: its summary of the whole, its landmarks, how sharp and how far inside.

    Landmarks in shares of the patch; logarithms of the heatmaps' deviations, where there are any; square roots of the
    distances to the outline in px, negative within the tissue.
    """
    training = model.training
    model.eval()
    with torch.no_grad():
        images = batch.channels(model.inputs)
        summary, output = model.summary(images), model(images)
    model.train(training)
    height, width = images.shape[-2:]
    points = output.points.cpu()
    shares = points / torch.tensor([width, height])
    parts = [summary, shares.flatten(1), torch.as_tensor(_beyond(batch, points.numpy()))]
    if output.covariance is not None:
        parts.append(output.covariance.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(1e-6).log() / 2)
    return torch.cat([part.double().cpu() for part in parts], 1).numpy()


def _beyond(batch: Batch, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, K) signed root of the distance in px from points to the silhouette's outline, positive outside."""
    masks = batch.silhouette[:, 0].cpu().numpy() > 0.5
    height, width = masks.shape[1:]
    cells = np.clip(np.floor(points[..., ::-1]), 0, [height - 1, width - 1]).astype(int)
    found = np.empty(points.shape[:2], np.float32)
    for row, (mask, cell) in enumerate(zip(masks, cells, strict=True)):
        far = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
        found[row] = far[cell[:, 0], cell[:, 1]]
    return np.asarray(np.sign(found) * np.sqrt(np.abs(found)))
