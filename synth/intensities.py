"""What a CT or MR scanner measures in each compartment: means, their texture, shading, and the streaks of metal."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.compartments import Label
from synth.domain.patch import Matrix
from synth.voxel_grid import Grid

Weighting = Literal["t1", "water", "fat"]

AIR_HU = -1000.0
TEXTURE_MM = 14.0  # size of the patches in which a tissue is alike
SHADING_HU = 4.0  # along each axis
STREAK_HU = 450.0
STREAK_MM = 55.0  # in which they fade to a third
STREAK_TURN_MM = 12.0  # along z, in which their phase changes by one radian
# (mean, half of the range) in HU: ranges that are usual for adults at 120 kV, rounded; no single source.
_HU = {
    Label.AIR: (AIR_HU, 0.0), Label.SKIN: (45.0, 15.0), Label.FAT: (-90.0, 20.0), Label.MUSCLE: (50.0, 20.0),
    Label.LUNG: (-775.0, 75.0), Label.CORTEX: (1050.0, 450.0), Label.MARROW: (200.0, 100.0),
    Label.GAS: (AIR_HU, 0.0), Label.METAL: (3071.0, 0.0),
}  # fmt: skip
# Signal where muscle gives 1 in T1, set by hand. Dixon's water and fat images show the shares of either.
_SIGNAL: dict[Weighting, dict[Label, float]] = {
    "t1": {Label.SKIN: 0.9, Label.FAT: 1.9, Label.MUSCLE: 1.0, Label.LUNG: 0.12, Label.CORTEX: 0.1, Label.MARROW: 1.7},
    "water": {Label.SKIN: 0.8, Label.FAT: 0.12, Label.MUSCLE: 1.0, Label.LUNG: 0.15, Label.CORTEX: 0.08,
              Label.MARROW: 0.25},
    "fat": {Label.SKIN: 0.2, Label.FAT: 1.6, Label.MUSCLE: 0.06, Label.LUNG: 0.02, Label.CORTEX: 0.05,
            Label.MARROW: 1.4},
}  # fmt: skip
_SPREAD = 0.12  # of an MR signal, as a share of it


def hounsfield(labels: NDArray[np.uint8], affine: Matrix, rng: np.random.Generator) -> NDArray[np.float32]:
    """(z, y, x) float32 HU of labels (z, y, x), each tissue within its range; air -1000, without noise or blur.

    affine (3, 4): voxel -> patient mm.
    """
    mean, spread = (np.array([_HU[label][k] for label in Label], np.float32) for k in (0, 1))
    return _varied(labels, mean, spread, affine, rng)


def mr_intensities(
    labels: NDArray[np.uint8], weighting: Weighting, affine: Matrix, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(z, y, x) float32 signal of labels (z, y, x), 1 for muscle in T1; 0 in air, gas and metal; no noise or blur.

    affine (3, 4): voxel -> patient mm.
    """
    mean = np.array([_SIGNAL[weighting].get(label, 0.0) for label in Label], np.float32)
    return _varied(labels, mean, np.float32(_SPREAD) * mean, affine, rng)


def add_shading(values: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Add what a scanner adds to HU (z, y, x), changing slowly along each axis, in place."""
    for axis, count in enumerate(values.shape):
        wave = np.sin(np.linspace(0, rng.uniform(2, 6), count) + rng.uniform(0, 2 * np.pi))
        shape = [1, 1, 1]
        shape[axis] = count
        values += (SHADING_HU * wave).astype(np.float32).reshape(shape)


def smooth_field(
    shape: tuple[int, ...], affine: Matrix, size_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(z, y, x) float32 in -1..1: random values `size_mm` apart, linear between them."""
    grid = Grid.of(shape, affine)
    coarse = grid.coarse(size_mm)
    drawn = rng.uniform(-1, 1, (len(coarse.z), len(coarse.y), len(coarse.x)))
    return coarse.interpolate(drawn.astype(np.float32), grid)


def add_streaks(
    values: NDArray[np.float32], labels: NDArray[np.uint8], affine: Matrix, rng: np.random.Generator
) -> None:
    """Add bright and dark fans around the metal of each slice to `values` (z, y, x) HU, in place.

    affine (3, 4): voxel -> patient mm.
    """
    grid = Grid.of(labels.shape, affine)
    fans, phase = 2 * int(rng.integers(2, 5)), rng.uniform(0, 2 * np.pi)  # even: a streak leaves on both sides
    for k in np.flatnonzero((labels == Label.METAL).any((1, 2))):
        metal = labels[k] == Label.METAL
        rows, columns = np.nonzero(metal)
        dy, dx = grid.y[:, None] - grid.y[rows].mean(), grid.x[None] - grid.x[columns].mean()
        turned = fans * np.arctan2(dy, dx) + phase + grid.z[k] / STREAK_TURN_MM
        streaks = STREAK_HU * np.cos(turned) * np.exp(-np.hypot(dy, dx) / STREAK_MM)
        values[k][~metal] += streaks[~metal].astype(np.float32)


def _varied(
    labels: NDArray[np.uint8],
    mean: NDArray[np.float32],
    spread: NDArray[np.float32],
    affine: Matrix,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """The mean of each label, and where there is any but air its spread times a texture in -1..1."""
    values = mean[labels]
    for box in ndimage.find_objects(labels.astype(np.bool_).view(np.uint8)):
        texture = smooth_field(values[box].shape, affine, TEXTURE_MM, rng)
        values[box] += spread[labels[box]] * texture
    return values
