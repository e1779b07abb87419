"""A volume turned by right angles, so that a hand that lay in any way shows its back, fingers up."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synth.domain.patch import Matrix
from synth.domain.projection import Volume

Direction = Literal["anterior", "posterior", "left", "right", "superior", "inferior"]
LPS: dict[Direction, tuple[int, int, int]] = {
    "left": (1, 0, 0), "right": (-1, 0, 0), "posterior": (0, 1, 0), "anterior": (0, -1, 0), "superior": (0, 0, 1),
    "inferior": (0, 0, -1),
}  # fmt: skip


def turn_matrix(back: Direction, fingers: Direction) -> NDArray[np.float64]:
    """(3, 3) rotation of patient mm (LPS) that brings `back` to anterior and `fingers` to superior.

    Raises: ValueError where the two are no right angle.
    """
    depth, up = -np.array(LPS[back], np.float64), np.array(LPS[fingers], np.float64)
    if depth @ up != 0:
        raise ValueError(f"back {back} and fingers {fingers} are no right angle; give two directions across each other")
    return np.array([np.cross(depth, up), depth, up])


def turned(volume: Volume, turn: NDArray[np.float64]) -> tuple[Volume, Matrix]:
    """(the volume after a rotation by right angles, (3, 4) turned mm -> patient mm); the voxels are not copied."""
    axes, signs = np.abs(turn).argmax(1), turn.sum(1)
    size = np.array(volume.voxels.shape[::-1])
    first = volume.index_to_patient[:, 3]
    last = first + np.array(volume.spacing_mm) * (size - 1)
    origin = np.where(signs > 0, first[axes], -last[axes])
    voxels = volume.voxels.transpose([2 - axes[k] for k in (2, 1, 0)])
    voxels = voxels[tuple(slice(None, None, int(signs[k])) for k in (2, 1, 0))]
    affine = np.column_stack([np.diag(np.array(volume.spacing_mm)[axes]), origin])
    back = np.column_stack([turn.T, np.zeros(3)])
    return replace(volume, voxels=voxels, index_to_patient=affine), back
