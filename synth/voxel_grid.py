"""Where the voxels of a volume, or of a box in it, lie in patient mm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.domain.patch import Matrix

Box = tuple[slice, slice, slice]
Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Voxel centres along each axis in patient mm (LPS): x (X,), y (Y,), z (Z,), evenly spaced."""

    x: Vector
    y: Vector
    z: Vector
    spacing: Vector

    @staticmethod
    def of(shape: tuple[int, ...], affine: Matrix) -> "Grid":
        """The grid of a volume (z, y, x) with a diagonal affine (3, 4)."""
        x, y, z = (np.arange(n) * affine[i, i] + affine[i, 3] for i, n in enumerate(shape[::-1]))
        return Grid(x=x, y=y, z=z, spacing=np.diag(affine[:, :3]).copy())

    @property
    def all(self) -> Box:
        """The box that holds every voxel."""
        return slice(0, len(self.z)), slice(0, len(self.y)), slice(0, len(self.x))

    def part(self, box: Box) -> "Grid":
        """The grid of a box."""
        return Grid(x=self.x[box[2]], y=self.y[box[1]], z=self.z[box[0]], spacing=self.spacing)

    def box(self, low: Vector, high: Vector) -> Box:
        """(z, y, x) slices of the voxels whose centres lie between two corners (3,), in mm."""
        x, y, z = (
            slice(int(np.searchsorted(axis, a)), int(np.searchsorted(axis, b, side="right")))
            for axis, a, b in zip((self.x, self.y, self.z), low, high, strict=True)
        )
        return z, y, x

    def points(self, box: Box) -> NDArray[np.float32]:
        """(z, y, x, 3) centres of a box's voxels in patient mm."""
        x, y, z = (axis[part] for axis, part in zip((self.x, self.y, self.z), box[::-1], strict=True))
        points = np.empty((len(z), len(y), len(x), 3), np.float32)
        points[..., 0], points[..., 1], points[..., 2] = x, y[:, None], z[:, None, None]
        return points

    def coarse(self, spacing_mm: float) -> "Grid":
        """A grid of about this spacing over the same volume, with at least two voxels along each axis."""
        axes = [np.linspace(a[0], a[-1], max(2, int(np.ptp(a) / spacing_mm) + 2)) for a in (self.x, self.y, self.z)]
        return Grid(x=axes[0], y=axes[1], z=axes[2], spacing=np.array([a[1] - a[0] for a in axes]))

    def interpolate(self, values: NDArray[np.float32], finer: "Grid") -> NDArray[np.float32]:
        """(z, y, x) values of this grid, linearly interpolated at the centres of a finer one within it."""
        fine = np.asarray(values, np.float32)
        for axis, (own, wanted) in enumerate(((self.z, finer.z), (self.y, finer.y), (self.x, finer.x))):
            at = np.interp(wanted, own, np.arange(len(own)))
            low = np.minimum(at.astype(np.intp), len(own) - 2)
            shape = [1, 1, 1]
            shape[axis] = len(at)
            share = (at - low).astype(np.float32).reshape(shape)
            before, after = fine.take(low, axis), fine.take(low + 1, axis)
            fine = before + share * (after - before)
        return fine
