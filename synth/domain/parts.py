"""What of a scan lies beyond the threshold, before the one part is taken: also couch, markers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.cloud import Cloud
from synth.domain.patch import sample_mask
from synth.domain.projection import SPECK, Projection, Volume
from synth.domain.radiograph import Image

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The connected parts of a scan as seen from the front, in the pixels of its projection.

    beyond: (H, W) bool what lies beyond the threshold; count: parts of it that are no specks
    second_px: size of the largest one that holds nothing of the silhouette; 0 where there is none
    beside, apart: (H, W) bool what is not the silhouette, in one part with it (a couch) and in others (a marker)
    """

    beyond: Mask
    count: int
    second_px: int
    beside: Mask
    apart: Mask


def find_parts(shown: Image | Volume | Cloud, view: Projection) -> Parts:
    """The parts of a scan, as it was cut (study.Prepared.shown), whose projection is `view`."""
    beyond = _beyond(shown, view)
    labels, _ = ndimage.label(beyond, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    own = np.zeros(len(sizes), bool)
    own[np.unique(labels[view.silhouette])] = True
    own[0] = False
    others = np.where(own, 0, sizes)
    return Parts(
        beyond=beyond,
        count=int((sizes > max(1.0, SPECK * view.silhouette.sum())).sum()),
        second_px=int(others.max()),
        beside=np.asarray(own[labels] & ~view.silhouette),
        apart=np.asarray(beyond & ~own[labels] & ~view.silhouette),
    )


def _beyond(shown: Image | Volume | Cloud, view: Projection) -> Mask:
    if isinstance(shown, Cloud):
        return view.silhouette
    if isinstance(shown, Image):
        assert view.beyond is not None
        return view.beyond
    sx, _, sz = shown.spacing_mm
    pixel = min(sx, sz)
    mask = np.asarray(shown.voxels.max(1) > view.threshold)[::-1]
    return sample_mask(
        mask, np.array([[pixel / sx, 0, 0], [0, pixel / sz, 0]]), (view.silhouette.shape[0], view.silhouette.shape[1])
    )
