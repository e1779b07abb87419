"""Tissue in a flat image: what differs from the air around it, without the lead that touches it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.air import SMOOTH_PX, air_of, nearby_air, smoothed
from synth.domain.projection import largest_component

DEVIATIONS = 5.0  # of the smoothed air that tissue must differ by
LEAST, MOST = 0.02, 0.3  # of the contrast: bounds of the threshold
LOCAL = 0.2  # of the largest difference near by that tissue must differ by: scatter brightens the air beside a wrist
THICK = 0.01  # of the picture's size: fingers are thicker, strokes of letters are not
REACH = 2.2  # times that: how far what is near by may lie
CLEAR = 0.15  # of the contrast: what differs from a smooth surface by less may be air that is not so smooth
TIE = 0.5  # of the larger part: where the part of the other polarity is this large, the header decides
SATURATED = 0.2  # of the range: what lies closer to the brightest value may be lead
LEAD = 0.04  # of the tissue: no marker is larger
IN_AIR = 0.3  # of the ring around a marker that touches a hand; bones lie in flesh
STROKE = 0.01  # of the picture's size: half a stroke of a letter is thinner, half a bone of the forearm is not
JUMP = 0.3  # of the range between lead and the flesh beside it; the darkest skin in a photograph has none
CLIPPED = 0.4  # of the field
GRAIN = 0.003  # of the picture's size: thinner things are dust and text

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FlatTissue:
    """mask (H, W) of tissue; level: intensity of the threshold where air is as in the middle; bright; notes.

    clipped: whether most of the air has the one value at the end of the picture's range
    """

    mask: Mask
    level: float
    bright: bool
    clipped: bool
    notes: tuple[str, ...]


def find_tissue(pixels: Plane, field: Mask, bright: bool | None) -> FlatTissue:
    """What differs from air within a field; bright: what the header says of tissue, None where it says nothing."""
    surface, deviation = air_of(pixels, field)
    soft = smoothed(pixels - surface, SMOOTH_PX)
    deviation = _deviation(soft[field], deviation)
    shown = _is_bright(soft, field, deviation, bright)
    sign = np.float32(1 if shown else -1)
    around = _around_air(sign * soft, field, deviation)
    surface, spread = nearby_air(pixels, surface, around, deviation)
    soft = sign * smoothed(pixels - surface, SMOOTH_PX)
    end = (sign * pixels[field]).min()
    clipped = bool((sign * pixels[field] == end).mean() > CLIPPED)
    level = _level(soft, field, np.maximum(spread, 0.3 * deviation), 0.0 if clipped else LOCAL)
    mask = field & (soft > level)
    lead = _lead(sign * pixels, field, mask)
    notes: tuple[str, ...] = ()
    if lead.any():
        if (lead & largest_component(mask)).any():
            notes = ("a marker touches the hand and is cut off",)
        mask = _without(mask, lead)
    grain = _disc(max(1, round(GRAIN * max(pixels.shape))))
    mask = ndimage.binary_opening(mask, grain)
    return FlatTissue(
        mask=mask, level=float(np.median(surface) + sign * np.median(level)), bright=shown, clipped=clipped, notes=notes
    )


def reduced(pixels: NDArray[np.generic], factor: int) -> Plane:
    """(H, W) float32 means of squares of `factor` pixels; the edge is repeated to fill the last."""
    if factor == 1:
        return np.asarray(pixels, np.float32)
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % factor), (0, -width % factor)), mode="edge").astype(np.float32)
    rows, cols = padded.shape[0] // factor, padded.shape[1] // factor
    return np.asarray(padded.reshape(rows, factor, cols, factor).mean((1, 3)))


def _deviation(soft: Plane, start: float) -> float:
    """Deviation of the smoothed air, from its residuals (N,) and a first guess that is too large."""
    size = np.abs(soft)
    deviation = start
    for _ in range(5):
        near = size[size < 3 * deviation]
        if not len(near):
            break
        deviation = max(1.5 * float(np.median(near)), 1e-3 * start)
    return deviation


def _is_bright(soft: Plane, field: Mask, deviation: float, told: bool | None) -> bool:
    """Whether the larger part that differs from air is brighter; where both are large, what the header says."""
    strong = max(DEVIATIONS * deviation, 0.1 * float(np.percentile(np.abs(soft[field]), 99)))
    sizes = []
    for sign in (1, -1):
        labels, _ = ndimage.label(field & (sign * soft > strong))
        sizes.append(int(np.bincount(labels.ravel())[1:].max(initial=0)))
    if told is not None and min(sizes) > TIE * max(sizes):
        return told
    return sizes[0] >= sizes[1]


def _around_air(soft: Plane, field: Mask, deviation: float) -> Mask:
    """(H, W) what is air for certain: all that hardly differs from a smooth surface, or less than flesh would and lies
    nearer to the field's rim than to any tissue, where vignetting and clipping leave no surface smooth."""
    thin, usual = (CLEAR * _contrast(soft, field, deviation, share) for share in (25, 50))
    size = np.abs(soft)
    tissue = ndimage.binary_dilation(size > max(DEVIATIONS * deviation, thin), iterations=3)
    strong = size > max(DEVIATIONS * deviation, usual)
    rim = ndimage.distance_transform_edt(np.pad(field, 1))[1:-1, 1:-1]
    outer = ~strong & (rim < ndimage.distance_transform_edt(~strong))
    return np.asarray(field & (~tissue | outer))


def _contrast(soft: Plane, field: Mask, deviation: float, share: float = 50) -> float:
    """How far tissue differs from air: so many percent of it differ less; 0 where there is none."""
    tissue = soft[field & (soft > DEVIATIONS * deviation)]
    return float(np.percentile(tissue, share)) if tissue.size else 0.0


def _level(soft: Plane, field: Mask, deviation: Plane, local: float) -> Plane:
    """(H, W) how far tissue differs from air at least: more than noise, and than scatter beside thick parts."""
    thin = _contrast(soft, field, float(np.median(deviation[field])), 25)
    least = np.maximum(DEVIATIONS * deviation, LEAST * thin)
    return np.asarray(np.minimum(np.maximum(least, local * _around(soft)), np.maximum(least, MOST * thin)))


def _around(soft: Plane) -> Plane:
    """(H, W) the largest difference from air near by, letters and specks left out."""
    size = max(3, round(THICK * max(soft.shape)) | 1)
    return np.asarray(ndimage.maximum_filter(ndimage.minimum_filter(soft, size), int(REACH * size)), np.float32)


def _lead(values: Plane, field: Mask, mask: Mask) -> Mask:
    """Small parts of the brightest value that touch air as well as tissue."""
    low, high = (float(v) for v in np.percentile(values[field], (1, 100)))
    labels, _ = ndimage.label(field & (values > high - SATURATED * (high - low)), np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    lead = np.zeros_like(mask)
    for part, box in enumerate(ndimage.find_objects(labels), 1):
        if not 20 <= sizes[part] <= LEAD * mask.sum():
            continue
        wide = tuple(slice(max(0, edge.start - 6), edge.stop + 6) for edge in box)
        own = labels[wide] == part
        ring = ndimage.binary_dilation(own, iterations=5) & ~ndimage.binary_dilation(own, iterations=3) & field[wide]
        if ndimage.distance_transform_edt(np.pad(own, 1)).max() > max(3, STROKE * max(mask.shape)):
            continue
        flesh = values[wide][ring & mask[wide]]
        if flesh.size and flesh.size < (1 - IN_AIR) * ring.sum() and np.median(flesh) < high - JUMP * (high - low):
            lead[wide] |= own
    return lead


def _without(mask: Mask, lead: Mask) -> Mask:
    """The mask without lead; where lead lay over tissue, the gap is closed."""
    cut = ndimage.binary_dilation(lead, iterations=4)
    rest = mask & ~cut
    closed = ndimage.binary_closing(np.pad(rest, 12, mode="edge"), _disc(8))[12:-12, 12:-12]
    return np.asarray(rest | (closed & cut))


def _disc(radius: int) -> Mask:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x * x + y * y <= radius * radius)
