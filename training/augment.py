"""Small geometric changes of silhouettes and their landmarks alike, drawn so that nothing but the seed decides."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ROTATION_RAD = 0.15  # standard deviations at strength 1
LOG_SCALE = 0.05
SHEAR = 0.05
SHIFT = 0.02  # of the patch's size


@dataclass(frozen=True, kw_only=True)
class Affines:
    """Affine maps of N patches about their centre. linear (N, 2, 2) and shift (N, 2) px, float32: old -> new px."""

    linear: Tensor
    shift: Tensor

    def select(self, index: Tensor) -> "Affines":
        """The maps of some of the patches."""
        return Affines(linear=self.linear[index], shift=self.shift[index])


def draw_affines(
    count: int, size: tuple[int, int], strength: float, generator: np.random.Generator
) -> Affines:
    """Random rotation, scale of each axis, shear and shift of `count` patches; strength 0 is the identity."""
    height, width = size
    angle = generator.normal(0, ROTATION_RAD * strength, count)
    scale = np.exp(generator.normal(0, LOG_SCALE * strength, (count, 2)))
    shear = generator.normal(0, SHEAR * strength, count)
    shift = generator.normal(0, SHIFT * strength, (count, 2)) * [width, height]
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    stretch = np.zeros((count, 2, 2))
    stretch[:, 0, 0], stretch[:, 1, 1] = scale.T
    stretch[:, 0, 1] = shear
    linear = torch.as_tensor(rotation @ stretch, dtype=torch.float32)
    return Affines(linear=linear, shift=torch.as_tensor(shift, dtype=torch.float32))


def move(images: Tensor, points: Tensor, affines: Affines) -> tuple[Tensor, Tensor]:
    """(images, points) under the maps: images (N, 1, H, W) float32 in {0, 1}, points (N, K, 2) patch px.

    An image pixel is set where the old silhouette, interpolated at the pixel's origin, is at least half:
    the edge rule of patch.py. What comes from outside the patch is background.
    """
    height, width = images.shape[-2:]
    extent = torch.tensor([width, height], dtype=torch.float32, device=images.device)
    linear, shift = affines.linear.to(images.device), affines.shift.to(images.device)
    moved = (points - extent / 2) @ linear.mT + extent / 2 + shift[:, None]
    back = torch.linalg.inv(linear)
    # grid_sample wants new -> old in units of half the patch (align_corners=False: pixel edges at -1 and 1)
    theta = torch.empty(len(images), 2, 3, device=images.device)
    theta[:, :, :2] = back * extent[None, None, :] / extent[None, :, None]
    theta[:, :, 2] = -(back @ (shift / (extent / 2) * extent)[..., None])[..., 0] / extent
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    sampled = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    return (sampled >= 0.5).float(), moved
