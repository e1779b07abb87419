"""MR volumes as one threshold can cut them: each voxel in percent of the signal that tissue has at its place.

The field of bias.py is divided out, weak ghosts and small loose pieces fall below the threshold, and what is dark
inside (cortex, lungs, gas) is filled within each axial slice. That changes thickness and never the silhouette: a gap
between fingers is open to the front and the back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.bias import Array, Field, Mask, block_sums, find_field
from synth.domain.projection import CT_AIR_HU, Volume, goes_below, is_ct

LEVEL = 40.0  # percent, the threshold: well above ghosts and noise, near enough to the half that marks an edge
STEADY = 5.0  # deviations of a voxel of air that lie below it
SMOOTHER = (0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5)  # voxels over which noise is averaged
TAIL = 3.0  # deviations of a Gaussian that are summed
SURE_AIR_HU, NEGATIVE = -900.0, -100.0  # a CT shows air below the one, MR without a header nothing below the other
CHUNK = 16  # slices that are smoothed at a time
LOOSE = 0.2  # pieces smaller than this share of the largest are no second hand, and are dropped
FOLDED = 0.7  # opposite faces of a volume that are so alike (Dice) show one cut through tissue, twice
FACE_MM2 = 60.0  # cuts smaller than this are not compared
UNEVEN, NOISY = 12.0, 3.0  # strongest to weakest tissue, weakest tissue to noise: beyond these an outline may be wrong


def ready_to_cut(volume: Volume, threshold: float | None) -> tuple[Volume, float | None]:
    """(the volume that is cut, its threshold; None: as for a CT); an MR is evened out where no threshold is given."""
    told = replace(volume, notes=volume.notes + _kind_notes(volume, threshold is None))
    if threshold is not None or is_ct(volume):
        return told, threshold
    return even_signal(told)


def even_signal(volume: Volume) -> tuple[Volume, float]:
    """(the volume in percent of local tissue, uint8, with notes; the threshold that divides air from tissue in it).

    Raises: ValueError where all values are equal.
    """
    field = find_field(volume)
    evened = np.empty(volume.voxels.shape, np.uint8)
    for first, part in _divided(volume.voxels, field):
        evened[first : first + len(part)] = part
    notes = _notes(field) + _folds(evened, volume.spacing_mm)
    pieces = _pieces(evened, field.steps)
    for k, part in enumerate(evened):
        body = part > LEVEL
        if pieces is not None:
            body &= pieces.among(k, part.shape)
        part[~body] = np.minimum(part[~body], np.uint8(LEVEL))
        part[_holes(body)] = 100
    return replace(volume, voxels=evened, notes=volume.notes + notes), LEVEL


def add_dixon(water: Volume, fat: Volume) -> Volume:
    """The sum of the water and the fat of one scan: what they would give in phase. Source: Dixon 1984.

    Raises: ValueError where the two are not of one grid.
    """
    same = water.voxels.shape == fat.voxels.shape
    if not same or not np.allclose(water.index_to_patient, fat.index_to_patient, atol=1e-3):
        raise ValueError("water and fat differ in size or place; give the two series of one scan")
    total = np.add(water.voxels, fat.voxels, dtype=np.float32)
    return replace(water, voxels=total)


@dataclass(frozen=True, kw_only=True)
class _Pieces:
    """Blocks (Z', Y', X') of `steps` voxels that are kept."""

    kept: Mask
    steps: tuple[int, int, int]

    def among(self, k: int, shape: tuple[int, ...]) -> Mask:
        """(Y, X) bool: what is kept of slice k."""
        z, y, x = self.steps
        return np.asarray(self.kept[k // z].repeat(y, 0)[: shape[0]].repeat(x, 1)[:, : shape[1]])


def _divided(voxels: NDArray[np.generic], field: Field) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(first slice, slices in percent) in order: smoothed where the weakest tissue is noisy, divided by the field."""
    needed = 100 / LEVEL * STEADY * field.noise
    sigma, kept = _smoothing(field.weakest / max(needed, 1e-9))
    scale = 100 / np.maximum(field.full, np.float32(needed * kept))
    along_z, along_y, along_x = (
        _linear(n, step, count) for n, step, count in zip(voxels.shape, field.steps, scale.shape, strict=True)
    )
    beyond = int(np.ceil(TAIL * sigma))
    for first in range(0, len(voxels), CHUNK):
        before = max(0, first - beyond)
        part = np.asarray(voxels[before : first + CHUNK + beyond], np.float32)
        if sigma:
            part = ndimage.gaussian_filter(part, sigma, truncate=TAIL)
        part = part[first - before : first - before + CHUNK] - np.float32(field.air)
        for slab, weights in zip(part, along_z[first : first + CHUNK], strict=True):
            slab *= along_y @ np.tensordot(weights, scale, 1) @ along_x.T
        yield first, np.clip(np.rint(part, part), 0, 255, part).astype(np.uint8)


def _smoothing(wanted: float) -> tuple[float, float]:
    """(deviation of a Gaussian in voxels, share of the deviation of noise that it keeps): the least that is wanted."""
    if wanted >= 1:
        return 0.0, 1.0
    for sigma in SMOOTHER:
        kernel = np.exp(-0.5 * (np.arange(-9, 10) / sigma) ** 2)
        kept = float(np.square(kernel / kernel.sum()).sum() ** 1.5)
        if kept <= wanted:
            break
    return sigma, kept


def _linear(size: int, step: int, count: int) -> Array:
    """(size, count) weights that interpolate values at the middles of `count` blocks of `step` voxels."""
    at = np.clip((np.arange(size) + 0.5) / step - 0.5, 0, count - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(at[:, None] - np.arange(count))), np.float32)


def _pieces(evened: NDArray[np.uint8], steps: tuple[int, int, int]) -> _Pieces | None:
    """The pieces of tissue that are not much smaller than the largest; None where there is but one."""
    z, y, x = steps
    counts: list[Array] = []
    for k, part in enumerate(evened):
        sums = block_sums(part > LEVEL, (y, x))
        if k % z:
            counts[-1] += sums
        else:
            counts.append(sums)
    filled = np.stack(counts)
    labels, number = ndimage.label(filled > 0)
    if number < 2:
        return None
    sizes = np.bincount(labels.ravel(), filled.ravel())
    return _Pieces(kept=(sizes >= max(LOOSE * sizes.max(), 1))[labels], steps=steps)


def _holes(body: Mask) -> Mask:
    """What a mask (Y, X) encloses, with pixels that touch by side or corner."""
    labels, count = ndimage.label(~body)
    if count < 2:
        return np.zeros_like(body)
    closed = np.ones(count + 1, bool)
    closed[0] = False
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        closed[edge] = False
    return np.asarray(closed[labels])


def _folds(evened: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> tuple[str, ...]:
    """A note for each axis along which tissue seems to leave the volume at one end and to come in at the other."""
    notes = []
    for axis, ends in enumerate(("bottom and the top", "front and the back", "left and the right")):
        mm2 = float(np.prod([s for k, s in enumerate(spacing_mm[::-1]) if k != axis]))
        first, last = (np.take(evened, end, axis) > LEVEL for end in (0, -1))
        cut = min(first.sum(), last.sum()) * mm2
        if cut >= FACE_MM2 and 2 * (first & last).sum() >= FOLDED * (first.sum() + last.sum()):
            notes.append(f"tissue at the {ends} of the volume fits together: has some wrapped around?")
    return tuple(notes)


def _kind_notes(volume: Volume, chosen: bool) -> tuple[str, ...]:
    """What to know where values and header do not say alike whether it is a CT; chosen: whether the threshold is."""
    if volume.modality:
        odd = chosen and volume.modality == "CT" and not goes_below(volume, CT_AIR_HU)
        return ("a CT without the values of air, stored with an offset? (--threshold)",) if odd else ()
    if goes_below(volume, CT_AIR_HU):
        return () if goes_below(volume, SURE_AIR_HU) else ("taken for a CT, with no value of air: is it?",)
    return ("taken for MR, with values far below 0: is it?",) if goes_below(volume, NEGATIVE) else ()


def _notes(field: Field) -> tuple[str, ...]:
    notes = []
    if field.strongest > UNEVEN * field.weakest:
        notes.append(f"tissue differs in signal 1:{field.strongest / field.weakest:.0f}: look at where it is weak")
    if 0 < field.weakest < NOISY * field.noise:
        notes.append(f"the weakest tissue has {field.weakest / field.noise:.1f} times the noise: look at its outline")
    if field.ghost > field.weakest:
        notes.append("a ghost is as strong as the weakest tissue: is all of the outline the patient's?")
    return tuple(notes)
