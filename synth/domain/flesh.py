"""Whether an outline is that of a hand's flesh, or of what a window leaves of it: its bones, its palm."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.field import convex_hull
from synth.domain.projection import Projection

FINGER = 0.021  # of the root of the outline's hull: no finger of any age is thinner than twice this, its bones are
LOST = 0.02  # of the outline: so much may be thinner
HOLES = 0.1  # of the outline: a thumb and a finger that touch enclose less
REACH = 2.75  # palm radii: the middle finger's tip lies farther from the palm's centre, 2.9 to 4 in all hands

Mask = NDArray[np.bool_]


def flesh_notes(view: Projection) -> tuple[str, ...]:
    """What a person should look at in the outline of a hand.

    Raises: ValueError where a picture's air is cut off and what is left of the hand has no fingers, or only bones.
    """
    mask = view.silhouette
    odd = thin_share(mask) > LOST or reach(mask) < REACH
    if odd and view.clipped:
        raise ValueError(
            "shows bones without the flesh of the fingers, or air that is cut off in parts: export it without a window "
            "(all grey values), or give --threshold"
        )
    if ndimage.binary_fill_holes(mask).sum() > (1 + HOLES) * mask.sum():
        return ("the outline has large holes: look at it",)
    return ("parts are thinner or shorter than fingers are: look at the outline",) if odd else ()


def thin_share(mask: Mask) -> float:
    """Share of an outline (H, W) that is thinner than a finger: what an opening takes away."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    body = np.pad(mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1], 1)
    radius = FINGER * float(np.sqrt(convex_hull(body).sum()))
    core = ndimage.distance_transform_edt(body) > radius
    opened = ndimage.distance_transform_edt(~core) <= radius + 0.5
    return float(1 - (opened & body).sum() / body.sum())


def reach(mask: Mask) -> float:
    """How far a hand (H, W) reaches from the middle of its palm, in radii of the palm; a forearm does not count.

    The palm is the largest disc in the outline; a forearm lies towards where the outline leaves the picture.
    """
    inner = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    middle = np.array(np.unravel_index(int(inner.argmax()), inner.shape))
    points = np.argwhere(mask) - middle
    edge = np.zeros_like(mask)
    edge[[0, -1]], edge[:, [0, -1]] = True, True
    if (edge & mask).any():
        towards = np.argwhere(edge & mask).mean(0) - middle
        points = points[points @ towards < 0]
    return float(np.sqrt((points**2).sum(1).max(initial=0)) / inner.max())
