"""Whether a picture shows one hand or two: which of two is meant is never guessed."""

import numpy as np
from scipy import ndimage

from synth.domain.projection import Projection, Volume
from synth.domain.radiograph import Image

SECOND = 0.4  # a part of this share of the largest one is no marker, ruler or loose fingertip


def check_single(source: Image | Volume, view: Projection) -> None:
    """Raise ValueError where a second part of the picture is nearly as large as the one in `view`.

    What touches two edges of the picture is its frame or collimation, no hand.
    """
    second = _second(source, view)
    if second >= SECOND:
        raise ValueError(
            f"shows two parts, one {second:.0%} of the size of the other: two hands? cut out the one meant"
        )


def _second(source: Image | Volume, view: Projection) -> float:
    """Size of the second part of an image or volume over that of the largest one."""
    if isinstance(source, Image):
        assert view.beyond is not None
        mask = view.beyond
    else:
        mask = np.asarray(source.voxels.max(1) > view.threshold)
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    edges = [set(np.unique(edge)) for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1])]
    largest = int(sizes.argmax())
    alone = [part for part in range(1, len(sizes)) if part != largest and sum(part in edge for edge in edges) < 2]
    return float(max((sizes[part] for part in alone), default=0) / sizes[largest])
