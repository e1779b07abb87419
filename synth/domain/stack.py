"""From single slices with a place each to one regular stack, or a sentence on why they are none. Numpy alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.domain.patch import Matrix

SAME_MM = 0.01  # slices closer than this share a position
UNEVEN = 0.05  # gaps may differ from the usual one by this share of it
SIDEWAYS_MM = 0.5  # slices may lie this far off the line through the first and the last
PARALLEL = 1e-3  # direction cosines of slices of one stack differ by less
FEW = 0.1  # a share of slices with another size or direction that may be left out
TILT_DEG = 0.1  # a smaller tilt is rounding in the headers


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How a slice stands in its file: 16-bit words from byte `start`, whose lower `bits` count, signed or not."""

    start: int
    bits: int
    signed: bool


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One slice: frame `index` of `file`, and where it lies.

    size: (width, height); spacing_mm: (x, y); axes: (3, 2) unit vectors in LPS along a row and down a column
    origin_mm: (3,) LPS centre of the first pixel; slope, intercept: stored value -> value
    localizer: the header calls it one; stored: None where a library must decode it
    """

    file: Path
    index: int
    size: tuple[int, int]
    spacing_mm: tuple[float, float]
    axes: Matrix
    origin_mm: NDArray[np.float64]
    slope: float = 1.0
    intercept: float = 0.0
    localizer: bool = False
    stored: Stored | None = None

    @property
    def normal(self) -> NDArray[np.float64]:
        """(3,) unit vector across the slice."""
        return np.cross(self.axes[:, 0], self.axes[:, 1])

    def alike(self, other: "Frame") -> bool:
        """Whether both have the same size, spacing and directions."""
        return (
            self.size == other.size
            and all(abs(s - o) <= PARALLEL * o for s, o in zip(self.spacing_mm, other.spacing_mm, strict=True))
            and float(np.abs(self.axes - other.axes).max()) < PARALLEL
        )


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Slices in order along their normal, evenly spaced.

    direction: (3, 3) columns of unit length along row, column and from slice to slice, the last one not at a right
    angle to the others where the gantry was tilted; spacing_mm, origin_mm: (3,) as SimpleITK has them
    """

    frames: tuple[Frame, ...]
    direction: Matrix
    spacing_mm: NDArray[np.float64]
    origin_mm: NDArray[np.float64]
    notes: tuple[str, ...]


def arrange(frames: Sequence[Frame], same_pixels: Callable[[Frame, Frame], bool]) -> Stack:
    """The one regular stack that the slices make.

    same_pixels: whether two slices at one position show the same, so that one of them can be dropped.
    Raises: ValueError, a predicate without its subject, for slices that are missing, uneven, doubled or mixed.
    """
    kept, notes = _one_kind(frames)
    normal = kept[0].normal
    kept = sorted(kept, key=lambda frame: float(normal @ frame.origin_mm))
    kept, dropped = _without_copies(kept, normal, same_pixels)
    if len(kept) < 2:
        raise ValueError("has 1 slice; a volume needs at least 2: give the folder with all of its slices")
    origins = np.array([frame.origin_mm for frame in kept])
    _check_gaps(origins @ normal)
    step = (origins[-1] - origins[0]) / (len(kept) - 1)
    sideways = origins - origins[0] - np.outer((origins - origins[0]) @ normal / (step @ normal), step)
    if (worst := float(np.linalg.norm(sideways, axis=1).max())) > SIDEWAYS_MM:
        raise ValueError(f"has slices shifted sideways by up to {worst:.3g} mm against each other; export it again")
    length = float(np.linalg.norm(step))
    tilt = float(np.rad2deg(np.arccos(np.clip(step @ normal / length, -1, 1))))
    if tilt > TILT_DEG:
        notes += (f"gantry tilted by {tilt:.1f} degrees: resampled to straight slices",)
    else:
        step, length = normal * float(step @ normal), float(step @ normal)
    return Stack(
        frames=tuple(kept),
        direction=np.column_stack([kept[0].axes, step / length]),
        spacing_mm=np.array([*kept[0].spacing_mm, length]),
        origin_mm=kept[0].origin_mm,
        notes=notes + dropped,
    )


def _one_kind(frames: Sequence[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """(the slices of the commonest size and direction, what was left out)."""
    kinds: list[list[Frame]] = []
    for frame in frames:
        for kind in kinds:
            if kind[0].alike(frame):
                kind.append(frame)
                break
        else:
            kinds.append([frame])
    kinds.sort(key=len, reverse=True)
    rest = [frame for kind in kinds[1:] for frame in kind]
    if not rest:
        return kinds[0], ()
    if len(rest) > FEW * len(frames) and not all(frame.localizer for frame in rest):
        sizes = ", ".join(f"{len(kind)} of {kind[0].size[0]} x {kind[0].size[1]}" for kind in kinds[:5])
        raise ValueError(f"mixes slices of {len(kinds)} sizes or directions ({sizes}); export one series alone")
    sizes = ", ".join(f"{len(kind)} of {kind[0].size[0]} x {kind[0].size[1]}" for kind in kinds[1:6])
    return kinds[0], (f"left out {len(rest)} slices of another size or direction (localizers?): {sizes}",)


def _without_copies(
    frames: list[Frame], normal: NDArray[np.float64], same_pixels: Callable[[Frame, Frame], bool]
) -> tuple[list[Frame], tuple[str, ...]]:
    """(sorted frames, each position once; what was dropped)."""
    kept = frames[:1]
    for frame in frames[1:]:
        if float(normal @ (frame.origin_mm - kept[-1].origin_mm)) > SAME_MM:
            kept.append(frame)
        elif not same_pixels(frame, kept[-1]):
            at = float(normal @ frame.origin_mm)
            reason = "several echoes, phases or times in one series?"
            raise ValueError(f"has different slices at one position ({at:.1f} mm; {reason}); export one of them alone")
    dropped = len(frames) - len(kept)
    return kept, ((f"dropped {dropped} slices that are there twice",) if dropped else ())


def _check_gaps(at: NDArray[np.float64]) -> None:
    """Raise ValueError where sorted positions (mm) are not evenly spaced, saying where and how many are missing."""
    gaps = np.diff(at)
    usual = float(np.median(gaps))
    ratio = gaps / usual
    wrong = np.flatnonzero(np.abs(ratio - 1) > UNEVEN)
    if wrong.size == 0:
        return
    places = ", ".join(f"{at[k]:.1f} and {at[k + 1]:.1f}" for k in wrong[:3]) + (", …" if wrong.size > 3 else "")
    whole = np.rint(ratio[wrong])
    if (np.abs(ratio[wrong] - whole) <= UNEVEN * whole).all() and whole.min() >= 2:
        missing, total = int((whole - 1).sum()), len(at) + int((whole - 1).sum())
        raise ValueError(f"lacks {missing} of {total} slices, between {places} mm; export it again")
    raise ValueError(
        f"has uneven slices: {gaps.min():.3g} to {gaps.max():.3g} mm apart instead of {usual:.3g}, first between "
        f"{places} mm; export it again, or resample it"
    )
