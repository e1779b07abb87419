"""Bones of a hand in a radiograph: tapered shafts along its joints, a dense cortex around a light core."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.anatomy import HAND

FINGERS = ("index", "middle", "ring", "little")
SHARE = 0.52  # of the distance from a finger's axis to its skin
RADII_MM = (2.2, 5.5)  # of shafts
CORE = 0.6, 0.35  # radius of the light core, and how dense it is against the cortex


def bone_mm(points: NDArray[np.float64], silhouette: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.float32]:
    """(H, W) mm of dense bone along the ray; points (P, 2) px are those that the anatomy of hands names."""
    at = {point.name: points[k] for k, point in enumerate(HAND.points)}
    skin = ndimage.distance_transform_edt(silhouette)
    found = np.zeros(silhouette.shape, np.float32)
    for chain in _chains():
        for head, end in pairwise(chain):
            gap = 1.0 / pixel_mm  # cartilage
            _shaft(found, at[head], at[end], skin, pixel_mm, gap)
    wrist, bases = at["wrist"], [at[f"{finger}_metacarpal_base"] for finger in FINGERS]
    for base in bases:
        for share in (0.25, 0.7):
            _shaft(found, wrist + (base - wrist) * share, wrist + (base - wrist) * (share + 0.2), skin, pixel_mm, 0.0)
    down = wrist + np.array([0.0, 250.0 / pixel_mm])
    for side, width in ((-0.6, 0.8), (0.6, 1.0)):
        shift = np.array([side * 16 / pixel_mm, 4 / pixel_mm])
        _shaft(found, wrist + shift, down + shift, skin, pixel_mm, 0.0, 9.0 * width)
    return found


def _chains() -> list[list[str]]:
    joints = ["metacarpal_base", "metacarpophalangeal", "proximal_interphalangeal", "distal_interphalangeal"]
    thumb = ["carpometacarpal", "metacarpophalangeal", "interphalangeal"]
    chains = [[f"{finger}_{joint}" for joint in [*joints, "bone_tip"]] for finger in FINGERS]
    return [*chains, [f"thumb_{joint}" for joint in [*thumb, "bone_tip"]]]


def _shaft(
    found: NDArray[np.float32],
    head: NDArray[np.float64],
    end: NDArray[np.float64],
    skin: NDArray[np.float64],
    pixel_mm: float,
    gap: float,
    radius_mm: float | None = None,
) -> None:
    """Put one bone into `found`: chords through a tube, wider at both ends, that stops `gap` px before its joints."""
    height, width = found.shape
    length = float(np.linalg.norm(end - head))
    if length <= 2 * gap:
        return
    if radius_mm is None:
        x, y = np.clip(((head + end) / 2).astype(int), 0, [width - 1, height - 1])
        radius_mm = float(np.clip(SHARE * skin[y, x] * pixel_mm, *RADII_MM))
    reach = 2 * radius_mm / pixel_mm
    low = np.maximum(np.minimum(head, end) - reach, 0).astype(int)
    high = np.minimum(np.maximum(head, end) + reach, [width, height]).astype(int)
    if (high <= low).any():
        return
    y, x = np.ogrid[low[1] : high[1], low[0] : high[0]]
    axis = (end - head) / length
    along = (x + 0.5 - head[0]) * axis[0] + (y + 0.5 - head[1]) * axis[1]
    across = np.abs((x + 0.5 - head[0]) * axis[1] - (y + 0.5 - head[1]) * axis[0]) * pixel_mm
    share = np.clip(2 * along / length - 1, -1, 1)
    radius = radius_mm * (0.8 + 0.35 * share**4)
    beyond = np.maximum(np.maximum(gap - along, along - (length - gap)), 0) * pixel_mm
    chord = 2 * np.sqrt(np.maximum(radius**2 - across**2 - (3 * beyond) ** 2, 0))
    core = 2 * np.sqrt(np.maximum((CORE[0] * radius) ** 2 - across**2 - (3 * beyond) ** 2, 0))
    part = found[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, (chord - (1 - CORE[1]) * core).astype(np.float32), out=part)
