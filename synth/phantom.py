"""Labelled virtual CT and MR volumes: what a scanner would make of bodies that the generator does not render.

A phantom differs from a rendering in every step: other ranges of shape and pose, a smooth random deformation, voxels,
partial volume, noise, and for CT a couch. Its random stream is its own (TAG), never the renderer's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.patch import Matrix, apply_affine, invert_affine
from synth.domain.projection import Volume

TAG = 7_401  # third word of a phantom's seed: [seed, index, TAG]
AIR_HU, TISSUE_HU, COUCH_HU = -1000.0, 40.0, 120.0
MR_TISSUE = 420.0
JITTER = 1.1e-4  # columns are shifted by this share of a voxel, so that none passes exactly through an edge


@dataclass(frozen=True, kw_only=True)
class Deformation:
    """A smooth displacement field: a sum of M long waves with random directions and phases.

    frequencies: (M, 3) rad/mm; phases: (M,) rad; amplitudes: (M, 3) mm
    """

    frequencies: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 3) displaced points of (N, 3), both in mm: the same field for surface and landmarks."""
        waves = np.sin(points @ self.frequencies.T + self.phases)
        return np.asarray(points + waves @ self.amplitudes)


@dataclass(frozen=True, kw_only=True)
class PhantomRecipe:
    """How virtual patients differ from what the generator renders."""

    deformation_mm: float = 3.0
    noise: float = 0.05


def sample_deformation(
    amplitude_mm: float, wavelength_mm: tuple[float, float], rng: np.random.Generator, waves: int = 12
) -> Deformation:
    """A field with a root mean square displacement of `amplitude_mm` and wavelengths in the given range.

    Raises: ValueError where the waves are so short that space could fold over.
    """
    low, high = wavelength_mm
    if not 0 <= amplitude_mm * 2 * np.pi <= 0.5 * low <= 0.5 * high:
        raise ValueError(f"deformation of {amplitude_mm} mm over waves of {low} mm would fold; use at least 13 times it")
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    frequencies = directions * (2 * np.pi / rng.uniform(low, high, (waves, 1)))
    amplitudes = rng.normal(size=(waves, 3))
    amplitudes *= amplitude_mm / max(np.sqrt((amplitudes**2).sum() / 2), 1e-12)
    return Deformation(frequencies=frequencies, phases=rng.uniform(0, 2 * np.pi, waves), amplitudes=amplitudes)


def voxelise(
    vertices: NDArray[np.float64],
    triangles: NDArray[np.integer],
    spacing_mm: tuple[float, float, float],
    margin_mm: tuple[float, float, float] | float,
) -> tuple[NDArray[np.bool_], Matrix]:
    """(mask (z, y, x) bool, index_to_patient (3, 4)): the voxels whose centres lie inside a mesh in patient mm.

    vertices (V, 3), triangles (T, 3) oriented outwards; margin_mm: air around the mesh's box, per axis or for all.
    A centre is inside where the surface winds round it, counted along its column from the front and from the back: the
    two agree for a closed mesh, and where it is open a column ends at the last crossing instead of leaking.
    """
    spacing, margin = np.array(spacing_mm, np.float64), np.broadcast_to(np.array(margin_mm, np.float64), 3)
    low = vertices.min(0) - margin
    size = np.maximum(np.ceil((vertices.max(0) + margin - low) / spacing).astype(int), 2)
    affine = np.column_stack([np.diag(spacing), low + spacing / 2])
    corners = apply_affine(invert_affine(affine), np.asarray(vertices, np.float64))[triangles]
    column, height, sign = _crossings(corners, (size[0], size[2]))
    after = np.ceil(height).astype(int)  # the first voxel centre behind the crossing
    keep = after <= size[1]
    place = (column // size[0], np.clip(after, 0, size[1]), column % size[0])
    steps = np.zeros((size[2], size[1] + 1, size[0]), np.int16)
    np.add.at(steps, tuple(part[keep] for part in place), sign[keep].astype(np.int16))
    front = np.cumsum(steps, axis=1, dtype=np.int16)[:, :-1]
    back = front - steps.sum(1, dtype=np.int16)[:, None]
    return np.asarray((front > 0) & (back > 0) if _closed(steps) else (front > 0) & _ends(steps)), affine


def _closed(steps: NDArray[np.int16]) -> bool:
    return not steps.sum(1).any()
