"""Broken inputs, made from sound silhouettes and cut anew as an import would cut them: what is not to be predicted."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.patch import Crop, sample_mask, silhouette_box

Masks = NDArray[np.bool_]


def broken(masks: Masks, base: str, crop: Crop, rng: np.random.Generator) -> dict[str, Masks]:
    """Name -> broken patches (N, H, W) of N sound ones: turned, halved, joined to another's, or nothing at all.

    A mirrored body is none: in the common domain it looks like any other.
    """
    height, width = masks.shape[1:]
    made: dict[str, Callable[[], Masks]] = {
        "upside-down": lambda: masks[:, ::-1],
        "lying across": lambda: masks.transpose(0, 2, 1),
        "upper half": lambda: masks[:, : height // 2],
        "lower half": lambda: masks[:, height // 2 :],
        "left half": lambda: masks[:, :, : width // 2],
        "right half": lambda: masks[:, :, width // 2 :],
        "fused halves": lambda: _fused(masks, rng),
        "blob": lambda: np.stack([_blob((height, width), rng) for _ in masks]),
    }
    if base == "hand":
        made["mirrored"] = lambda: masks[:, :, ::-1]
    return {name: cut_again(make(), (height, width), crop) for name, make in made.items()}


def cut_again(masks: Masks, size: tuple[int, int], crop: Crop) -> Masks:
    """(N, *size) the largest part of each mask in a patch of its own; without pixels it stays empty."""
    return np.stack([_cut(_largest(mask), size, crop) for mask in masks])


def _fused(masks: Masks, rng: np.random.Generator) -> Masks:
    """The upper half of each over the lower half of the one before it, moved sideways."""
    half, reach = masks.shape[1] // 2, masks.shape[2] // 8
    shifts = rng.integers(-reach, reach + 1, len(masks))
    lower = np.roll(masks, 1, axis=0)[:, half:]
    moved = np.stack([np.roll(low, int(shift), axis=1) for low, shift in zip(lower, shifts, strict=True)])
    return np.concatenate([masks[:, :half], moved], axis=1)


def _blob(size: tuple[int, int], rng: np.random.Generator) -> Masks:
    field = ndimage.gaussian_filter(rng.normal(0, 1, size), rng.uniform(3, 12))
    return np.asarray(field > np.quantile(field, rng.uniform(0.4, 0.8)))


def _largest(mask: Masks) -> Masks:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    return mask if count == 0 else np.asarray(labels == 1 + np.bincount(labels.ravel())[1:].argmax())


def _cut(mask: Masks, size: tuple[int, int], crop: Crop) -> Masks:
    if not mask.any():
        return np.zeros(size, np.bool_)
    free = Crop(margin=crop.margin, fit=crop.fit)  # a mask has no millimetres
    return sample_mask(mask, free.window(silhouette_box(mask), size, None), size)
