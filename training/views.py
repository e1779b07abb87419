"""What a scan sees of a subject: fields of view as training draws them, and what else a scan does to a silhouette."""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.domain.anatomy import BODY


class Level(NamedTuple):
    """A height of the body: `share` of the way from one landmark level to another, moved down by low..high mm."""

    start: str
    end: str
    share: float
    low_mm: float
    high_mm: float


# Shares follow from heights over stature: shoulder 0.82, hip 0.53, knee 0.285 (Winter 2009, figure 4.1), skull base
# 0.935, mid-neck 0.88, apex of the lungs 0.845, lower costal margin 0.62, ischium 0.49. Protocols differ by cm.
VERTEX = Level("head", "shoulder", 0.0, -150.0, 0.0)
SKULL_BASE = Level("head", "shoulder", 0.34, -25.0, 25.0)
NECK = Level("head", "shoulder", 0.63, -25.0, 25.0)
LUNG_APEX = Level("head", "shoulder", 0.86, -60.0, 0.0)
COSTAL_MARGIN = Level("shoulder", "knee", 0.37, -40.0, 40.0)
PELVIC_FLOOR = Level("shoulder", "knee", 0.61, -40.0, 40.0)
MID_THIGH = Level("shoulder", "knee", 0.77, -50.0, 50.0)
BELOW_KNEE = Level("shoulder", "knee", 1.0, 0.0, 120.0)
TOES = Level("knee", "toe", 1.0, 30.0, 150.0)

RANGES = {
    "vertex_toe": (VERTEX, TOES),
    "vertex_knee": (VERTEX, BELOW_KNEE),
    "vertex_mid_thigh": (VERTEX, MID_THIGH),
    "skull_base_mid_thigh": (SKULL_BASE, MID_THIGH),
    "neck_pelvis": (NECK, PELVIC_FLOOR),
    "chest": (LUNG_APEX, COSTAL_MARGIN),
}
CIRCLES_MM = {"circle_500": (500.0, 500.0), "circle_wide": (650.0, 800.0)}
CIRCLE_OFFSET_MM = 40.0  # of its centre from the subject's, at most
# Collimation of a hand in shares of the patch: how far an edge may lie inside (negative) or outside the finger tips;
# the forearm's edge counts from the lower end of a fitted silhouette
TIP_EDGE = (-0.03, 0.15)
FOREARM_EDGE = (-0.20, 0.05)
SHORTEST_PX = 8.0  # a range that leaves less of a patch is not a scan of it


@dataclass(frozen=True, kw_only=True)
class Views:
    """How training varies what is seen. Each field is off at 0, and then changes no bit.

    vertex_toe … chest: shares of bodies scanned over that range of their axis, the rest is whole
    circle_500, circle_wide: shares of bodies within a transaxial field of view of 500 or 650-800 mm
    collimated: share of hands (radiographs) with edges close to the finger tips and across the forearm
    sand_bag: share of hands with a signal-free bag over the forearm or palm
    threshold_px: the outline lies up to this much further out or in, everywhere alike: fat or skin on either side of
        the threshold; thin parts are lost
    thin: share of silhouettes that lose what is thinner than 3 px
    border: share of the pixels along the outline that are flipped, each on its own; drawn from 0 to this
    blanket: share of subjects under a blanket of up to blanket_mm: the surface nearer, the outline wider and smoother
    outside: weight in the loss of a landmark that is not seen, drawn to the nearest point of the patch, so that a
        network puts it where the scan did not look; 0 leaves it out of the loss
    """

    vertex_toe: float = 0.0
    vertex_knee: float = 0.0
    vertex_mid_thigh: float = 0.0
    skull_base_mid_thigh: float = 0.0
    neck_pelvis: float = 0.0
    chest: float = 0.0
    circle_500: float = 0.0
    circle_wide: float = 0.0
    collimated: float = 0.0
    sand_bag: float = 0.0
    threshold_px: float = 0.0
    thin: float = 0.0
    border: float = 0.0
    blanket: float = 0.0
    blanket_mm: float = 40.0
    outside: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), 100.0 if field.name == "blanket_mm" else 1.0
            if not 0 <= value <= most:
                raise ValueError(f"train.views.{field.name} is {value}; allowed: 0 to {most:g}")
        for names in (RANGES, CIRCLES_MM):
            total = sum(getattr(self, name) for name in names)
            if total > 1 + 1e-9:
                raise ValueError(
                    f"train.views: the shares of {', '.join(names)} add up to {total:g}; allowed: at most 1"
                )

    @property
    def changes(self) -> bool:
        """Whether anything at all is varied."""
        return replace(self, blanket_mm=Views.blanket_mm, outside=0.0) != Views()

    @property
    def body_only(self) -> tuple[str, ...]:
        """Names of the fields in use that only bodies can have."""
        return tuple(name for name in (*RANGES, *CIRCLES_MM) if getattr(self, name) > 0)

    @property
    def hand_only(self) -> tuple[str, ...]:
        """Names of the fields in use that only hands can have."""
        return tuple(name for name in ("collimated", "sand_bag") if getattr(self, name) > 0)


def body_views() -> Views:
    """Two bodies in three over their whole length, one in three over a common range; half within a circle."""
    return Views(
        vertex_toe=0.2, vertex_knee=0.08, vertex_mid_thigh=0.08, skull_base_mid_thigh=0.08, neck_pelvis=0.05,
        chest=0.05, circle_500=0.25, circle_wide=0.25, threshold_px=0.7, thin=0.1, border=0.05, blanket=0.1,
        outside=0.2,
    )  # fmt: skip


def hand_views() -> Views:
    """Two hands in three whole, a third collimated, one in ten under a sand bag."""
    return Views(
        collimated=0.33, sand_bag=0.1, threshold_px=0.7, thin=0.1, border=0.05, blanket=0.05, blanket_mm=10.0,
        outside=0.2,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Drawn fields of view of N subjects.

    range: (N,) int64 index into RANGES, -1 whole. ends: (N, 2) in 0..1, where within each end's spread
    width_mm: (N,) of the circle, inf without one; centre_mm: (N,) its offset
    edges: (N, 4) collimation left, top, right, bottom in shares of the patch, outwards; inf without
    """

    range: Tensor
    ends: Tensor
    width_mm: Tensor
    centre_mm: Tensor
    edges: Tensor

    def select(self, index: Tensor) -> "Fields":
        """The fields of view of some of the subjects."""
        return Fields(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @property
    def cut(self) -> Tensor:
        """(N,) bool: whether there is any limit."""
        return (self.range >= 0) | self.width_mm.isfinite() | self.edges.isfinite().any(1)


def draw_fields(count: int, views: Views, generator: np.random.Generator) -> Fields:
    """Fields of view of `count` subjects, drawn by the shares of `views`."""
    ranges = _draw_kind(count, [getattr(views, name) for name in RANGES], generator)
    circles = _draw_kind(count, [getattr(views, name) for name in CIRCLES_MM], generator)
    low, high = np.array([*CIRCLES_MM.values(), (np.inf, np.inf)]).T[:, circles]
    within = generator.uniform(size=count)
    with np.errstate(invalid="ignore"):
        width = np.where(np.isfinite(low), low + within * (high - low), np.inf)
    edges = generator.uniform([*[TIP_EDGE[0]] * 3, FOREARM_EDGE[0]], [*[TIP_EDGE[1]] * 3, FOREARM_EDGE[1]], (count, 4))
    edges[generator.uniform(size=count) >= views.collimated] = np.inf
    return Fields(
        range=torch.as_tensor(ranges),
        ends=torch.as_tensor(generator.uniform(size=(count, 2)), dtype=torch.float32),
        width_mm=torch.as_tensor(width, dtype=torch.float32),
        centre_mm=torch.as_tensor(generator.uniform(-CIRCLE_OFFSET_MM, CIRCLE_OFFSET_MM, count), dtype=torch.float32),
        edges=torch.as_tensor(edges, dtype=torch.float32),
    )


def _draw_kind(count: int, shares: list[float], generator: np.random.Generator) -> NDArray[np.int64]:
    """(count,) index of the share drawn, -1 for none of them."""
    kind = np.searchsorted(np.cumsum(shares), generator.uniform(size=count), side="right")
    return np.where(kind < len(shares), kind, -1)


def windows(seen: Fields, points: Tensor, valid: Tensor, pixel_mm: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, 4) limits x0, y0, x1, y1 in patch px of what is observed, infinite where there is none.

    points: (N, K, 2) patch px; valid: (N, K) bool, whether annotated: a limit that needs a missing landmark is none
    pixel_mm: (N, 2), NaN where unknown: then there is no circle, and no spread
    """
    limits = torch.tensor([-torch.inf, -torch.inf, torch.inf, torch.inf], device=points.device).repeat(len(points), 1)
    if bool((seen.range >= 0).any() | seen.width_mm.isfinite().any()):
        limits = _body_limits(seen, limits, points, valid, pixel_mm)
    if bool(seen.edges.isfinite().any()):
        limits = torch.where(valid.all(1, keepdim=True), _collimation(seen.edges, limits, points, size), limits)
    return limits


def _body_limits(seen: Fields, limits: Tensor, points: Tensor, valid: Tensor, pixel_mm: Tensor) -> Tensor:
    index = {name: [BODY.names.index(mark) for mark in marks] for name, marks in _LEVELS.items()}
    known = {name: valid[:, marks].all(1) for name, marks in index.items()}
    place = {name: points[:, marks, 1].mean(1) for name, marks in index.items()}
    place["toe"] = points[:, index["toe"], 1].amax(1)
    per_mm = torch.nan_to_num(1 / pixel_mm[:, 1], nan=0.0)
    limits = limits.clone()
    for number, ends in enumerate(RANGES.values()):
        levels = [
            torch.lerp(place[end.start], place[end.end], end.share)
            + per_mm * torch.lerp(torch.tensor(end.low_mm), torch.tensor(end.high_mm), at).to(points.device)
            for end, at in zip(ends, seen.ends.T, strict=True)
        ]
        needed = torch.stack([known[name] for end in ends for name in (end.start, end.end)]).all(0)
        chosen = (seen.range == number).to(points.device) & needed & (levels[1] - levels[0] >= SHORTEST_PX)
        limits[:, 1] = torch.where(chosen, levels[0], limits[:, 1])
        limits[:, 3] = torch.where(chosen, levels[1], limits[:, 3])
    shoulders = index["shoulder"]
    middle = points[:, shoulders, 0].mean(1) + seen.centre_mm.to(points.device) / pixel_mm[:, 0]
    half = seen.width_mm.to(points.device) / 2 / pixel_mm[:, 0]
    chosen = known["shoulder"] & half.isfinite()
    limits[:, 0] = torch.where(chosen, middle - half, limits[:, 0])
    limits[:, 2] = torch.where(chosen, middle + half, limits[:, 2])
    return limits


_LEVELS = {
    "head": ("head_top",),
    "shoulder": ("left_shoulder", "right_shoulder"),
    "knee": ("left_knee", "right_knee"),
    "toe": ("left_big_toe", "right_big_toe"),
}


def _collimation(edges: Tensor, limits: Tensor, points: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    edges = edges.to(points.device) * torch.tensor([width, height, width, height], device=points.device)
    low, high = points.amin(1), points.amax(1)
    lower = torch.full_like(low[:, 1], float(height))
    inner = torch.stack([low[:, 0], low[:, 1], high[:, 0], lower], 1)
    signs = torch.tensor([-1.0, -1.0, 1.0, 1.0], device=points.device)
    return torch.where(edges.isfinite(), inner + signs * edges, limits)


def outside(points: Tensor, limits: Tensor) -> Tensor:
    """(N, K) bool: which points (N, K, 2) lie beyond limits (N, 4)."""
    return ((points < limits[:, None, :2]) | (points > limits[:, None, 2:])).any(2)
