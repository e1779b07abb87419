"""Whether annotated landmarks can be meant as they stand: units, axes, sides; and what would make them fit."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import OUTSIDE, Anatomy
from synth.domain.patch import Matrix

FAR = 0.25  # a landmark further outside than this share of the image's longest side is a mistake in units or axes
NARROW = 0.05  # landmarks of one person spread over more than this share of it
ON_BODY = 0.03  # of the patch's longer side: a landmark this close to the silhouette lies on the body
MOST = 0.8  # a smaller share of landmarks on the body is worth a note
SCALES = ((1.0, ""), (1000.0, "metres"), (10.0, "centimetres"))
SIGNS = ((1, 1, 1), (-1, -1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1), (-1, 1, -1), (1, -1, -1))


def check_extent(points: Matrix, low: Matrix, high: Matrix, names: tuple[str, ...], unit: str) -> None:
    """Raise ValueError where annotated points (K, 3; NaN = not annotated) do not suit the box of an image.

    low, high: (3,) corners of the box; unit: "mm LPS" or "px". The message says what would make them fit.
    """
    given = np.flatnonzero(np.isfinite(points[:, 0]))
    longest = float((high - low).max())
    far = [k for k in given if (points[k] < low - FAR * longest).any() or (points[k] > high + FAR * longest).any()]
    fitting = [
        (factor, words)
        for factor, words in (_changes() if unit == "mm LPS" else ())
        if len(given) and ((points[given] * factor >= low) & (points[given] * factor <= high)).all()
    ]
    if far:
        where, span = _text(points[far[0]]), f"{_text(low)} to {_text(high)} {unit}"
        hint = f"they fit if {fitting[0][1]}" if fitting else "check units and axes"
        raise ValueError(f"{names[far[0]]} lies far outside, at {where}; the image spans {span}: {hint}")
    larger = [words for factor, words in fitting if abs(factor[0]) > 1]
    spread = float(np.ptp(points[given], axis=0).max()) if len(given) > 1 else longest
    if spread < NARROW * longest and larger:
        raise ValueError(f"all landmarks lie within {spread:.3g} mm of each other: they fit if {larger[0]}")


def side_notes(landmarks: Matrix, anatomy: Anatomy) -> tuple[str, ...]:
    """Signs of a mirror image, in a patch (K, ≥ 2 px) that shows a left hand's back or a body from the front."""
    if anatomy.base == "hand":
        thumb, little = (
            landmarks[[name.startswith(finger) for name in anatomy.names]] for finger in ("thumb_", "little_")
        )
        if len(thumb) and len(little) and thumb[:, 0].mean() < little[:, 0].mean():
            return ("thumb on the wrong side: the hand looks mirrored; is the side right?",)
        return ()
    pairs = [(k, j) for k, j in enumerate(anatomy.mirror) if anatomy.names[k].startswith("left_")]
    pairs = [(k, j) for k, j in pairs if np.isfinite(landmarks[[k, j], 0]).all()]
    swapped = [anatomy.names[k] for k, j in pairs if landmarks[k, 0] < landmarks[j, 0]]
    if 2 * len(swapped) > len(pairs):
        text = f"{len(swapped)} of {len(pairs)} left landmarks lie on the subject's right"
        return (f"{text}: are left and right exchanged, or x and y RAS?",)
    if swapped:
        return (f"{', '.join(swapped)} on the subject's right of the other: exchanged, or are limbs crossed?",)
    return ()


def place_notes(points: Matrix, silhouette: NDArray[np.bool_], to_patch: Callable[[Matrix], Matrix]) -> tuple[str, ...]:
    """A note where landmarks lie off the body; it says which change of axes would put them on it.

    points: (K, 3) patient mm, NaN = not annotated; silhouette: (H, W) patch; to_patch: (N, 3) mm -> (N, ≥ 2) patch px
    """
    given = points[np.isfinite(points[:, 0])]
    if not len(given):
        return ()
    tissue = np.argwhere(silhouette)[:, ::-1] + 0.5
    reach = ON_BODY * max(silhouette.shape)

    def on_body(candidate: Matrix) -> int:
        apart = np.linalg.norm(to_patch(candidate)[:, None, :2] - tissue, axis=2).min(1)
        return int((apart < reach).sum())

    here = on_body(given)
    if here >= MOST * len(given):
        return ()
    text = f"{len(given) - here} of {len(given)} landmarks lie off the body"
    found = next((words for factor, words in _changes() if on_body(given * factor) == len(given)), None)
    return (f"{text}; all would lie on it if {found}" if found else f"{text}: are these its landmarks?",)


def _changes() -> Iterator[tuple[NDArray[np.float64], str]]:
    """Factors (3,) of patient mm that undo what people do by mistake, and their names, the likeliest first."""
    for scale, name in SCALES:
        for signs in SIGNS:
            words = [f"multiplied by {scale:g} (they are in {name})"] if name else []
            axes = " and ".join(axis for axis, sign in zip("xyz", signs, strict=True) if sign < 0)
            if axes:
                words.append(f"{axes} change sign" + (" (they are RAS)" if axes == "x and y" else ""))
            if words:
                yield scale * np.array(signs, np.float64), ", and ".join(words)


def _text(point: Matrix) -> str:
    return " ".join(f"{v:.0f}" for v in point)


def outside_notes(landmarks: Matrix, visible: NDArray[np.uint8], anatomy: Anatomy) -> tuple[str, ...]:
    """A note where landmarks (K, >= 1) patch px are given but lie outside by their codes (K,); () otherwise."""
    out = [name for k, name in enumerate(anatomy.names) if np.isfinite(landmarks[k, 0]) and visible[k] == OUTSIDE]
    return (f"{', '.join(out)} outside the image: kept, as not seen",) if out else ()
