"""Changes of patches and their landmarks alike, drawn so that nothing but the seed decides them.

A subject is turned and stretched, something lies on it, a scan sees part of it, and the crop is made again as patch.py
would make it from that scan.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from synth.domain.anatomy import BODY
from synth.domain.patch import Crop
from training.artefacts import Artefacts, draw_artefacts, fill, fray, lay_on, place_bags, under_bag
from training.data import Batch, Patches
from training.views import Views, draw_fields, outside, windows

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


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All that is done to N patches.

    limits: (N, 4) x0, y0, x1, y1 of the field of view in px after `warps.linear`, before the crop; None: no limits
    artefacts: None where there are none. unseen: (N, K) bool, landmarks outside the field of view or under a bag
    """

    warps: Warps
    unseen: Tensor
    limits: Tensor | None = None
    artefacts: Artefacts | None = None

    def select(self, index: Tensor) -> "Changes":
        """The changes of some of the patches."""
        return Changes(
            warps=self.warps.select(index),
            unseen=self.unseen[index.to(self.unseen.device)],
            limits=None if self.limits is None else self.limits[index.to(self.limits.device)],
            artefacts=None if self.artefacts is None else self.artefacts.select(index),
        )

    def outwards(self, device: torch.device) -> Tensor:
        """(N, 1, h, w) px by which the outline is moved outwards."""
        edge = self.warps.edge.to(device)
        return edge if self.artefacts is None else edge + self.artefacts.threshold_px.to(device)[:, None, None, None]


def draw_changes(
    patches: Patches, rows: Tensor, strength: float, views: Views, generator: np.random.Generator
) -> Changes:
    """What is done to the patches of `rows`: warps of that strength, fields of view and artefacts by `views`.

    Raises: ValueError where views are of another anatomy than the patches.
    """
    warps = draw_warps(len(rows), patches.size, strength, generator)
    rows = rows.to(patches.points.device)
    points = patches.points[rows]
    unseen = torch.zeros(points.shape[:2], dtype=torch.bool, device=points.device)
    if not views.changes:
        return Changes(warps=warps, unseen=unseen)
    guides = patches.guide_points(rows)
    if views.body_only and guides.shape[1] != BODY.num_landmarks:
        raise ValueError(f"train.views: {', '.join(views.body_only)} are for bodies; these are none")
    known = guides.isfinite().all(2)
    seen, artefacts = (
        draw_fields(len(rows), views, generator),
        draw_artefacts(len(rows), patches.size, views, generator),
    )
    place_bags(artefacts, guides, patches.size[0])
    guides = torch.nan_to_num(guides)
    limits = None
    if bool(seen.cut.any()):
        linear = warps.linear.to(points.device)
        limits = windows(seen, guides @ linear.mT, known, patches.spacing(rows), patches.size)
        unseen |= outside(points @ linear.mT, limits)
    unseen |= under_bag(points, artefacts.bag.to(points.device), patches.size[1])
    return Changes(warps=warps, unseen=unseen, limits=limits, artefacts=artefacts)


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


def change(batch: Batch, changes: Changes, crop: Crop) -> Batch:
    """The batch changed, silhouette, depth, observed mask and points together.

    After linear map and field of view the crop is made again, as patch.py would: with `crop.fit` what is left fills as
    much of the patch as the subject did before, with `crop.pixel_mm` it keeps its scale; its box is centred where it
    was. Then the jitter. A pixel of tissue is one where the old silhouette, interpolated at its centre, is at least
    half; what comes from outside the patch is background. Nothing is tissue that is not observed.
    """
    drawn, shape = changes.artefacts, batch.silhouette.shape
    laid = batch if drawn is None else lay_on(batch, drawn)
    linear = changes.warps.linear.to(batch.silhouette.device)
    source, box = _connected(laid.silhouette, linear, changes.limits)
    scale, shift = _crop_again(batch.silhouette, box, changes, crop)
    linear = scale[..., None] * linear
    grid = _grid(linear, shift, shape)
    zoom = 1.0 if changes.limits is None else scale.amax(1)[:, None, None, None]
    silhouette = _outline(source, grid, changes.outwards(source.device) / zoom)
    observed = _observed(batch.observed, grid, changes.limits, scale, shift)
    if drawn is not None:
        silhouette = fray(silhouette, drawn)
    silhouette = silhouette * observed
    return Batch(
        silhouette=silhouette,
        depth_mm=None if laid.depth_mm is None else _depth(laid.depth_mm, grid, silhouette),
        thickness_mm=None if laid.thickness_mm is None else _depth(laid.thickness_mm, grid, silhouette),
        observed=observed,
        points=batch.points @ linear.mT + shift[:, None],
        landmark_mm=laid.landmark_mm,
    )


def _crop_again(clean: Tensor, box: Tensor, changes: Changes, crop: Crop) -> tuple[Tensor, Tensor]:
    """(scale (N, 2), shift (N, 2)) that make of boxes (N, 2, 2), after the linear map, what the clean images' were."""
    device = clean.device
    before = boxes(clean, torch.eye(2, device=device).expand(len(clean), 2, 2))
    scale = _scale(before, box, crop, clean.shape)
    if changes.artefacts is not None:
        moved = changes.artefacts.threshold_px.to(device)[:, None]
        box = _limited(box + torch.stack([-moved, moved], 1) / scale[:, None], changes.limits)
        scale = _scale(before, box, crop, clean.shape)
    return scale, before.mean(1) - scale * box.mean(1) + changes.warps.jitter.to(device)


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


def _connected(images: Tensor, linear: Tensor, limits: Tensor | None) -> tuple[Tensor, Tensor]:
    """(images without what the limits cut off from the body, (N, 2, 2) boxes under linear of what is left within).

    A scan's silhouette is its largest connected part: a hand beyond the field of view's edge takes the fingers that
    come back into it along.
    """
    whole = boxes(images, linear)
    if limits is None:
        return images, whole
    rows = ((whole[:, 0] < limits[:, :2]) | (whole[:, 1] > limits[:, 2:])).any(1)
    if not bool(rows.any()):
        return images, whole
    part = images[rows] * _near(images.shape, linear[rows], limits[rows])
    body = largest(part)
    left = boxes(body, linear[rows])
    images = images.index_put((rows,), images[rows] - (part - body))
    return images, _limited(whole.index_put((rows,), left), limits)


def _near(shape: torch.Size, linear: Tensor, limits: Tensor) -> Tensor:
    """(N, 1, H, W) bool: which pixels, moved by linear (N, 2, 2), reach into limits (N, 4)."""
    y = torch.arange(shape[-2], device=linear.device)[None, :, None] + 0.5
    x = torch.arange(shape[-1], device=linear.device)[None, None, :] + 0.5
    near = torch.ones(1, 1, 1, dtype=torch.bool, device=linear.device)
    for axis in (0, 1):
        along_x, along_y = linear[:, axis, :, None, None].unbind(1)
        place = along_x * x + along_y * y
        reach = (along_x.abs() + along_y.abs()) / 2  # of a pixel from its centre
        near = near & (place > limits[:, axis, None, None] - reach) & (place < limits[:, axis + 2, None, None] + reach)
    return near[:, None]


def largest(images: Tensor) -> Tensor:
    """Images (N, 1, H, W) of the largest 8-connected part of each."""
    parts = images[:, 0].cpu().numpy() > 0
    neighbours = np.zeros((3, 3, 3), bool)
    neighbours[1] = True
    labels, count = ndimage.label(parts, neighbours)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    score = sizes[labels]
    keep = parts & (score == score.max((1, 2), keepdims=True))
    return torch.as_tensor(keep, dtype=torch.float32, device=images.device)[:, None]


def _limited(found: Tensor, limits: Tensor | None) -> Tensor:
    """Boxes (N, 2, 2) clamped to limits (N, 4)."""
    return found if limits is None else found.clamp(limits[:, None, :2], limits[:, None, 2:])


def _scale(before: Tensor, after: Tensor, crop: Crop, shape: torch.Size) -> Tensor:
    """(N, 2) by which boxes `after` are scaled to fill of the patch what boxes `before` do, as the crop asks."""
    if crop.pixel_mm is not None:
        return torch.ones_like(before[:, 0])
    extent = torch.tensor([shape[-1], shape[-2]], dtype=torch.float32, device=before.device)
    shares = [(box[:, 1] - box[:, 0]) / extent for box in (before, after)]
    if crop.fit == "stretch":
        return shares[0] / shares[1]
    return (shares[0].amax(1) / shares[1].amax(1))[:, None].expand(-1, 2)


def _grid(linear: Tensor, shift: Tensor, shape: torch.Size) -> Tensor:
    """(N, H, W, 2) where grid_sample finds the new pixels in the old patch."""
    height, width = shape[-2:]
    half = torch.tensor([width, height], dtype=torch.float32, device=linear.device) / 2
    # grid_sample wants new -> old in units of half the patch, from the centre (align_corners=False)
    back = torch.linalg.inv(linear)
    middle = (back @ (half - shift)[..., None])[..., 0] - half
    theta = torch.cat([back * half / half[:, None], (middle / half)[..., None]], 2)
    return functional.affine_grid(theta, list(shape), align_corners=False)


def _outline(images: Tensor, grid: Tensor, outwards: Tensor) -> Tensor:
    """Images resampled, their outline moved outwards by so many px; outwards (N, 1, h, w) is interpolated."""
    blurred = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=True)
    wander = functional.interpolate(outwards, images.shape[-2:], mode="bilinear", align_corners=False)
    quiet = outwards.abs().amax((1, 2, 3), keepdim=True) == 0
    source = torch.where(quiet, images, blurred)  # the blurred edge climbs 1/3 per px: a threshold moves it
    sampled = functional.grid_sample(source, grid, mode="bilinear", align_corners=False)
    return (sampled + wander / 3 >= 0.5 - 1e-4).float()


def _observed(old: Tensor, grid: Tensor, limits: Tensor | None, scale: Tensor, shift: Tensor) -> Tensor:
    """(N, 1, H, W) which new pixels were observed and lie within the limits; beyond the old patch it is as its edge."""
    if bool((old == 1).all()):
        new = torch.ones_like(old)
    else:
        new = functional.grid_sample(old, grid, mode="nearest", padding_mode="border", align_corners=False)
    if limits is None:
        return new
    moved = limits.view(-1, 2, 2) * scale[:, None] + shift[:, None]
    inside = [
        (at + 0.5 >= moved[:, 0, axis, None]) & (at + 0.5 <= moved[:, 1, axis, None])
        for axis, at in enumerate(torch.arange(size, device=old.device) for size in (old.shape[-1], old.shape[-2]))
    ]
    return new * (inside[1][:, :, None] & inside[0][:, None, :])[:, None]


def _depth(depth_mm: Tensor, grid: Tensor, silhouette: Tensor) -> Tensor:
    """Depth or thickness (N, 1, H, W) resampled: the mean of the tissue around, on exactly the new silhouette."""
    planes = torch.cat([depth_mm, (depth_mm > 0).float()], 1)
    total, share = functional.grid_sample(planes, grid, mode="bilinear", align_corners=False).split(1, 1)
    return fill(torch.where(share > 0.05, total / share.clamp_min(0.05), 0.0), silhouette)
