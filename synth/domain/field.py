"""The field of a radiograph: what collimator, shutter, cassette or the edge of a scanned film leave of a picture."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

TOLERANCES = 0.03, 0.006  # of the picture's range: how far the values of a frame spread; a shutter has one value
LEVELS = 4  # how many values along the rim are tried
STRIPS = 3  # frames within frames: paper, film, collimator
SMALLEST = 0.15  # a field covers at least this share of the picture
THINNEST = 0.004  # and a frame this share
BOX = 0.85  # of the least box around a field: an ellipse fills 0.79, a box without its corners more than 0.9
HAIR = 7  # px: what is thinner does not belong to a field, such as a hair across the edge of a film
BAND = 3  # px beside the edge that are compared
RIM_IS_FRAME = 0.8  # of the band outside a field
EDGE_IS_FIELD = 0.85  # of the band inside it; even a closed hand on plain air touches its hull with less
CONTRAST = 2.0  # times the tolerance between frame and field

Mask = NDArray[np.bool_]


def find_field(pixels: NDArray[np.float32]) -> Mask:
    """(H, W) the convex region that frames of one value leave, all of the picture where there is none.

    A frame begins at the picture's border; where what it leaves is cut out, its edge is straight, sharp, and convex.
    """
    field = np.ones(pixels.shape, np.bool_)
    low, high = (float(v) for v in np.percentile(pixels, (0.5, 99.5)))
    if low == high:
        return field
    for _ in range(STRIPS):
        found = (_without_frame(pixels, field, share * (high - low)) for share in TOLERANCES)
        inner = next((inner for inner in found if inner is not None), None)
        if inner is None:
            break
        field = inner
    return field


def _without_frame(pixels: NDArray[np.float32], field: Mask, tolerance: float) -> Mask | None:
    """The field without the largest frame around it; None where there is none."""
    rim = field & ~_eroded(field, BAND)
    values = np.round(pixels[rim] / tolerance)
    levels, counts = np.unique(values, return_counts=True)
    common = levels[np.argsort(-counts)][:LEVELS]
    found = [_inside(pixels, field, rim, level * tolerance, tolerance) for level in common]
    return min((inner for inner in found if inner is not None), key=np.sum, default=None)


def _inside(pixels: NDArray[np.float32], field: Mask, rim: Mask, level: float, tolerance: float) -> Mask | None:
    """What a frame of one level leaves of the field; None where its edge is not that of a frame."""
    labels, _ = ndimage.label(field & (np.abs(pixels - level) <= tolerance))
    touching = np.unique(labels[rim & (labels > 0)])
    frame = np.isin(labels, touching) & (labels > 0)
    rest = ndimage.binary_opening(field & ~frame, np.ones((HAIR, HAIR)))
    labels, count = ndimage.label(rest)
    if count == 0:
        return None
    rest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    hull = convex_hull(rest) & field
    left = field & ~hull
    if hull.mean() < SMALLEST or left.mean() < THINNEST or not _is_box(hull):
        return None
    outside = ndimage.binary_dilation(hull, iterations=BAND) & left
    inside = hull & ndimage.binary_dilation(left, iterations=BAND)
    deeper = hull & ndimage.binary_dilation(inside, iterations=BAND) & ~inside
    sharp = np.median(np.abs(pixels[deeper] - level)) >= CONTRAST * tolerance
    framed = frame[outside].mean() >= RIM_IS_FRAME and (~frame[deeper]).mean() >= EDGE_IS_FIELD
    return hull if sharp and framed else None


def _eroded(mask: Mask, pixels: int) -> Mask:
    """The mask without a band of so many px; what lies beyond the picture counts as outside."""
    return np.asarray(ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=pixels))


def _is_box(mask: Mask) -> bool:
    """Whether a convex mask is a box, turned anyhow, but for its corners."""
    corners = _corners(mask)
    sides = np.roll(corners, -1, 0) - corners
    along = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    across = along[:, ::-1] * [-1, 1]
    areas = np.ptp(corners @ along.T, axis=0) * np.ptp(corners @ across.T, axis=0)
    return bool(mask.sum() >= BOX * areas.min())


def _corners(mask: Mask) -> NDArray[np.float64]:
    """(N, 2) corners (x, y) of the convex hull of a mask's pixels, in order."""
    rows = np.flatnonzero(mask.any(1))
    first, last = mask.argmax(1)[rows], mask.shape[1] - 1 - mask[:, ::-1].argmax(1)[rows]
    points = np.concatenate([np.column_stack([first, rows]), np.column_stack([last, rows])]).astype(np.float64)
    return np.asarray(points[ConvexHull(points, qhull_options="QJ").vertices])


def convex_hull(mask: Mask) -> Mask:
    """(H, W) pixels whose centres lie in the convex hull of a mask's."""
    if mask.any(1).sum() < 2 or mask.any(0).sum() < 2:
        return mask
    corners = _corners(mask)
    y = np.arange(mask.shape[0], dtype=np.float64)
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        low, high = min(y0, y1), max(y0, y1)
        on = (y >= low) & (y <= high)
        x = np.full(len(y), x0) if y1 == y0 else x0 + (y - y0) * (x1 - x0) / (y1 - y0)
        for end in {x0, x1} if y1 == y0 else {None}:
            at = x if end is None else np.full(len(y), end)
            left[on], right[on] = np.minimum(left, at)[on], np.maximum(right, at)[on]
    x = np.arange(mask.shape[1])
    return np.asarray((x >= left[:, None] - 0.5) & (x <= right[:, None] + 0.5))
