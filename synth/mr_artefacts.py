"""What an MR scan shows beside anatomy: dark skin, a coil's fall-off, ghosts, wrap-around, interference.

Arrays are (z, y, x), float32, and hold signal in shares of that of muscle in T1. Which axis encodes phase is a choice
of the person at the scanner. Strengths are typical unless a source is named.
Sources: Bellon et al. 1986 (ghosts, wrap-around, zipper, chemical shift); Roemer et al. 1990 (surface coils).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synth.compartments import Label
from synth.domain.patch import Matrix
from synth.intensities import Weighting, mr_intensities

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Signal = NDArray[np.float32]
Axis = Literal["x", "y", "z"]

AXES: dict[Axis, int] = {"z": 0, "y": 1, "x": 2}  # of the arrays
LOOP_MM = 60.0  # radius of the loop of a surface coil for hands


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """Strengths; the default is a scan without any.

    weighting: "water" where fat is suppressed, marrow with it; skin: share of its signal that skin keeps
    pressed_mm: how deep a sand bag, which has no signal, flattens the middle of the front; see `pressed`
    chemical_shift: voxels by which fat lies off along the axis of frequency
    coil: how much more signal the tissue nearest to a surface coil gives than the farthest
    slice_gain: deviation of the logarithm of the slices' gain, along `slices`
    ghost: signal of a copy half a field of view away along `phase`; sharp: share of the frequencies kept along it
    wrap_mm: how much of the tissue, at the first end of `phase`, lies outside the field of view and is folded in
    zipper, spike: amplitudes of a line of interference and of the stripes of a spiked frequency
    """

    weighting: Weighting = "t1"
    skin: float = 1.0
    pressed_mm: float = 0.0
    chemical_shift: int = 0
    coil: float = 1.0
    slices: Axis = "y"
    slice_gain: float = 0.0
    phase: Axis = "x"
    ghost: float = 0.0
    sharp: float = 1.0
    wrap_mm: float = 0.0
    zipper: float = 0.0
    spike: float = 0.0

    def __post_init__(self) -> None:
        if self.coil < 1 or not 0.2 <= self.sharp <= 1:
            raise ValueError(f"coil is {self.coil}, sharp {self.sharp}; allowed: coil >= 1, 0.2 <= sharp <= 1")
        if not 0 <= self.skin <= 1:
            raise ValueError(f"skin is {self.skin}; allowed: 0 to 1")
        strengths = (self.pressed_mm, self.slice_gain, self.ghost, self.wrap_mm, self.zipper, self.spike)
        if min(*strengths, self.chemical_shift) < 0:
            raise ValueError(f"strengths are {strengths}, {self.chemical_shift}; allowed: at least 0")

    @property
    def frequency(self) -> Axis:
        """The axis along which frequency is encoded; the third one selects the slice."""
        return "x" if self.phase == "z" else "z"


NO_ARTEFACTS = Artefacts()


def pressed(mask: Mask, spacing_mm: tuple[float, float, float], deep_mm: float) -> Mask:
    """The mask flattened from the front over the middle third of its height, as below a sand bag; no column is lost."""
    flat, deep = mask.copy(), deep_mm / spacing_mm[1]
    rows = np.flatnonzero(mask.any((1, 2)))
    middle = slice(int(rows[0] + len(rows) / 3), int(rows[0] + 2 * len(rows) / 3))
    part = mask[middle]
    order = np.cumsum(part, 1)
    flat[middle] = part & ((order > deep) | (order[:, -1:] <= 3 * deep))
    return flat


def tissue_signal(labels: Labels, affine: Matrix, artefacts: Artefacts, rng: np.random.Generator) -> Signal:
    """Signal of a patient's voxels (see compartments.py) before the scanner adds its own; affine: voxel -> mm."""
    signal = mr_intensities(labels, artefacts.weighting, affine, rng)
    if artefacts.skin < 1:
        signal[labels == Label.SKIN] *= np.float32(artefacts.skin)
    if artefacts.chemical_shift:
        fat = np.where((labels == Label.FAT) | (labels == Label.MARROW), signal, 0)
        signal += np.roll(fat, artefacts.chemical_shift, AXES[artefacts.frequency]) - fat
    return signal


def scanned(
    signal: Signal, spacing_mm: tuple[float, float, float], artefacts: Artefacts, rng: np.random.Generator
) -> tuple[Signal, tuple[int, int, int]]:
    """(what the scanner shows of a signal, voxels cut off at the start of each axis (z, y, x)); without noise.

    Wrap-around makes the array shorter along the phase axis.
    """
    axis = AXES[artefacts.phase]
    shown = signal
    if artefacts.coil > 1:
        shown = shown * _coil(signal > 0.25, spacing_mm, artefacts.coil, rng)
    if artefacts.slice_gain > 0:
        across = AXES[artefacts.slices]
        gain = np.exp(rng.normal(0, artefacts.slice_gain, shown.shape[across]))
        shown = shown * _along(gain, across)
    if artefacts.sharp < 1:
        shown = _truncated(shown, axis, artefacts.sharp)
    if artefacts.ghost > 0:
        copy = artefacts.ghost * np.roll(shown, shown.shape[axis] // 2, axis)
        shown = np.abs(shown + copy * np.exp(2j * np.pi * rng.random()).astype(np.complex64))
    cut = [0, 0, 0]
    if artefacts.wrap_mm > 0:
        shown, cut[axis] = _folded(shown, axis, artefacts.wrap_mm / spacing_mm[2 - axis])
    return _interfered(shown, artefacts, rng).astype(np.float32), (cut[0], cut[1], cut[2])


def _coil(tissue: Mask, spacing_mm: tuple[float, float, float], ratio: float, rng: np.random.Generator) -> Signal:
    """(z, y, x) sensitivity of a loop that lies somewhere at the tissue's box; its geometric mean over the tissue is 1.

    It falls as the field on the loop's axis does, (1 + (r / a)²)^(-3/2), raised to the power that gives the ratio.
    """
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    distance = np.zeros((1, 1, 1), np.float32)
    for axis in range(3):
        places = np.flatnonzero(tissue.any(tuple({0, 1, 2} - {axis})))
        middle, half = (places[0] + places[-1]) / 2, 1.1 * (places[-1] - places[0]) / 2
        apart = (np.arange(tissue.shape[axis]) - middle - direction[axis] * half) * spacing_mm[2 - axis]
        distance = distance + _along(apart**2, axis)
    fall = -1.5 * np.log1p(distance / LOOP_MM**2)
    inside = fall[tissue]
    low, high = np.percentile(inside, [0.5, 99.5])
    return np.asarray(np.exp((fall - inside.mean()) * (np.log(ratio) / (high - low))), np.float32)


def _truncated(signal: Signal, axis: int, kept: float) -> Signal:
    """The signal without its highest frequencies along an axis: Gibbs' ringing."""
    spectrum = np.fft.rfft(signal, axis=axis)
    count = max(1, round(kept * spectrum.shape[axis]))
    spectrum[(slice(None),) * axis + (slice(count, None),)] = 0
    return np.abs(np.fft.irfft(spectrum, signal.shape[axis], axis)).astype(np.float32)


def _folded(signal: Signal, axis: int, lost: float) -> tuple[Signal, int]:
    """(the signal of a field of view that begins `lost` voxels into the tissue, how many voxels it is shorter)."""
    moved = np.moveaxis(signal, axis, 0)
    level = 0.05 * float(signal.max())
    cut = int(np.flatnonzero((moved > level).any((1, 2)))[0] + round(lost))
    shown = moved[cut:].copy()
    assert cut <= len(shown), "folds in once"
    shown[len(shown) - cut :] += moved[:cut]
    return np.ascontiguousarray(np.moveaxis(shown, 0, axis)), cut


def _interfered(signal: Signal, artefacts: Artefacts, rng: np.random.Generator) -> Signal:
    """The signal with a zipper across the axis of frequency, and with the stripes of one spike."""
    shown = signal
    if artefacts.zipper > 0:
        across = AXES[artefacts.frequency]
        shown = shown.copy()
        line = np.moveaxis(shown, across, 0)[int(rng.integers(shown.shape[across]))]
        line += np.float32(artefacts.zipper) * np.abs(rng.standard_normal(line.shape, np.float32))
    if artefacts.spike > 0:
        waves = [rng.uniform(0.2, 2.5) * np.arange(n) for n in signal.shape]
        phase = rng.uniform(0, 2 * np.pi) + sum(_along(wave, axis) for axis, wave in enumerate(waves))
        shown = np.abs(shown + artefacts.spike * np.cos(phase))
    return shown


def _along(values: NDArray[np.float64], axis: int) -> Signal:
    """Values (N,) as an array that runs along one of three axes."""
    return values.astype(np.float32).reshape([-1 if axis == k else 1 for k in range(3)])
