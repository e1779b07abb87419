"""From a closed mesh to voxels: inside and outside, smooth deformations, and intensities like those of CT and MR."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.couches import AIR_HU, CouchKind, furnish
from synth.domain.patch import Matrix, apply_affine, invert_affine
from synth.domain.projection import Volume
from synth.intensities import add_shading, add_streaks, hounsfield, mr_intensities
from synth.mr_artefacts import NO_ARTEFACTS, Artefacts, scanned, tissue_signal

TISSUE_HU = 40.0
MR_MUSCLE = 420.0
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


def sample_deformation(
    amplitude_mm: float, wavelength_mm: tuple[float, float], rng: np.random.Generator, waves: int = 12
) -> Deformation:
    """A field with a root mean square displacement of `amplitude_mm` and wavelengths in the given range.

    Raises: ValueError where the waves are so short that space could fold over.
    """
    low, high = wavelength_mm
    if not 0 <= amplitude_mm * 2 * np.pi <= 0.5 * low <= 0.5 * high:
        raise ValueError(
            f"deformation of {amplitude_mm} mm over waves of {low} mm would fold; use at least 13 times it"
        )
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    frequencies = directions * (2 * np.pi / rng.uniform(low, high, (waves, 1)))
    amplitudes = rng.normal(size=(waves, 3))
    amplitudes *= amplitude_mm / max(np.sqrt((amplitudes**2).sum() / 2), 1e-12)
    return Deformation(frequencies=frequencies, phases=rng.uniform(0, 2 * np.pi, waves), amplitudes=amplitudes)


def voxelise(
    vertices: NDArray[np.float64],
    triangles: NDArray[np.int32],
    spacing_mm: tuple[float, float, float],
    margin_mm: tuple[float, float, float] | float,
) -> tuple[NDArray[np.bool_], Matrix]:
    """(mask (z, y, x) bool, index_to_patient (3, 4)): the voxels whose centres lie inside a mesh in patient mm.

    vertices (V, 3), triangles (T, 3) oriented alike; margin_mm: air around the mesh's box, per axis or for all.
    A centre is inside where the surface winds round it, counted along its column. A column whose crossings do not
    cancel runs through an opening of the mesh and is taken from the nearest column that is closed.
    """
    spacing, margin = np.array(spacing_mm, np.float64), np.broadcast_to(np.array(margin_mm, np.float64), 3)
    low = vertices.min(0) - margin
    width, depth, height = (int(n) for n in np.maximum(np.ceil((vertices.max(0) + margin - low) / spacing), 2))
    affine = np.column_stack([np.diag(spacing), low + spacing / 2])
    corners = apply_affine(invert_affine(affine), np.asarray(vertices, np.float64))[triangles]
    x, z, crossing, sign = _crossings(corners, width, height)
    behind = np.clip(np.ceil(crossing).astype(int), 0, depth)  # the first voxel centre behind the crossing
    steps = np.zeros((height, depth + 1, width), np.int16)
    np.add.at(steps, (z, behind, x), sign)
    winding = np.cumsum(steps, axis=1, dtype=np.int16)
    closed = winding[:, -1] == 0
    nearest = ndimage.distance_transform_edt(~closed, return_distances=False, return_indices=True)
    mask = (winding[:, :-1] > 0).transpose(0, 2, 1)[tuple(nearest)].transpose(0, 2, 1)
    return np.ascontiguousarray(mask), affine


def _crossings(
    corners: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.int16]]:
    """Where voxel columns along y meet triangles (T, 3, 3: x, y, z in voxels): x, z, y, and +1 for in, -1 for out."""
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    volume = np.einsum("ta,ta->", np.cross(edge1, edge2), corners.mean(1) - corners.mean((0, 1)))
    outwards = 1 if volume >= 0 else -1
    flat = corners[:, :, [0, 2]] - JITTER * np.array([1.0, np.sqrt(0.5)])
    first = np.maximum(np.ceil(flat.min(1)).astype(int), 0)
    last = np.minimum(np.floor(flat.max(1)).astype(int), [width - 1, height - 1])
    extent = np.maximum(last - first + 1, 0)
    count = extent.prod(1)
    owner = np.repeat(np.arange(len(corners)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    x = first[owner, 0] + within % extent[owner, 0]
    z = first[owner, 1] + within // extent[owner, 0]

    a, b, c = (flat[owner, k] for k in range(3))
    point = np.column_stack([x, z])
    area = _cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):  # triangles seen edge-on or drawn into a point have no area
        weight_b, weight_c = _cross(point - a, c - a) / area, _cross(b - a, point - a) / area
        hit = (area != 0) & (weight_b >= 0) & (weight_c >= 0) & (weight_b + weight_c <= 1)
    owner, weight_b, weight_c = owner[hit], weight_b[hit], weight_c[hit]
    y = corners[owner, 0, 1] + weight_b * edge1[owner, 1] + weight_c * edge2[owner, 1]
    sign = (outwards * np.sign(area[hit])).astype(np.int16)  # a front face (normal to -y) has positive area in (x, z)
    return x[hit], z[hit], y, sign


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def ct_volume(
    mask: NDArray[np.bool_],
    affine: Matrix,
    noise_hu: float,
    blur: float,
    rng: np.random.Generator,
    couch: CouchKind = "none",
    head: NDArray[np.float64] | None = None,
    labels: NDArray[np.uint8] | None = None,
) -> Volume:
    """A CT-like int16 volume in HU: air -1000, tissue, edges of `blur` voxels, noise, and a couch.

    head (2, 3): corners of the box around the patient's head, mm, where there is a couch.
    labels (z, y, x): what the voxels of the mask are made of, see compartments.py; None: 40 HU throughout.
    """
    if labels is None:
        values = AIR_HU + (TISSUE_HU - AIR_HU) * _soften(mask, blur)
    else:
        values = ndimage.gaussian_filter(hounsfield(labels, affine, rng), blur)
        add_streaks(values, labels, affine, rng)
        add_shading(values, rng)
    if head is not None:
        furnish(values, mask, affine, couch, head, rng)
    values += np.float32(noise_hu) * rng.standard_normal(values.shape, np.float32)
    return Volume(voxels=np.clip(np.rint(values), -1024, 3071).astype(np.int16), index_to_patient=affine)


def mr_volume(
    labels: NDArray[np.uint8],
    affine: Matrix,
    noise: float,
    blur: float,
    rng: np.random.Generator,
    artefacts: Artefacts = NO_ARTEFACTS,
) -> Volume:
    """An MR-like int16 volume: muscle of 420 under a mild bias field, dark air, Rician noise of deviation `noise`.

    labels (z, y, x): what its voxels are made of, see compartments.py, already pressed where a sand bag lies
    artefacts: what is wrong with it; wrap-around makes the field of view smaller than the labels
    """
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in labels.shape)
    tilt = rng.normal(0, 0.12, 3)
    bias = np.exp(tilt[0] * z[:, None, None] + tilt[1] * y[:, None] + tilt[2] * x)
    signal = np.asarray(bias * _soften(tissue_signal(labels, affine, artefacts, rng), blur), np.float32)
    x_mm, y_mm, z_mm = (float(mm) for mm in np.diag(affine[:, :3]))
    shown, cut = scanned(signal, (x_mm, y_mm, z_mm), artefacts, rng)
    moved = affine.copy()
    moved[:, 3] += affine[:, :3] @ np.array(cut[::-1], np.float64)
    return _measured(MR_MUSCLE * shown, moved, noise, rng)


def dixon_volumes(
    labels: NDArray[np.uint8], affine: Matrix, noise: float, blur: float, rng: np.random.Generator
) -> tuple[Volume, Volume]:
    """(water, fat) of one scan, as mr_volume. Source: Dixon 1984."""
    water, fat = mr_intensities(labels, "water", affine, rng), mr_intensities(labels, "fat", affine, rng)
    return (
        _measured(MR_MUSCLE * _soften(water, blur), affine, noise, rng),
        _measured(MR_MUSCLE * _soften(fat, blur), affine, noise, rng),
    )


def _measured(signal: NDArray[np.float32], affine: Matrix, noise: float, rng: np.random.Generator) -> Volume:
    """The magnitude of a signal in complex noise. Source: Gudbjartsson and Patz 1995."""
    real, imaginary = (np.float32(noise) * rng.standard_normal(signal.shape, np.float32) for _ in range(2))
    value = np.hypot(signal + real, imaginary)
    return Volume(voxels=np.rint(value).astype(np.int16), index_to_patient=affine)


def _soften(mask: NDArray[np.bool_] | NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """Share of tissue in each voxel: the mask smoothed by a Gaussian of `blur` voxels."""
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), blur), np.float32)
