"""Lungs, ribs, skull, bowel gas and airway of a virtual patient, placed by its joints. All lengths in patient mm."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.voxel_grid import Box, Grid, Vector

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Tube = tuple[Vector, Vector, float]

# Sizes are set by hand to look like those of adults on a CT; no single source.
WALL_MM = 13.0  # of muscle and ribs between the fat and the lungs
HEART_MM = 52.0
RIB_STEP_MM = 27.0
ORGAN_MM = 24.0  # size of the organs' parts between which fat lies
SKULL_MM = (6.0, 12.0)  # below the surface
SKULL_REACH_MM = 105.0  # from the middle of the skull


@dataclass(frozen=True, kw_only=True)
class Chest:
    """The frame of a trunk: origin (3,) at the spine below the lungs; axes (3, 3) rows: to the left, back, up.

    length: from the origin to the root of the neck; half: of the lungs' width; pelvis: (3,) its middle
    """

    origin: Vector
    axes: Vector
    length: float
    half: float
    pelvis: Vector

    @property
    def thorax(self) -> tuple[Vector, Vector]:
        """Two corners (3,) of a box in patient mm that holds the lungs and their ribs."""
        up = self.length * self.axes[2]
        return self._around(self.origin - 0.4 * up, self.origin + up)

    @property
    def belly(self) -> tuple[Vector, Vector]:
        """Two corners (3,) of a box in patient mm that holds the belly."""
        return self._around(self.pelvis, self.origin + 0.15 * self.length * self.axes[2])

    def _around(self, low: Vector, high: Vector) -> tuple[Vector, Vector]:
        ends, reach = np.stack([low, high]), self.half * np.array([1.6, 1.6, 0.2])
        return ends.min(0) - reach, ends.max(0) + reach

    def frame(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """(to the left, to the back, up as a share of the length) of points (..., 3)."""
        left, back, up = np.moveaxis((points - self.origin.astype(np.float32)) @ self.axes.T.astype(np.float32), -1, 0)
        return left, back, up / np.float32(self.length)


def chest_of(joints: Mapping[str, Vector]) -> Chest | None:
    """The trunk's frame, None where the joints are those of a hand. Broad shoulders alone make no wider lungs."""
    if "neck01" not in joints:
        return None
    origin, up = joints["spine02"], joints["neck01"] - joints["spine02"]
    length = float(np.linalg.norm(up))
    across = joints["upperarm01.L"] - joints["upperarm01.R"]
    up = up / length
    left = across - (across @ up) * up
    width = float(np.linalg.norm(left))
    left /= width
    axes = np.stack([left, np.cross(up, left), up])
    return Chest(
        origin=origin, axes=axes, length=length, half=min(0.38 * width, 0.42 * length), pelvis=joints["spine05"]
    )


def lungs_in(chest: Chest, below_fat: Floats, grid: Grid, rng: np.random.Generator) -> Mask:
    """Two lungs within the chest wall, above a domed diaphragm, the heart between them; (z, y, x) of `grid`.

    below_fat: depth below the fat under the skin, mm
    """
    left, back, up = chest.frame(grid.points(grid.all))
    breath = rng.uniform(-0.08, 0.08)  # how deep the patient has breathed in
    taper = np.sqrt(np.clip(1 - (np.maximum(up - 0.1, 0) / 0.78) ** 3, 0, 1))
    aside = np.abs(left) / chest.half
    middle = back + 0.12 * chest.half  # the chest's middle lies before the spine
    oval = aside**2.5 + np.abs(middle / (0.95 * chest.half)) ** 2.5 < np.maximum(taper, 1e-3) ** 2.5
    dome = 0.2 + np.where(left > 0, -0.04, 0.0) - breath - 0.55 * (aside - 0.5) ** 2
    dome -= 0.25 * np.maximum(middle / chest.half, 0) ** 2 * 2
    heart_at = np.array([0.2 * chest.half, -0.4 * chest.half, 0.32 * chest.length])
    from_heart = np.stack([left, back, up * chest.length], -1) - heart_at.astype(np.float32)
    heart = np.linalg.norm(from_heart, axis=-1) < HEART_MM
    between = np.abs(left) < 20 + 14 * np.clip(0.3 - middle / chest.half, 0, 1)
    inside = oval & (up > dome) & (up < 0.9) & ~heart & ~between & (below_fat > WALL_MM)
    pieces, _ = ndimage.label(inside)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.isin(pieces, np.flatnonzero(sizes > 0.1 * sizes.max()))  # crumbs along the wall are none


def ribs_in(chest: Chest, lungs: Mask, depth: Floats, below_fat: Floats, grid: Grid) -> Mask:
    """Ribs around the lungs that fall from the spine to the front; (z, y, x) of `grid`."""
    if not lungs.any():
        return lungs
    left, back, up = chest.frame(grid.points(grid.all))
    outside = ndimage.distance_transform_edt(~lungs, sampling=grid.spacing[::-1])
    level = up * chest.length - 0.45 * back
    rib = np.mod(level, RIB_STEP_MM) < 0.4 * RIB_STEP_MM
    near = (outside > 1) & (outside < 9) & (below_fat > 1) & (below_fat < WALL_MM + 1)
    return np.asarray(near & rib & (np.abs(left) > 18) & (depth > 4))


def gas_in(chest: Chest, below_fat: Floats, grid: Grid, rng: np.random.Generator) -> tuple[Mask, Box]:
    """(a smooth blob of gas in the bowel, the box it lies in): within the belly, nearer to its front."""
    share = rng.uniform(0.15, 0.75)  # from the pelvis to the diaphragm
    centre = chest.pelvis + share * (chest.origin - chest.pelvis)
    centre = centre + np.array([rng.uniform(-0.7, 0.7), rng.uniform(-0.75, -0.2), 0.0]) * chest.half @ chest.axes
    radii = rng.uniform(7, 20, 3)
    bend = rng.normal(0, 0.35, 3)
    box = grid.box(centre - 1.6 * radii.max(), centre + 1.6 * radii.max())
    relative = (grid.points(box) - centre.astype(np.float32)) / radii.astype(np.float32)
    x, y, z = np.moveaxis(relative, -1, 0)
    bulge = x**2 + y**2 + z**2 + bend[0] * x * y + bend[1] * y * z + bend[2] * z * x
    return np.asarray((bulge < 1) & (below_fat[box] > 12)), box


def organ_fat_in(chest: Chest, below_fat: Floats, grid: Grid, share: float, rng: np.random.Generator) -> Mask:
    """Patches of fat between the organs of the belly, about this share of it; (z, y, x) of `grid`."""
    coarse = grid.coarse(ORGAN_MM)
    drawn = rng.uniform(0, 1, (len(coarse.z), len(coarse.y), len(coarse.x))).astype(np.float32)
    patches = coarse.interpolate(drawn, grid) < 0.25 + 0.5 * share  # of means of uniform values, most lie about 0.5
    _, _, up = chest.frame(grid.points(grid.all))
    low = float((chest.pelvis - chest.origin) @ chest.axes[2]) / chest.length
    return np.asarray(patches & (up > low) & (up < 0.15) & (below_fat > WALL_MM))


def skull_in(depth: Floats, joints: Mapping[str, Vector], grid: Grid) -> Mask:
    """The vault of the skull: a shell some mm below the surface of the head; (z, y, x) of `grid`."""
    shell = np.zeros(depth.shape, np.bool_)
    if "eye.L" not in joints:
        return shell
    forwards, _, up = _head_frame(joints)
    middle = joints["head"] + 35 * forwards + 55 * up
    box = grid.box(middle - SKULL_REACH_MM, middle + SKULL_REACH_MM)
    relative = grid.points(box) - middle.astype(np.float32)
    low, high = SKULL_MM
    above = relative @ up.astype(np.float32) > -50
    near = np.linalg.norm(relative, axis=-1) < SKULL_REACH_MM
    shell[box] = near & above & (depth[box] > low) & (depth[box] < high)
    return shell


def airway_of(joints: Mapping[str, Vector], opened: bool) -> list[Tube]:
    """Tubes (start, end, radius) from the mouth to the windpipe's end; from outside the lips where it is open."""
    chest = chest_of(joints)
    if chest is None or "eye.L" not in joints:
        return []
    forwards, eyes, up = _head_frame(joints)
    lips = eyes - 65 * up
    ahead = -chest.axes[1]
    throat, larynx = joints["neck03"] + 20 * forwards, joints["neck01"] + 32 * ahead + 20 * chest.axes[2]
    fork = chest.origin + 0.62 * chest.length * chest.axes[2] + 12 * ahead
    front = [(lips + 60 * forwards, lips - 25 * forwards, 6.0)] if opened else []
    return [*front, (lips - 25 * forwards, throat, 9.0), (throat, larynx, 8.0), (larynx, fork, 8.0)]


def _head_frame(joints: Mapping[str, Vector]) -> tuple[Vector, Vector, Vector]:
    """(unit vector to the face, middle between the eyes, unit vector to the crown)."""
    eyes = (joints["eye.L"] + joints["eye.R"]) / 2
    forwards = (eyes - joints["head"]) / np.linalg.norm(eyes - joints["head"])
    left = joints["eye.L"] - joints["eye.R"]
    up = np.cross(left, -forwards)
    return forwards, eyes, up / np.linalg.norm(up)
