"""What lies on a subject or is lost of it before a scan is cut out: sand bag, blanket, thin parts, a ragged border."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.data import Batch
from training.views import Views

BAG_REACH = (0.05, 0.45)  # shares of the way from the patch's lower end to the finger tips that a bag covers
BAG_SLOPE = 0.2  # standard deviation
BAG_WAVE_PX = 4.0  # the bag's edge is straight to wavy
BLANKET_KERNEL_PX = 7  # smooths over gaps narrower than half of it, and can add that much to the outline
LEAST_COVER = 0.1  # of the kernel's area that is tissue: where a taut blanket ends
NOTHING = torch.inf


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """Drawn artefacts of N subjects.

    bag: (N, 5) reach (inf: none), slope, amplitude px, waves per patch width, phase; see place_bags for the reach
    thin: (N,) bool. blanket_mm: (N,) thickness, 0 for none; cover: (N,) 0..1, how far it is spread
    folds: (N, 1, 5, 3) 0..1, the blanket's relief. threshold_px: (N,) outwards. border: (N,) share;
    specks: (N, 1, H, W) uint8 noise, which pixels of the border; None where there is no border noise
    """

    bag: Tensor
    thin: Tensor
    blanket_mm: Tensor
    cover: Tensor
    folds: Tensor
    threshold_px: Tensor
    border: Tensor
    specks: Tensor | None

    def select(self, index: Tensor) -> "Artefacts":
        """The artefacts of some of the subjects."""
        names = [field.name for field in fields(self) if field.name != "specks"]
        specks = None if self.specks is None else self.specks[index]
        return Artefacts(**{name: getattr(self, name)[index] for name in names}, specks=specks)


def draw_artefacts(count: int, size: tuple[int, int], views: Views, generator: np.random.Generator) -> Artefacts:
    """Artefacts of `count` subjects on patches of `size`, drawn by the shares and strengths of `views`."""
    bag = np.column_stack(
        [
            np.where(generator.uniform(size=count) < views.sand_bag, generator.uniform(*BAG_REACH, count), NOTHING),
            generator.normal(0, BAG_SLOPE, count),
            generator.uniform(0, BAG_WAVE_PX, count),
            generator.uniform(0.5, 2, count),
            generator.uniform(0, 2 * np.pi, count),
        ]
    )
    covered = generator.uniform(size=count) < views.blanket
    single = {
        "bag": bag,
        "blanket_mm": covered * generator.uniform(0, views.blanket_mm, count),
        "cover": generator.uniform(size=count),
        "folds": generator.uniform(size=(count, 1, 5, 3)),
        "threshold_px": generator.uniform(-views.threshold_px, views.threshold_px, count),
        "border": generator.uniform(0, views.border, count),
    }
    return Artefacts(
        **{name: torch.as_tensor(values, dtype=torch.float32) for name, values in single.items()},
        thin=torch.as_tensor(generator.uniform(size=count) < views.thin),
        specks=torch.as_tensor(generator.integers(0, 256, (count, 1, *size), np.uint8)) if views.border > 0 else None,
    )


def place_bags(drawn: Artefacts, guides: Tensor, height: int) -> None:
    """Turn the bags' reach, a share of the way up from the patch's lower end to the mean of guides (N, G, 2), to px.

    A bag whose guides are unknown (NaN) is none.
    """
    tips = guides[..., 1].mean(1).to(drawn.bag.device)
    edge = height - drawn.bag[:, 0] * (height - tips)
    drawn.bag[:, 0] = torch.where(edge.isfinite(), edge, NOTHING)


def lay_on(batch: Batch, drawn: Artefacts) -> Batch:
    """The batch with thin parts lost, blankets laid on, and sand bags over the forearm; the rest is as it was."""
    silhouette, depth, thickness, landmarks = batch.silhouette, batch.depth_mm, batch.thickness_mm, batch.landmark_mm
    device = silhouette.device
    if bool(drawn.thin.any()):
        rows = drawn.thin.to(device)
        kept = functional.max_pool2d(-functional.max_pool2d(-silhouette[rows], 3, 1, 1), 3, 1, 1)
        silhouette = silhouette.index_put((rows,), kept * silhouette[rows])
    if bool((drawn.blanket_mm > 0).any()):
        rows = (drawn.blanket_mm > 0).to(device)
        silhouette, depth, thickness = _cover(silhouette, depth, thickness, drawn, rows)
        landmarks = None if landmarks is None else landmarks + drawn.blanket_mm.to(device)[:, None]
    bagged = drawn.bag[:, 0].isfinite()
    if bool(bagged.any()):
        rows, bag = bagged.to(device), drawn.bag[bagged].to(device)
        under = under_bag(pixel_centres(silhouette), bag, silhouette.shape[3])
        silhouette = silhouette.index_put((rows,), silhouette[rows] * ~under.view_as(silhouette[rows]))
    if depth is not None and silhouette is not batch.silhouette:
        depth = fill(depth, silhouette)
    if thickness is not None and silhouette is not batch.silhouette:
        thickness = fill(thickness, silhouette)
    return replace(batch, silhouette=silhouette, depth_mm=depth, thickness_mm=thickness, landmark_mm=landmarks)


def under_bag(at: Tensor, bag: Tensor, width: int) -> Tensor:
    """(N, M) bool: which positions `at` (N or 1, M, 2) lie under bags (N, 5) of patches `width` px wide."""
    edge, slope, amplitude, waves, phase = bag[:, :, None].unbind(1)
    x = at[..., 0] / width
    curve = edge + slope * (x - 0.5) * width + amplitude * torch.sin(2 * torch.pi * waves * x + phase)
    return edge.isfinite() & (at[..., 1] > curve)


def pixel_centres(images: Tensor) -> Tensor:
    """(1, H * W, 2) pixel centres (x, y) of images (N, 1, H, W)."""
    height, width = images.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=images.device) + 0.5, torch.arange(width, device=images.device) + 0.5, indexing="ij"
    )
    return torch.stack([x, y], -1).view(1, -1, 2)


def _cover(
    silhouette: Tensor, depth: Tensor | None, thickness: Tensor | None, drawn: Artefacts, rows: Tensor
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """(silhouette, depth, thickness) of all patches with blankets over those of `rows`."""
    bare = silhouette[rows]
    share = functional.avg_pool2d(bare, BLANKET_KERNEL_PX, 1, BLANKET_KERNEL_PX // 2)
    least = torch.lerp(torch.tensor(0.5), torch.tensor(LEAST_COVER), drawn.cover).to(rows.device)[rows]
    wide = ((share >= least[:, None, None, None]) | (bare > 0)).float()
    silhouette = silhouette.index_put((rows,), wide)
    if depth is None and thickness is None:
        return silhouette, None, None
    folds = functional.interpolate(drawn.folds.to(rows.device)[rows], bare.shape[-2:], mode="bilinear")
    thick = drawn.blanket_mm.to(rows.device)[rows][:, None, None, None]
    if depth is not None:  # plane 0 moves by a thickness: none lies before it
        depth = depth.index_put((rows,), fill(depth[rows], wide) + thick * (1 - folds) * wide)
    if thickness is not None:
        thickness = thickness.index_put((rows,), fill(thickness[rows], wide) + thick * folds * wide)
    return silhouette, depth, thickness


def fill(depth_mm: Tensor, silhouette: Tensor) -> Tensor:
    """Depth (N, 1, H, W) on exactly the silhouette: new pixels get the mean of what is known within 3 px."""
    known = (depth_mm > 0).float()
    kernel = BLANKET_KERNEL_PX
    total, count = (functional.avg_pool2d(plane, kernel, 1, kernel // 2) for plane in (depth_mm, known))
    near = torch.where(count > 0, total / count.clamp_min(1e-6), depth_mm.amax((1, 2, 3), keepdim=True))
    return torch.where(depth_mm > 0, depth_mm, near) * silhouette


def fray(silhouette: Tensor, drawn: Artefacts) -> Tensor:
    """Silhouettes (N, 1, H, W) with single pixels along the outline flipped, each with the drawn share's chance."""
    if drawn.specks is None:
        return silhouette
    tissue = silhouette > 0
    outline = torch.zeros_like(tissue)
    for axis, size in ((2, silhouette.shape[2]), (3, silhouette.shape[3])):
        first, second = tissue.narrow(axis, 0, size - 1), tissue.narrow(axis, 1, size - 1)
        step = first ^ second
        outline.narrow(axis, 0, size - 1).logical_or_(step)
        outline.narrow(axis, 1, size - 1).logical_or_(step)
    flip = drawn.specks.to(silhouette.device) < (drawn.border * 256).to(silhouette.device)[:, None, None, None]
    return (tissue ^ (flip & outline)).float()
