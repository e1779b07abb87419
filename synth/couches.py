"""What lies under, around and on the virtual patients of a CT: couches of several makes, a head rest, a blanket.

Shapes are signed distances in mm in the plane across the couch, drawn with partial volume, so that a wall's HU falls
where a voxel is only partly wall. A patient lies where the mesh is; couches are moved until they touch, never into it.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.patch import Matrix

AIR_HU = -1000.0
# "none": no room for one either; "empty": the same scan as on a couch, without it; "any": one of KINDS for each case
CouchKind = Literal["none", "empty", "plates", "cradle", "mattress", "head_rest", "blanket", "any"]
KINDS: tuple[CouchKind, ...] = ("plates", "cradle", "mattress", "head_rest", "blanket")  # what "any" is drawn from
ROOM_MM = 75.0  # behind the patient, for the lowest of them

Plane = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A scan while it is furnished: values (z, y, x) HU, changed in place; mask: the patient's voxels.

    x, y, z: voxel centres in mm along each axis; head (2, 3): corners of the box around the patient's head, mm.
    """

    values: NDArray[np.float32]
    mask: NDArray[np.bool_]
    x: Plane
    y: Plane
    z: Plane
    head: Plane

    @property
    def middle(self) -> float:
        """x of the middle of the patient's box."""
        across = self.x[self.mask.any((0, 1))]
        return float((across[0] + across[-1]) / 2)

    def backs(self) -> Plane:
        """(z, x) the patient's last y in each column; -inf where there is none."""
        last = self.mask.shape[1] - 1 - self.mask[:, ::-1].argmax(1)
        return np.where(self.mask.any(1), self.y[last], -np.inf)

    def fronts(self) -> Plane:
        """(z, x) the patient's first y in each column; +inf where there is none."""
        return np.where(self.mask.any(1), self.y[self.mask.argmax(1)], np.inf)

    def wall(self, distance: Plane, thickness: float, hu: float, slices: slice = slice(None)) -> None:
        """Add a wall around the zero line of `distance` (y, x), mm, over some slices."""
        self._add(np.abs(distance) - thickness / 2, hu, slices)

    def fill(self, distance: Plane, hu: float, slices: slice = slice(None)) -> None:
        """Fill where `distance` (y, x) is negative."""
        self._add(distance, hu, slices)

    def layer(self, top: NDArray[Any], bottom: float, hu: float) -> None:
        """Fill from y = top (z, x) mm down to y = bottom; nowhere where top is not finite."""
        for part, level in zip(self.values, top, strict=True):
            self._put(part, np.maximum(level - self.y[:, None], self.y[:, None] - bottom), hu)

    def sheet(self, depth: NDArray[Any], thickness: float, hu: float) -> None:
        """Add a sheet that lies at y = depth (z, x) mm; none where it is not finite."""
        for part, level in zip(self.values, depth, strict=True):
            self._put(part, np.abs(self.y[:, None] - level) - thickness / 2, hu)

    def _add(self, distance: Plane, hu: float, slices: slice) -> None:
        self._put(self.values[slices], distance, hu)

    def _put(self, values: NDArray[np.float32], distance: Plane, hu: float) -> None:
        share = np.clip(0.5 - distance / (self.y[1] - self.y[0]), 0, 1)
        np.maximum(values, AIR_HU + (hu - AIR_HU) * share.astype(np.float32), out=values)


def furnish(
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    affine: Matrix,
    kind: CouchKind,
    head: Plane,
    rng: np.random.Generator,
) -> None:
    """Put a couch of this kind under the patient `mask` (z, y, x) of a scan `values` (z, y, x) in HU, in place.

    head (2, 3): corners of the box around the patient's head, in patient mm.
    """
    if kind in ("none", "empty"):
        return
    if kind == "any":
        kind = KINDS[rng.integers(len(KINDS))]
    z, y, x = (np.arange(n) * affine[i, i] + affine[i, 3] for n, i in zip(mask.shape, (2, 1, 0), strict=True))
    scene = Scene(values=values, mask=mask, x=x, y=y, z=z, head=head)
    back = float(scene.backs().max())
    if kind == "cradle":
        _cradle(scene, rng)
    elif kind == "mattress":
        _tray(scene, _mattress(scene, back, rng), rng)
    else:
        _tray(scene, back, rng)
    if kind == "head_rest":
        _head_rest(scene, rng)
    if kind == "blanket":
        _blanket(scene, back, rng)


def _tray(scene: Scene, top: float, rng: np.random.Generator) -> None:
    """Two plates with foam between, closed at the sides; its upper face at y = top."""
    half, height, thickness = rng.uniform(205, 265), rng.uniform(24, 45), rng.uniform(2, 4)
    across = np.abs(scene.x - scene.middle)[None] - half + height / 2
    along = np.abs(scene.y - top - height / 2 - thickness / 2)[:, None]
    box = np.hypot(np.maximum(across, 0), along) - height / 2  # its sides are half round
    scene.fill(box, rng.uniform(-980, -880))
    scene.wall(box, thickness, rng.uniform(-100, 200))


def _cradle(scene: Scene, rng: np.random.Generator) -> None:
    """A couch that is hollow across; it touches the patient somewhere, and is not pressed in anywhere."""
    half, radius, thickness = rng.uniform(215, 265), rng.uniform(700, 1600), rng.uniform(3, 5)
    rise = np.minimum(np.abs(scene.x - scene.middle), half) ** 2 / (2 * radius)
    bottom = float((scene.backs().max(0) + rise).max()) + thickness / 2
    upper, lower = (bottom - rise)[None] - scene.y[:, None], scene.y[:, None] - (bottom + rng.uniform(25, 40))
    hull = np.maximum(np.maximum(upper, lower), np.abs(scene.x - scene.middle)[None] - half)
    scene.fill(hull, rng.uniform(-980, -880))
    scene.wall(hull, thickness, rng.uniform(-100, 200))


def _mattress(scene: Scene, back: float, rng: np.random.Generator) -> float:
    """A mattress of foam with a cover, into which the patient sinks; y of the couch's top below it."""
    sunk, thick, half = rng.uniform(5, 20), rng.uniform(20, 32), rng.uniform(190, 230)
    level = np.full((len(scene.z), len(scene.x)), back - sunk)
    pressed = ndimage.gaussian_filter(np.maximum(scene.backs(), level), 1.5)
    top = np.maximum(np.maximum(pressed, scene.backs()), level)
    top[:, np.abs(scene.x - scene.middle) > half] = np.inf
    scene.layer(top, back + thick, -920.0)
    scene.sheet(top + 1, rng.uniform(0.8, 1.6), -150.0)
    return back + thick


def _head_rest(scene: Scene, rng: np.random.Generator) -> None:
    """A shell around the back of the head, as long as a head and a neck."""
    (left, _, neck), (right, back, crown) = scene.head
    half, middle, deep = (right - left) / 2 + rng.uniform(8, 25), (left + right) / 2, rng.uniform(70, 110)
    first, last = np.searchsorted(scene.z, (neck - rng.uniform(20, 60), crown + rng.uniform(0, 40)))
    slices = slice(int(first), int(last))
    own = np.abs(scene.x - middle) < half
    bottom = max(back, float(scene.backs()[slices][:, own].max())) + 3
    shell = np.hypot((scene.x - middle)[None] / half, (scene.y - bottom + deep)[:, None] / deep) - 1
    shell = np.where((scene.y > bottom - deep)[:, None], shell * min(half, deep), np.inf)
    scene.wall(shell, rng.uniform(3, 6), rng.uniform(-250, 50), slices)


def _blanket(scene: Scene, back: float, rng: np.random.Generator) -> None:
    """A blanket from the chest down, over the patient and hanging to the couch at the sides, with folds."""
    front = np.minimum(scene.fronts(), back)
    width = round(60 / (scene.x[1] - scene.x[0]))
    draped = ndimage.gaussian_filter(ndimage.minimum_filter(front, (3, width)), (4, width / 6))
    folds = ndimage.gaussian_filter(rng.normal(size=front.shape), (12, 3))
    draped = np.minimum(draped, scene.fronts()) - 3 - 6 * np.abs(folds) / np.abs(folds).max()
    draped[scene.z > scene.head[0, 2] - rng.uniform(50, 350)] = np.inf
    draped[:, np.abs(scene.x - scene.middle) > rng.uniform(240, 300)] = np.inf
    scene.sheet(draped, rng.uniform(1.0, 2.5), rng.uniform(-500, -200))
