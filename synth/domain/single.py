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
    if isinstance(source, Image):
        mask = (source.pixels > view.threshold) == view.bright
    else:
        mask = np.asarray(source.voxels.max(1) > view.threshold)
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    edges = [set(np.unique(edge)) for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1])]
    largest = int(sizes.argmax())
    for part in range(1, len(sizes)):
        framed = sum(part in edge for edge in edges) > 1
        if part != largest and not framed and sizes[part] >= SECOND * sizes[largest]:
            share = sizes[part] / sizes[largest]
            raise ValueError(
                f"shows two parts, one {share:.0%} of the size of the other: two hands? cut out the one meant"
            )
