"""The couch under a body and the front of its trunk, as far as limbs need them to lie on."""

from dataclasses import dataclass

import numpy as np

from synth.skeleton import Vector, unit

STRIP_M = 0.035  # half the breadth of the strip of skin that is looked up
BAND_M = 0.06  # half the height of the band of skin whose breadth is taken
ALLOWED_M = 0.015  # how deep a forearm may press into the flank
THIGHS_M = 0.3  # how far below the trunk its front is taken to go on
STEP_M = 0.02  # between the heights at which it is


@dataclass(frozen=True, kw_only=True)
class Couch:
    """What limbs lie on, in the frame of the couch: +x the subject's left, +y down to the couch, +z along the chest.

    level: y (m) of the couch; half_breadth: of the hips, thighs included (m); middle, hips: x and z (m) of the trunk's
    midline there;
    skin (N, 3), normals (N, 3): of the trunk; front (M, 3), front_normals (M, 3): the part that looks up.
    """

    level: float
    half_breadth: float
    middle: float
    hips: float
    skin: Vector
    normals: Vector
    front: Vector
    front_normals: Vector

    def breadth(self, sign: float, height: float) -> float:
        """How far (m) the trunk reaches to the side `sign` (1 left) around a height; below the hips, as they do."""
        around = np.abs(self.skin[:, 2] - max(height, self.skin[:, 2].min())) < BAND_M
        own = float((sign * self.skin[around, 0]).max())
        return own if height > self.hips + BAND_M else max(own, sign * self.middle + self.half_breadth)

    def first_beside(self, elbows: Vector, wrist: Vector, radius: float) -> int:
        """The first of (N, 3) elbows from which a forearm of this radius reaches the wrist without entering the trunk;
        else the one from which it enters least."""
        shares = np.array([0.0, 0.25, 0.5, 0.75])[:, None]
        arms = (elbows[:, None] * (1 - shares) + wrist * shares).reshape(-1, 3)
        squares = (self.skin**2).sum(1) - 2 * arms @ self.skin.T
        nearest = squares.argmin(1)
        apart = np.einsum("na,na->n", arms - self.skin[nearest], self.normals[nearest])
        depth = (radius * (1 - 0.35 * np.tile(shares[:, 0], len(elbows))) - apart).reshape(len(elbows), -1).max(1)
        free = np.flatnonzero(depth < ALLOWED_M)
        return int(free[0] if len(free) else depth.argmin())

    def place_on_front(self, shoulder: Vector, distance: float, share: float, above: float) -> Vector:
        """(3,) point `above` (m) the front skin, this far from a shoulder, or as nearly as it can be.

        share: how far from the midline, to the left, in half breadths.
        """
        sides = self.front[:, 0].min() + STRIP_M, self.front[:, 0].max() - STRIP_M
        x = float(np.clip(self.middle + share * self.half_breadth, *sides))  # of a trunk bent aside, too
        points = self.front[np.abs(self.front[:, 0] - x) < STRIP_M]
        heights = np.arange(shoulder[2] - 0.15, points[:, 2].min(), -STEP_M)
        inside = np.abs(points[:, 2] - heights[:, None]) < STEP_M
        front = np.where(inside, points[:, 1], np.inf).min(1)
        known = np.isfinite(front)
        path = np.column_stack([np.full(len(heights), x), front - above, heights])[known]
        thighs = [x, path[-4:, 1].min(), path[-1, 2] - THIGHS_M]  # about as high as the pubis
        path = np.vstack([path, thighs])
        apart = np.linalg.norm(path - shoulder, axis=1)
        beyond = np.flatnonzero(apart >= distance)
        if not len(beyond) or beyond[0] == 0:
            return np.asarray(path[-1] if not len(beyond) else path[0])
        after = beyond[0]
        share = (distance - apart[after - 1]) / (apart[after] - apart[after - 1])
        return np.asarray(path[after - 1] + share * (path[after] - path[after - 1]))

    def front_normal(self, place: Vector) -> Vector:
        """(3,) unit normal of the front skin around a place on it."""
        near = np.linalg.norm(self.front - place, axis=1) < 0.07
        return unit(self.front_normals[near].mean(0)) if near.any() else np.array([0.0, -1.0, 0.0])
