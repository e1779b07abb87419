"""Measures of an imported case by which a person finds the bad ones; study.csv holds them, a row a case."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.anatomy import HIDDEN, OUTSIDE, Anatomy
from synth.domain.landmarks import escaped
from synth.domain.parts import Parts
from synth.domain.patch import Matrix
from synth.domain.projection import Projection


@dataclass(frozen=True, kw_only=True)
class Measures:
    """A row of study.csv; None = unknown. Lengths are in `unit` (areas in its square) unless their name says mm.

    share: of the image that is silhouette; parts, second_area, cut_out_area: see parts.Parts; the last is `beside`
    top, bottom, left, right: share of that side of the image that the silhouette touches
    depth_range_mm: nearest to farthest surface; mean_thickness_mm: of what the silhouette covers
    given, missing, outside: landmarks annotated, not annotated, and annotated beyond the field of view
    farthest: the largest distance from the outline of an end of the body (tip, crown) that is not hidden; its name
    """

    case: str
    subject: str
    kind: str
    width_px: int
    height_px: int
    pixel_mm: float | None
    unit: str
    threshold: float
    area: float
    share: float
    parts: int
    second_area: float
    cut_out_area: float
    holes: int
    top: float
    bottom: float
    left: float
    right: float
    depth_range_mm: float | None
    mean_thickness_mm: float | None
    given: int
    missing: int
    outside: int
    farthest: float | None
    farthest_landmark: str
    notes: str


def measure(
    view: Projection,
    parts: Parts,
    points: Matrix,
    visible: NDArray[np.uint8],
    anatomy: Anatomy,
    *,
    case: str,
    subject: str,
    notes: Sequence[str],
) -> Measures:
    """The measures of a case; points: (K, 2) landmarks in source px, NaN = not annotated; visible: (K,) codes."""
    mask = view.silhouette
    height, width = mask.shape
    pixel = 1.0 if view.pixel_mm is None else view.pixel_mm[0]
    square = 1.0 if view.pixel_mm is None else view.pixel_mm[0] * view.pixel_mm[1]
    farthest, which = _farthest(mask, points, visible, anatomy)
    return Measures(
        case=case,
        subject=subject,
        kind="2D" if view.depth_mm is None else "3D",
        width_px=width,
        height_px=height,
        pixel_mm=None if view.pixel_mm is None else view.pixel_mm[0],
        unit="px" if view.pixel_mm is None else "mm",
        threshold=view.threshold,
        area=float(mask.sum()) * square,
        share=float(mask.mean()),
        parts=parts.count,
        second_area=parts.second_px * square,
        cut_out_area=float(parts.beside.sum()) * square,
        holes=_holes(mask),
        **_touched(mask),
        depth_range_mm=None if view.depth_mm is None else float(np.ptp(view.depth_mm[mask])),
        mean_thickness_mm=None if view.thickness_mm is None else float(view.thickness_mm[mask].mean(dtype=np.float64)),
        **_counted(np.isfinite(points[:, 0]), visible),
        farthest=None if farthest is None else farthest * pixel,
        farthest_landmark=which,
        notes="; ".join(notes),
    )


def table(rows: Sequence[Measures]) -> str:
    """study.csv: a row a case; fields that are unknown are empty."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    names = [field.name for field in fields(Measures)]
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])
    return stream.getvalue()


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return escaped(value) if isinstance(value, str) else f"{value:.6g}"


def _touched(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Share of each side of the image that the silhouette touches, 0 to 1."""
    sides = {"top": mask[0], "bottom": mask[-1], "left": mask[:, 0], "right": mask[:, -1]}
    return {name: float(side.mean()) for name, side in sides.items()}


def _counted(annotated: NDArray[np.bool_], visible: NDArray[np.uint8]) -> dict[str, int]:
    """How many landmarks are given, missing, and given outside the field of view."""
    given, outside = int(annotated.sum()), int((annotated & (visible == OUTSIDE)).sum())
    return {"given": given, "missing": len(annotated) - given, "outside": outside}


def _holes(mask: NDArray[np.bool_]) -> int:
    """How many parts of the background the silhouette surrounds."""
    labels, count = ndimage.label(~mask)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return int(count - (edge > 0).sum())


def _farthest(
    mask: NDArray[np.bool_], points: Matrix, visible: NDArray[np.uint8], anatomy: Anatomy
) -> tuple[float | None, str]:
    """(source px from the outline, name) of the end of the body that lies farthest from it; (None, "") without any.

    Ends lie on the outline unless they point at the viewer; joints and other skin, as a kneecap, need not.
    """
    end = np.array([point.kind == "extremum" for point in anatomy.landmarks])
    rows = np.flatnonzero(end & np.isfinite(points[:, 0]) & (visible != OUTSIDE) & (visible != HIDDEN))
    if not rows.size:
        return None, ""
    outline = np.argwhere(mask & ~ndimage.binary_erosion(mask))[:, ::-1] + 0.5
    apart = [float(np.linalg.norm(outline - points[row], axis=1).min()) for row in rows]
    worst = int(np.argmax(apart))
    return apart[worst], anatomy.names[rows[worst]]
