"""Patches resident on one device as packed bits, and what training asks of any source of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.annotation import BACKGROUND_DEPTH
from synth.domain.patch import Crop
from synth.domain.schema import DEPTH_UNIT_MM, Samples, from_table
from training.models import Inputs
from training.plan import num_steps, order


@dataclass(frozen=True, kw_only=True)
class Batch:
    """n patches, unpacked.

    silhouette: (n, 1, H, W) float32 in {0, 1}, 0 where not observed
    depth_mm, thickness_mm: (n, 1, H, W) float32, 0 = no tissue; None where not read
    observed: (n, 1, H, W) float32 in {0, 1}: which pixels lie inside the field of view
    points: (n, K, 2) float32 patch px
    landmark_mm: (n, K) float32 depth of the landmarks in the depth map's mm, NaN where unknown; None: everywhere
    """

    silhouette: Tensor
    depth_mm: Tensor | None
    observed: Tensor
    points: Tensor
    landmark_mm: Tensor | None = None
    thickness_mm: Tensor | None = None

    def channels(self, inputs: Inputs) -> Tensor:
        """(n, C, H, W) float32: what a network is shown. Raises ValueError where a plane is missing."""
        planes = {"silhouette": self.silhouette, "observed": self.observed}
        for name, plane_mm, scaled in (
            ("depth", self.depth_mm, normalised),
            ("thickness", self.thickness_mm, over_mean),
        ):
            if name in inputs:
                if plane_mm is None:
                    raise ValueError(
                        f"the network needs {name}, and these patches have none; use one of silhouettes alone"
                    )
                planes[name] = scaled(plane_mm)
        return torch.cat([planes[name] for name in inputs], 1)

    def part(self, rows: slice) -> "Batch":
        """The patches of these rows, not copied."""
        planes = {field.name: getattr(self, field.name) for field in fields(self)}
        parts: dict[str, Any] = {name: None if plane is None else plane[rows] for name, plane in planes.items()}
        return Batch(**parts)

    def landmark_depth(self) -> Tensor:
        """(n, K) depths of the landmarks in units of their normalised depth map, as annotation.py gives them.

        The statistics are those of the tissue that is shown. NaN where unknown, and where the map is flat or empty.
        """
        if self.depth_mm is None or self.landmark_mm is None:
            return torch.full(self.points.shape[:2], torch.nan, device=self.points.device)
        mean, deviation = (values.flatten(1) for values in depth_scale(self.depth_mm))
        return torch.where(deviation > DEPTH_UNIT_MM, (self.landmark_mm - mean) / deviation, torch.nan)


def depth_scale(depth_mm: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, deviation), each (n, 1, 1, 1) mm, of the tissue of depth maps (n, 1, H, W); flat: DEPTH_UNIT_MM."""
    tissue = depth_mm > 0
    count = tissue.sum((1, 2, 3), keepdim=True).clamp_min(1)
    mean = depth_mm.sum((1, 2, 3), keepdim=True) / count
    offset = (depth_mm - mean) * tissue
    return mean, ((offset**2).sum((1, 2, 3), keepdim=True) / count).sqrt().clamp_min(DEPTH_UNIT_MM)


def normalised(depth_mm: Tensor) -> Tensor:
    """Depth maps (n, 1, H, W) in mm as annotation.normalise_depth gives them; a flat one is 0 on its foreground."""
    mean, deviation = depth_scale(depth_mm)
    return torch.where(depth_mm > 0, (depth_mm - mean) / deviation, BACKGROUND_DEPTH)


def over_mean(thickness_mm: Tensor) -> Tensor:
    """Thickness (n, 1, H, W) in mm as shares of its mean over the tissue: children's and adults' are alike."""
    tissue = (thickness_mm > 0).sum((1, 2, 3), keepdim=True).clamp_min(1)
    mean = thickness_mm.sum((1, 2, 3), keepdim=True) / tissue
    return thickness_mm / mean.clamp_min(DEPTH_UNIT_MM)


@dataclass(frozen=True, kw_only=True)
class Patches:
    """N patches and their landmarks on one device.

    size: (height, width) of a patch
    packed: (N, bytes) uint8 silhouettes, as in the shards: most significant bit first
    points: (N, K, 2) float32 patch px; 0 where not annotated
    valid: (N, K) bool, whether a landmark is annotated
    sample_id: (N,) int64
    crop: how the patches were cut from their sources
    pixel_mm: (N, 2) float32, NaN where unknown; None: unknown everywhere
    observed: (N, bytes) uint8 as packed; None: everything is observed
    depth, thickness: (N, H, W) int16 in steps of DEPTH_UNIT_MM, 0 = no tissue; None where not read
    guides: (N, G, 2) patch px of the base anatomy's landmarks, which fields of view are placed by, NaN where unknown;
        None: they are the landmarks themselves
    landmark_mm: (N, K) float32 depth of the landmarks in the depth map's mm, NaN where unknown; None: everywhere
    """

    size: tuple[int, int]
    packed: Tensor
    points: Tensor
    valid: Tensor
    sample_id: Tensor
    crop: Crop = field(default_factory=Crop)
    pixel_mm: Tensor | None = None
    observed: Tensor | None = None
    depth: Tensor | None = None
    guides: Tensor | None = None
    landmark_mm: Tensor | None = None
    thickness: Tensor | None = None

    @classmethod
    def from_samples(
        cls,
        samples: Samples,
        anatomy: Anatomy,
        device: torch.device | str = "cpu",
        *,
        inputs: Inputs = ("silhouette",),
        crop: Crop | None = None,
    ) -> "Patches":
        """The samples as tensors on `device`, for networks that read these planes; crop: None is the default one.

        Landmarks of one's own have guides among the named points, where those were read; else their guides are unknown.
        """
        points = torch.as_tensor(samples.landmarks[:, :, :2], dtype=torch.float32)
        valid = points.isfinite().all(-1)
        depth = samples.depth_mm if "depth" in inputs else None
        thickness = samples.thickness_mm if "thickness" in inputs else None
        return cls(
            size=anatomy.size,
            packed=torch.tensor(samples.packed, device=device),
            points=torch.where(valid[..., None], points, 0.0).to(device),
            valid=valid.to(device),
            sample_id=torch.tensor(samples.sample_id, device=device),
            crop=crop or Crop(),
            pixel_mm=torch.tensor(samples.pixel_mm, dtype=torch.float32, device=device),
            observed=None if samples.observed is None else torch.tensor(samples.observed, device=device),
            depth=None if depth is None else depth_steps(depth).to(device),
            thickness=None if thickness is None else depth_steps(thickness).to(device),
            guides=None if anatomy.names == anatomy_named(anatomy.base).names else _guides(samples, anatomy).to(device),
            landmark_mm=torch.tensor(samples.landmarks[:, :, 2], dtype=torch.float32, device=device),
        )

    @classmethod
    def from_table(
        cls, table: pa.Table, anatomy: Anatomy, device: torch.device | str, *, inputs: Inputs, crop: Crop
    ) -> "Patches":
        """The rows of a shard's table, as from_samples."""
        return cls.from_samples(from_table(table, anatomy), anatomy, device, inputs=inputs, crop=crop)

    def __len__(self) -> int:
        return len(self.packed)

    def images(self, index: Tensor) -> Tensor:
        """(n, 1, H, W) float32 in {0, 1}: the silhouettes of the given rows, unpacked on the device."""
        return _unpacked(self.packed[index.to(self.packed.device)], self.size)

    def batch(self, index: Tensor) -> Batch:
        """The given rows, unpacked on the device."""
        index = index.to(self.packed.device)
        images = self.images(index)
        return Batch(
            silhouette=images,
            depth_mm=_millimetres(self.depth, index),
            thickness_mm=_millimetres(self.thickness, index),
            observed=torch.ones_like(images) if self.observed is None else _unpacked(self.observed[index], self.size),
            points=self.points[index],
            landmark_mm=None if self.landmark_mm is None else self.landmark_mm[index],
        )

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.packed.device

    def batches(self, seed: int, epoch: int, size: int, start: int = 0) -> Iterator["Patches"]:
        """The global batches of an epoch by the plan, from step `start`."""
        plan = torch.as_tensor(order(seed, epoch, len(self)))
        for step in range(start, num_steps(len(self), size)):
            yield self.select(plan[step * size : (step + 1) * size])

    def spacing(self, index: Tensor) -> Tensor:
        """(n, 2) mm per patch px of the given rows, NaN where unknown."""
        if self.pixel_mm is None:
            return torch.full((len(index), 2), torch.nan, device=self.packed.device)
        return self.pixel_mm[index.to(self.packed.device)]

    def guide_points(self, index: Tensor) -> Tensor:
        """(n, G, 2) guides of the given rows, NaN where unknown."""
        index = index.to(self.packed.device)
        if self.guides is not None:
            return self.guides[index]
        return torch.where(self.valid[index][..., None], self.points[index], torch.nan)

    def select(self, index: Tensor) -> "Patches":
        """Some of the patches, in the order of `index` (positions or a boolean mask)."""
        index = index.to(self.packed.device)
        return Patches(
            size=self.size,
            packed=self.packed[index],
            points=self.points[index],
            valid=self.valid[index],
            sample_id=self.sample_id[index],
            crop=self.crop,
            pixel_mm=None if self.pixel_mm is None else self.pixel_mm[index],
            observed=None if self.observed is None else self.observed[index],
            depth=None if self.depth is None else self.depth[index],
            thickness=None if self.thickness is None else self.thickness[index],
            guides=None if self.guides is None else self.guides[index],
            landmark_mm=None if self.landmark_mm is None else self.landmark_mm[index],
        )


class Source(Protocol):
    """What training takes its samples from: resident Patches, or a Stream of them."""

    def __len__(self) -> int:
        """Number of samples."""

    @property
    def device(self) -> torch.device:
        """Where the patches arrive."""

    def batches(self, seed: int, epoch: int, size: int, start: int = 0) -> Iterator[Patches]:
        """The global batches of an epoch by plan.order, from step `start`: the same ones on every worker."""


def _guides(samples: Samples, anatomy: Anatomy) -> Tensor:
    names = anatomy_named(anatomy.base).names
    if samples.points is None:
        return torch.full((len(samples), len(names), 2), torch.nan)
    rows = [anatomy.point_names.index(name) for name in names]
    return torch.as_tensor(samples.points[:, rows, :2], dtype=torch.float32)


def depth_steps(depth_mm: NDArray[np.float32]) -> Tensor:
    """(N, H, W) int16 steps of DEPTH_UNIT_MM of depth maps in mm."""
    steps = np.rint(depth_mm / DEPTH_UNIT_MM)
    assert steps.max(initial=0) <= np.iinfo(np.int16).max, "depth beyond 3.2 m"
    return torch.as_tensor(steps.astype(np.int16))


def _millimetres(steps: Tensor | None, index: Tensor) -> Tensor | None:
    """(n, 1, H, W) float32 mm of some rows of a plane in steps of DEPTH_UNIT_MM."""
    return None if steps is None else steps[index][:, None].float() * DEPTH_UNIT_MM


def _unpacked(rows: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=rows.device)
    bits = (rows[..., None] >> shifts) & 1
    return bits.flatten(1)[:, : height * width].view(-1, 1, height, width).float()
