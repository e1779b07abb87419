"""The two anatomies: patch size, landmarks in their fixed order, and how each landmark is defined."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Landmark:
    """One anatomical landmark, defined on the rig of the body model.

    kind:
      tip     the skin point farthest along `bone`, among vertices whose largest skin weight is `bone`
      summit  the most cranial skin point of the posed body
      joint   the point at fraction `along` of `bone`, from its head (0) to its tail (1)
    cover_mm: own tissue that may lie in front of it; more than that and it counts as hidden.
    """

    name: str
    kind: Literal["tip", "summit", "joint"]
    bone: str = ""
    along: float = 0.0
    cover_mm: float = 25.0


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What is imaged: its patch and its landmarks. `mirror[k]` is landmark k's partner in a mirror image."""

    name: str
    height: int
    width: int
    landmarks: tuple[Landmark, ...]
    mirror: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the patch in pixels."""
        return self.height, self.width

    @property
    def names(self) -> tuple[str, ...]:
        """Landmark names in their fixed order."""
        return tuple(landmark.name for landmark in self.landmarks)

    @property
    def num_landmarks(self) -> int:
        """K."""
        return len(self.landmarks)

    @property
    def silhouette_bytes(self) -> int:
        """Bytes of one bit-packed silhouette."""
        return (self.height * self.width + 7) // 8


def _tip(name: str, bone: str, cover_mm: float) -> Landmark:
    return Landmark(name=name, kind="tip", bone=bone, cover_mm=cover_mm)


HAND = Anatomy(
    name="hand",
    height=96,
    width=96,
    landmarks=tuple(
        _tip(f"{finger}_tip", f"finger{digit}-3.L", 25.0)
        for digit, finger in enumerate(("thumb", "index", "middle", "ring", "little"), start=1)
    ),
    mirror=(0, 1, 2, 3, 4),
)

BODY = Anatomy(
    name="body",
    height=160,
    width=76,
    landmarks=(
        Landmark(name="head_top", kind="summit", cover_mm=120.0),
        Landmark(name="left_shoulder", kind="joint", bone="upperarm01.L", cover_mm=140.0),
        Landmark(name="right_shoulder", kind="joint", bone="upperarm01.R", cover_mm=140.0),
        _tip("left_middle_fingertip", "finger3-3.L", 25.0),
        _tip("right_middle_fingertip", "finger3-3.R", 25.0),
        Landmark(name="left_knee", kind="joint", bone="lowerleg01.L", cover_mm=140.0),
        Landmark(name="right_knee", kind="joint", bone="lowerleg01.R", cover_mm=140.0),
        _tip("left_big_toe", "toe1-2.L", 50.0),
        _tip("right_big_toe", "toe1-2.R", 50.0),
    ),
    mirror=(0, 2, 1, 4, 3, 6, 5, 8, 7),
)

ANATOMIES = {anatomy.name: anatomy for anatomy in (HAND, BODY)}

# Codes of the `visible` column.
OUTSIDE, OUTLINE, INSIDE, HIDDEN = 0, 1, 2, 3
VISIBILITY_NAMES = ("outside the field of view", "on the outline", "inside the silhouette", "hidden")


def anatomy_named(name: str) -> Anatomy:
    """The anatomy of that name. Raises ValueError for an unknown one."""
    if name not in ANATOMIES:
        raise ValueError(f"anatomy {name!r} does not exist; choose one of {', '.join(sorted(ANATOMIES))}")
    return ANATOMIES[name]


def visibility(
    points: NDArray[np.floating[Any]],
    silhouette: NDArray[np.bool_],
    depth_mm: NDArray[np.floating[Any]] | None,
    anatomy: Anatomy,
    outline_px: float = 1.5,
) -> NDArray[np.uint8]:
    """(K,) visibility codes of landmarks `points` (K, 3: patch px, patch px, depth mm) on one patch.

    A landmark is OUTSIDE beyond the patch, HIDDEN where the first surface lies more than its `cover_mm`
    before it, on the OUTLINE where background lies within `outline_px`, INSIDE otherwise.
    Points that are NaN are OUTSIDE. depth_mm (H, W) or None where unknown: then nothing is HIDDEN.
    """
    height, width = silhouette.shape
    codes = np.full(len(points), OUTSIDE, np.uint8)
    rows, cols = np.indices(silhouette.shape) + 0.5
    for k, (x, y, z) in enumerate(np.asarray(points, np.float64)):
        if not (0 <= x < width and 0 <= y < height):
            continue
        near = np.hypot(rows - y, cols - x) <= outline_px
        codes[k] = INSIDE if silhouette[near].all() else OUTLINE
        tissue = near & silhouette
        if depth_mm is not None and np.isfinite(z) and tissue.any():
            surface = float(np.asarray(depth_mm)[tissue].max())
            if z - surface > anatomy.landmarks[k].cover_mm:
                codes[k] = HIDDEN
    return codes
