"""Small changes of silhouettes and their landmarks alike, drawn so that nothing but the seed decides them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ROTATION_RAD = 0.15  # standard deviations at strength 1
LOG_SCALE = 0.05  # of each axis before the crop is fitted again
SHEAR = 0.05
JITTER = 0.01  # of the patch's size, after the crop
EDGE_PX = 0.4  # how far the outline wanders, roughly
EDGE_CELL = 6  # px between independent values of that


@dataclass(frozen=True, kw_only=True)
class Warps:
    """How N patches are changed. linear (N, 2, 2), jitter (N, 2) px, edge (N, 1, h, w) px: outline moved outwards."""

    linear: Tensor
    jitter: Tensor
    edge: Tensor

    def select(self, index: Tensor) -> "Warps":
        """The changes of some of the patches."""
        return Warps(linear=self.linear[index], jitter=self.jitter[index], edge=self.edge[index])


def draw_warps(count: int, size: tuple[int, int], strength: float, generator: np.random.Generator) -> Warps:
    """Random rotation, scale of each axis, shear, jitter and wandering outline; strength 0 changes nothing."""
    height, width = size
    angle = generator.normal(0, ROTATION_RAD * strength, count)
    scale = np.exp(generator.normal(0, LOG_SCALE * strength, (count, 2)))
    shear = generator.normal(0, SHEAR * strength, count)
    jitter = generator.normal(0, JITTER * strength, (count, 2)) * [width, height]
    edge = generator.normal(0, EDGE_PX * strength, (count, 1, -(-height // EDGE_CELL), -(-width // EDGE_CELL)))
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    stretch = np.zeros((count, 2, 2))
    stretch[:, 0, 0], stretch[:, 1, 1] = scale.T
    stretch[:, 0, 1] = shear
    return Warps(
        linear=torch.as_tensor(rotation @ stretch, dtype=torch.float32),
        jitter=torch.as_tensor(jitter, dtype=torch.float32),
        edge=torch.as_tensor(edge, dtype=torch.float32),
    )


def warp(images: Tensor, points: Tensor, warps: Warps) -> tuple[Tensor, Tensor]:
    """(images, points) changed: images (N, 1, H, W) float32 in {0, 1}, points (N, K, 2) patch px.

    After the linear map the crop is fitted again, as patch.py would: the silhouette's box keeps its centre and its
    larger side, relative to the patch, so a changed patch is one that a scan could give. Then the jitter.
    An image pixel is set where the old silhouette, interpolated at the pixel's origin, is at least half; what comes
    from outside the patch is background.
    """
    linear, shift = _fitted(images, warps.linear.to(images.device))
    shift = shift + warps.jitter.to(images.device)
    moved = points @ linear.mT + shift[:, None]
    return _resample(images, linear, shift, warps.edge.to(images.device)), moved


def boxes(images: Tensor, linear: Tensor) -> Tensor:
    """(N, 2, 2) lowest and highest x, y of the silhouettes' pixel corners under linear (N, 2, 2).

    An empty silhouette has the whole patch as its box.
    """
    height, width = images.shape[-2:]
    rows = images[:, 0] > 0.5
    rows = rows | ~rows.flatten(1).any(1)[:, None, None]
    columns = torch.arange(width, device=images.device, dtype=torch.float32)
    first = torch.where(rows, columns, torch.inf).amin(2)
    last = torch.where(rows, columns, -torch.inf).amax(2) + 1
    tops = torch.arange(height, device=images.device, dtype=torch.float32).expand_as(first)
    ends = torch.stack([first, last, first, last], 1).flatten(1)
    levels = torch.stack([tops, tops, tops + 1, tops + 1], 1).flatten(1)
    corners = torch.stack([ends, levels], -1)
    filled = ends.isfinite()
    moved = torch.where(filled[..., None], corners, 0.0) @ linear.mT
    low = torch.where(filled[..., None], moved, torch.inf).amin(1)
    high = torch.where(filled[..., None], moved, -torch.inf).amax(1)
    return torch.stack([low, high], 1)


def _fitted(images: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    """(linear (N, 2, 2), shift (N, 2)), old px -> new px, with the crop fitted again after `linear`."""
    extent = torch.tensor([images.shape[-1], images.shape[-2]], dtype=torch.float32, device=images.device)
    before = boxes(images, torch.eye(2, device=images.device).expand(len(images), 2, 2))
    after = boxes(images, linear)
    share_before = ((before[:, 1] - before[:, 0]) / extent).amax(1)
    share_after = ((after[:, 1] - after[:, 0]) / extent).amax(1)
    scale = (share_before / share_after)[:, None]
    return linear * scale[..., None], before.mean(1) - scale * after.mean(1)


def _resample(images: Tensor, linear: Tensor, shift: Tensor, edge: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    half = torch.tensor([width, height], dtype=torch.float32, device=images.device) / 2
    # grid_sample wants new -> old in units of half the patch, from the centre (align_corners=False)
    back = torch.linalg.inv(linear)
    middle = (back @ (half - shift)[..., None])[..., 0] - half
    theta = torch.cat([back * half / half[:, None], (middle / half)[..., None]], 2)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    blurred = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=True)
    wander = functional.interpolate(edge, (height, width), mode="bilinear", align_corners=False)
    quiet = edge.abs().amax((1, 2, 3), keepdim=True) == 0
    source = torch.where(quiet, images, blurred)  # the blurred edge climbs 1/3 per px: a threshold moves it
    sampled = functional.grid_sample(source, grid, mode="bilinear", align_corners=False)
    return (sampled + wander / 3 >= 0.5 - 1e-4).float()
