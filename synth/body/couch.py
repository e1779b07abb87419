"""The couch under bodies and the front of their trunks, as far as limbs need them to lie on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.skeleton import Rows, Vector, dot, length, unit

STRIP_M = 0.035  # half the breadth of the strip of skin that is looked up
BAND_M = 0.06  # half the height of the band of skin whose breadth is taken
ALLOWED_M = 0.015  # how deep a forearm may press into the flank
THIGHS_M = 0.3  # how far below the trunk its front is taken to go on
STEP_M = 0.02  # between the heights at which it is
NEAR_M = 0.07  # around a place on the front, within which its skin gives the normal there
FOREARM = np.array([0.0, 0.25, 0.5, 0.75])  # where along it, from the elbow, a forearm is held against the trunk
FOREARM_RADII = 1 - 0.35 * FOREARM  # there, in radii of the elbow


@dataclass(frozen=True, kw_only=True, eq=False)
class Couch:
    """What limbs of N bodies lie on, in the frame of the couch: +x the subject's left, +y down to the couch, +z along
    the chest.

    level (N,): y (m) of the couch; half_breadth (N,): of the hips, thighs included (m); middle, hips (N,): x and z (m)
    of the trunk's midline there; skin (N, 3, S), normals (N, 3, S): of the trunk, coordinates first, since all x, y
    and z are wanted at a time; front (N, S): where it looks up.
    Methods ask for M places, each on the trunk of one of the `bodies` (M,).
    """

    level: Vector
    half_breadth: Vector
    middle: Vector
    hips: Vector
    skin: Vector
    normals: Vector
    front: NDArray[np.bool_]

    def breadth(self, bodies: Rows, sign: Vector, height: Vector) -> Vector:
        """(M,) how far (m) the trunk reaches to the side `sign` (M,) around a height (M,); below the hips, as they do;
        -inf above the shoulders."""
        x, z = self.skin[bodies, 0], self.skin[bodies, 2]
        around = np.abs(z - np.maximum(height, z.min(1))[:, None]) < BAND_M
        own = np.where(around, sign[:, None] * x, -np.inf).max(1)
        hips = np.maximum(own, sign * self.middle[bodies] + self.half_breadth[bodies])
        return np.where(height > self.hips[bodies] + BAND_M, own, hips)

    def first_beside(self, bodies: Rows, elbows: Vector, wrist: Vector, radius: Vector) -> Rows:
        """(M,) the first of (M, E, 3) elbows from which a forearm of this radius reaches the wrist without entering the
        trunk; else the one from which it enters least."""
        shares = FOREARM[:, None]
        arms = elbows[:, :, None] * (1 - shares) + wrist[:, None, None] * shares
        flat = arms.reshape(len(arms), -1, 3)
        skin = self.skin[bodies]
        nearest = ((skin**2).sum(1)[:, None] - 2 * flat @ skin).argmin(2)
        body = bodies[:, None]
        offset = flat - self.skin[body, :, nearest]
        apart = dot(offset, self.normals[body, :, nearest]).reshape(arms.shape[:3])
        depth = (radius[:, None, None] * FOREARM_RADII - apart).max(2)
        free = depth < ALLOWED_M
        return np.where(free.any(1), free.argmax(1), depth.argmin(1))

    def front_path(self, bodies: Rows, top: Vector, share: Vector) -> tuple[Vector, Rows]:
        """(path (M, P, 3), last (M,)): down the front skin from heights `top` (M,) to the thighs, at place `last`; what
        comes after means nothing. share (M,): how far from the midline, to the left, in half breadths."""
        x, y, z = self.skin[bodies].swapaxes(0, 1)
        front = self.front[bodies]
        low, high = np.where(front, x, np.inf).min(1) + STRIP_M, np.where(front, x, -np.inf).max(1) - STRIP_M
        along = np.minimum(np.maximum(self.middle[bodies] + share * self.half_breadth[bodies], low), high)
        strip = front & (np.abs(x - along[:, None]) < STRIP_M)  # of a trunk bent aside, too
        lowest = np.where(strip, z, np.inf).min(1)
        heights = top[:, None] - STEP_M * np.arange(np.ceil((top - lowest) / STEP_M).max())
        skin = np.full(heights.shape, np.inf)  # its highest point, -y, within STEP_M of each height
        arm, point = np.nonzero(strip)
        step = np.floor((top[arm] - z[arm, point]) / STEP_M).astype(np.intp)
        for near in (step, step + 1):
            there = (near >= 0) & (near < heights.shape[1])
            np.minimum.at(skin, (arm[there], near[there]), y[arm, point][there])
        known = np.isfinite(skin) & (heights > lowest[:, None])
        return _with_thighs(along, skin, heights, known)

    def front_normal(self, bodies: Rows, place: Vector) -> Vector:
        """(M, 3) unit normals of the front skin around places (M, 3) on it."""
        near = self.front[bodies] & (((self.skin[bodies] - place[:, :, None]) ** 2).sum(1) < NEAR_M**2)
        normals = np.where(near[:, None], self.normals[bodies], 0.0).sum(2)
        return unit(np.where(near.any(1)[:, None], normals, [0.0, -1.0, 0.0]))


def _with_thighs(x: Vector, skin: Vector, heights: Vector, known: NDArray[np.bool_]) -> tuple[Vector, Rows]:
    """As Couch.front_path, from the y (M, P) of the skin at heights (M, P) where it is `known` (M, P)."""
    row, last = np.arange(len(x)), known.sum(1)
    order = np.argsort(~known, axis=1, kind="stable")  # the known ones first
    skin, heights = (np.take_along_axis(part, order, axis=1) for part in (skin, heights))
    path = np.zeros((len(x), skin.shape[1] + 1, 3))
    path[:, :, 0], path[:, :-1, 1], path[:, :-1, 2] = x[:, None], skin, heights
    four = np.maximum(last[:, None] - np.arange(1, 5), 0)
    path[row, last, 1] = path[row[:, None], four, 1].min(1)  # thighs are about as high as the pubis
    path[row, last, 2] = path[row, last - 1, 2] - THIGHS_M
    return path, last


def place_at(path: Vector, last: Rows, shoulder: Vector, distance: Vector, above: Vector | float) -> Vector:
    """(M, 3) points `above` (m) paths (see Couch.front_path), this far (M,) from shoulders (M, 3), or as nearly as can
    be."""
    row = np.arange(len(path))
    path = path.copy()
    path[:, :, 1] -= np.reshape(above, (-1, 1))
    apart = np.where(np.arange(path.shape[1]) <= last[:, None], length(path - shoulder[:, None]), -np.inf)
    beyond = apart >= distance[:, None]
    after = np.where(beyond.any(1), beyond.argmax(1), last)
    before = np.maximum(after - 1, 0)
    share = (distance - apart[row, before]) / (apart[row, after] - apart[row, before] + (after == 0))
    share = np.where(beyond.any(1) & (after > 0), share, 1.0)[:, None]
    return np.asarray(path[row, before] + share * (path[row, after] - path[row, before]))
