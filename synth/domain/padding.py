"""Which columns of a CT its reconstruction did not see: where padding stands beside the body. Numpy and scipy."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.cells import Grid, Mask, grown
from synth.domain.patch import silhouette_box

NO_HU = -1500.0  # nothing that was measured lies below
INNER, RIM = 0.8, 0.97  # of the radius of the largest circle in a slice: between them there is air that was measured
ALL, FEW = 0.99, 0.5  # shares of padding beyond the circle, and in that ring at most


def padding_value(voxels: NDArray[np.generic]) -> float | None:
    """The value that fills what a CT (Z, Y, X) did not see; None where there is none.

    It is one value in all four corners of the middle slice, and either too low for HU or the only one outside the
    largest circle while others are found inside: -1024 may be air that was cut off at it, too.
    """
    middle = voxels[len(voxels) // 2]
    corners = middle[[0, 0, -1, -1], [0, -1, 0, -1]].astype(np.float64)
    if (corners != corners[0]).any():
        return None
    value = float(corners[0])
    if value < NO_HU:
        return value
    height, width = middle.shape
    y, x = np.ogrid[:height, :width]
    radius = np.hypot((y - height / 2 + 0.5) / (height / 2), (x - width / 2 + 0.5) / (width / 2))
    same = middle == corners[0]
    beyond, ring = same[radius > 1.01], same[(radius > INNER) & (radius < RIM)]
    if beyond.size == 0 or ring.size == 0 or beyond.mean() < ALL or ring.mean() > FEW:
        return None
    return value


def observed_columns(voxels: NDArray[np.generic], grid: Grid, body: Mask) -> Mask | None:
    """(Z, X) bool: columns that were seen, or would show no more of the body than they do; None for all.

    body: (Z', Y', X') cells. Where the body meets padding, the columns from there on in which padding stands at the
    depth of the body are unknown: it may go on there. Padding that the body does not reach hides nothing.
    """
    value = padding_value(voxels)
    if value is None:
        return None
    other = grid.pooled(np.not_equal(voxels, voxels.dtype.type(value)))
    full = grown(~grown(other, (0, 1, 1)), (0, 1, 1))  # nothing but padding, three cells wide: no noise is
    meets = (body & grown(full, (1, 1, 1))).any(1)
    if not meets.any():
        return None
    depths = body.any(2)[:, :, None]
    hidden = (full & depths).any(1) & ~body.any(1)
    parts, count = ndimage.label(hidden | meets, np.ones((3, 3)))
    touched = np.zeros(count + 1, bool)
    touched[np.unique(parts[meets])] = True
    unknown = touched[parts] & hidden
    if not unknown.any():
        return None
    fine = unknown.repeat(grid.steps[0], 0).repeat(grid.steps[2], 1)
    return np.asarray(~fine[: grid.shape[0], : grid.shape[2]])


def unseen_sides(observed: NDArray[np.bool_], mask: NDArray[np.bool_]) -> list[str]:
    """The sides of a silhouette (H, W) beside which pixels are not observed."""
    left, top, right, bottom = silhouette_box(mask)
    row, col = (~observed).nonzero()
    beside = (row >= top) & (row < bottom)
    on_left = col < (left + right) / 2
    sides = {"left": beside & on_left, "right": beside & ~on_left, "top": row < top, "bottom": row >= bottom}
    return [name for name, where in sides.items() if where.any()]
