"""How much signal tissue gives from place to place in an MR volume, and how much air does.

A surface coil gives near tissue 8 times the signal of far tissue, and ghosts of the one are as strong as the other. So
tissue is found in blocks of a few millimetres: what stands out of the air and is strong for its surroundings begins a
body, a smooth field is laid through its signal, and what is strong for the field and hangs on to the body joins it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.projection import Volume

BLOCK_MM = 3.0
FEW = 8  # blocks there are at least along an axis
AIR = 0.1  # share of the blocks that are surely air: the darkest
DARKEST = 1.6  # deviations of a block of air by which the middle of those lies below the middle of all
RICIAN = 0.8  # deviation of air over its mean, at most (0.52 with one coil); edges of tissue in blank air have more
BLACK = 0.2  # of the brightest blocks' signal; where the darkest that vary are brighter, air was set to one value
CLEAR = 6.0  # deviations by which blocks of tissue stand out of those of air,
FAINT = 0.02  # and the share of the brightest blocks' signal that they have at least
STRONG = 0.4  # share of the signal around it that tissue has, and no ghost
NEAR_MM = 25.0  # tissue this near has more than that share of each other's signal, even beside a surface coil
GHOST = (0.03, 0.3)  # shares of tissue's signal that its ghosts have
SURE = 2.0  # tissue is at least so many times as strong as the ghost that would be there
ROUNDS = 8  # of laying the field and letting tissue join
DEGREE = 4  # of the field's logarithm, a polynomial
SMOOTH = 1e-5  # how strongly a term is held back, times its squared degree

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Axes = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A volume in blocks of `steps` (z, y, x) voxels: mean and deviation (Z', Y', X') float32 of each."""

    mean: Array
    deviation: Array
    steps: Axes


@dataclass(frozen=True, kw_only=True)
class Field:
    """What tissue and air give in an MR volume.

    full: (Z', Y', X') float32 signal above air that tissue has, or would have, in each block of `steps` voxels
    air, noise: mean and deviation of a voxel of air; weakest, strongest: `full` at the ends of the tissue (5 %, 95 %)
    ghost: the most signal that a ghost has on air; 0 where there is none
    """

    full: Array
    steps: Axes
    air: float
    noise: float
    weakest: float
    strongest: float
    ghost: float


def find_field(volume: Volume) -> Field:
    """The field of a volume. Raises: ValueError where all its values are equal."""
    blocks = _blocks(volume)
    air, noise = _air(blocks)
    signal = blocks.mean - np.float32(air)
    low, high = float(signal.min()), float(signal.max())
    if high == low:
        raise ValueError(f"every value is {air:g}: nothing to tell tissue from air")
    block_mm = [s * n for s, n in zip(volume.spacing_mm[::-1], blocks.steps, strict=True)]
    clear = signal > max(CLEAR * noise / np.sqrt(np.prod(blocks.steps)), FAINT * float(np.quantile(signal, 0.999)))
    level = ndimage.maximum_filter(signal, 3)  # blocks at the skin are partly air, those of bone are dark
    around = ndimage.maximum_filter(signal, [2 * round(NEAR_MM / mm) + 1 for mm in block_mm])
    body = _largest(clear & (signal > STRONG * around), signal)
    ghosts = np.float32(SURE / STRONG) * _ghosts(level, body)
    for _ in range(ROUNDS):
        full = np.maximum(_fit(level, body), ghosts)
        grown = _largest(clear & (signal > STRONG * full), signal)
        if np.array_equal(grown, body):
            break
        body = grown
    weakest, strongest = (float(v) for v in np.quantile(full[body], [0.05, 0.95]))
    ghost = float(ghosts[~body].max(initial=0)) * STRONG / SURE
    return Field(full=full, steps=blocks.steps, air=air, noise=noise, weakest=weakest, strongest=strongest, ghost=ghost)


def block_sums(part: NDArray[np.generic], steps: tuple[int, int]) -> NDArray[np.float32]:
    """(Y', X') sums of a slice (Y, X) over blocks of `steps` (y, x); the last ones may be smaller."""
    rows, columns = (np.arange(0, n, step) for n, step in zip(part.shape, steps, strict=True))
    sums = np.add.reduceat(np.add.reduceat(part, rows, 0, dtype=np.float32), columns, 1)
    return np.asarray(sums, np.float32)


def block_steps(volume: Volume) -> Axes:
    """(z, y, x) voxels of a block: two at least, to tell noise, and fewer where there are few."""
    sizes = zip(volume.voxels.shape, volume.spacing_mm[::-1], strict=True)
    z, y, x = (min(max(2, round(BLOCK_MM / mm)), max(1, size // FEW)) for size, mm in sizes)
    return z, y, x


def _blocks(volume: Volume) -> Blocks:
    z, y, x = steps = block_steps(volume)
    means, squares = [], []
    ones = block_sums(np.ones(volume.voxels.shape[1:], np.float32), (y, x))
    for first in range(0, len(volume.voxels), z):
        part = np.asarray(volume.voxels[first : first + z], np.float32)
        means.append(block_sums(part.sum(0), (y, x)) / (ones * len(part)))
        squares.append(block_sums(np.einsum("zyx,zyx->yx", part, part), (y, x)) / (ones * len(part)))
    mean = np.stack(means)
    deviation = np.sqrt(np.maximum(np.stack(squares) - mean**2, 0))
    deviation[deviation < 1e-3 * np.abs(mean)] = 0  # all that is left of equal values in float32
    return Blocks(mean=mean, deviation=deviation, steps=steps)


def _air(blocks: Blocks) -> tuple[float, float]:
    """(mean, deviation) of a voxel of air, from the darkest blocks that vary; many scanners set air to 0."""
    lowest, highest = float(blocks.mean.min()), float(np.quantile(blocks.mean, 0.999))
    varied = blocks.deviation > 0
    if not varied.any():
        return lowest, 0.0
    whole = varied & ~ndimage.binary_dilation(~varied, np.ones((3, 3, 3)))  # of no block that padding takes a part of
    sure = whole if whole.any() else varied
    mean, deviation = blocks.mean[sure], blocks.deviation[sure]
    dark = mean <= np.quantile(mean, AIR)
    air, noise = float(np.median(mean[dark])), float(np.median(deviation[dark]))
    blank = varied.mean() < 1 - AIR and noise > RICIAN * (air - lowest)
    if blank or air - lowest > BLACK * (highest - lowest):
        return lowest, 0.0
    dark = mean < air + 2 * DARKEST * noise / np.sqrt(np.prod(blocks.steps))  # as much above the middle as below it
    return float(np.median(mean[dark])), float(np.median(deviation[dark]))


def _largest(mask: Mask, signal: Array) -> Mask:
    """The connected part of a mask that holds most signal; the mask where nothing is set."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sums = ndimage.sum_labels(signal, labels, np.arange(1, count + 1))
    return np.asarray(labels == int(np.argmax(sums)) + 1)


def _ghosts(level: Array, body: Mask) -> Array:
    """(Z', Y', X') float32 signal that the body's copies half a field of view away have; 0 where there are none.

    A ghost has one share of the signal it copies, wherever that falls on air; other things there do not.
    """
    ghosts = np.zeros_like(level)
    for axis, size in enumerate(level.shape):
        copied = np.roll(level, size // 2, axis)
        shares = (level / np.maximum(copied, 1e-6))[np.roll(body, size // 2, axis) & ~body]
        if len(shares) == 0:
            continue
        low, share = (float(v) for v in np.quantile(shares, [0.25, 0.5]))
        if GHOST[0] <= share <= GHOST[1] and low >= share / 2:
            ghosts = np.maximum(ghosts, np.float32(share) * copied)
    return ghosts


def _fit(level: Array, body: Mask) -> Array:
    """(Z', Y', X') float32 field: the logarithm of `level` on the body as a polynomial in space, robustly fitted.

    Beyond the body's box it goes on as at the box, and nowhere is it beyond what it is on the body.
    Source: a homomorphic correction as in Brinkmann et al. 1998. Differs: a polynomial, fitted on tissue alone.
    """
    places = np.argwhere(body)
    if len(places) == 0:
        return np.full(level.shape, level.max(), np.float32)
    ends = places.min(0), places.max(0)
    bases = [_chebyshev(np.arange(n), ends[0][axis], ends[1][axis]) for axis, n in enumerate(body.shape)]
    powers = np.array([p for p in np.ndindex((DEGREE + 1,) * 3) if sum(p) <= DEGREE])
    terms = bases[0][places[:, 0]][:, powers[:, 0]]
    for axis in (1, 2):  # in place: with np.prod this is most of the memory
        terms *= bases[axis][places[:, axis]][:, powers[:, axis]]
    wanted = np.log(np.maximum(level[body], 1e-6)).astype(np.float64)
    penalty = np.diag(SMOOTH * len(places) * powers.sum(1) ** 2.0)
    weights = np.ones(len(places))
    for _ in range(2):
        weighted = terms * weights[:, None]
        factors = np.linalg.solve(weighted.T @ terms + penalty, weighted.T @ wanted)
        rest = wanted - terms @ factors
        weights = 1 / (1 + (rest / (3 * np.median(np.abs(rest)) + 2e-3)) ** 2)
    cube = np.zeros((DEGREE + 1,) * 3)
    cube[tuple(powers.T)] = factors
    field = np.einsum("ijk,zi,yj,xk->zyx", cube, *bases, optimize=True)
    inside = field[body]
    return np.asarray(np.exp(np.clip(field, inside.min(), inside.max())), np.float32)


def _chebyshev(at: NDArray[np.intp], low: int, high: int) -> NDArray[np.float64]:
    """(N, DEGREE + 1) Chebyshev polynomials at N places; -1 is at `low` and before, 1 at `high` and beyond."""
    inside = np.clip(2 * (at - low) / max(1, high - low) - 1, -1, 1)
    return np.asarray(np.polynomial.chebyshev.chebvander(inside, DEGREE))
