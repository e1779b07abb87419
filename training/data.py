"""Patches resident on one device as packed bits, and the plan that says which sample is in which step."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.domain.anatomy import Anatomy
from synth.domain.schema import Samples


@dataclass(frozen=True, kw_only=True)
class Patches:
    """N silhouettes and their landmarks on one device.

    size: (height, width) of a patch
    packed: (N, bytes) uint8, as in the shards: most significant bit first
    points: (N, K, 2) float32 patch px; 0 where not annotated
    valid: (N, K) bool, whether a landmark is annotated
    sample_id: (N,) int64
    """

    size: tuple[int, int]
    packed: Tensor
    points: Tensor
    valid: Tensor
    sample_id: Tensor

    @classmethod
    def from_samples(cls, samples: Samples, anatomy: Anatomy, device: torch.device | str = "cpu") -> "Patches":
        """The samples as tensors on `device`."""
        points = torch.as_tensor(samples.landmarks[:, :, :2], dtype=torch.float32)
        valid = points.isfinite().all(-1)
        return cls(
            size=anatomy.size,
            packed=torch.tensor(samples.packed, device=device),
            points=torch.where(valid[..., None], points, 0.0).to(device),
            valid=valid.to(device),
            sample_id=torch.tensor(samples.sample_id, device=device),
        )

    def __len__(self) -> int:
        return len(self.packed)

    def images(self, index: Tensor) -> Tensor:
        """(n, 1, H, W) float32 in {0, 1}: the silhouettes of the given rows, unpacked on the device."""
        height, width = self.size
        rows = self.packed[index.to(self.packed.device)]
        shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=rows.device)
        bits = (rows[..., None] >> shifts) & 1
        return bits.flatten(1)[:, : height * width].view(-1, 1, height, width).float()

    def select(self, index: Tensor) -> "Patches":
        """Some of the patches, in the order of `index` (positions or a boolean mask)."""
        index = index.to(self.packed.device)
        return Patches(
            size=self.size,
            packed=self.packed[index],
            points=self.points[index],
            valid=self.valid[index],
            sample_id=self.sample_id[index],
        )


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """(count,) permutation: the order in which an epoch visits the samples. Step s takes batch s of it."""
    return np.random.default_rng([seed, epoch]).permutation(count)
