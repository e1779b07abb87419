"""Broken inputs, made from sound patches and cut anew as an import would cut them: what is not to be predicted."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.patch import Crop, sample_mask, sample_nearest, silhouette_box

Images = NDArray[np.float32]  # (N, C, H, W): the silhouette in {0, 1}, then planes in mm, 0 where there is no tissue
BLOB_MM = (20.0, 300.0)  # what planes of a blob vary between
KINDS = (
    "upside-down", "lying across", "upper half", "lower half", "left half", "right half", "fused halves", "blob",
)  # fmt: skip
HAND_KINDS = (*KINDS, "mirrored")  # a mirrored body is none: in the common domain it looks like any other


def kinds_of(base: str) -> tuple[str, ...]:
    """The ways in which a patch of a "hand" or "body" can be broken."""
    return HAND_KINDS if base == "hand" else KINDS


def broken(images: Images, kind: str, crop: Crop, rng: np.random.Generator) -> Images:
    """Broken patches (N, C, H, W) of N sound ones: turned, halved, joined to another's, or nothing at all."""
    size = height, width = images.shape[2], images.shape[3]
    ways: dict[str, Callable[[], Images]] = {
        "upside-down": lambda: images[:, :, ::-1],
        "lying across": lambda: images.transpose(0, 1, 3, 2),
        "upper half": lambda: images[:, :, : height // 2],
        "lower half": lambda: images[:, :, height // 2 :],
        "left half": lambda: images[..., : width // 2],
        "right half": lambda: images[..., width // 2 :],
        "fused halves": lambda: _fused(images, rng),
        "blob": lambda: np.stack([_blob(image.shape, rng) for image in images]),
        "mirrored": lambda: images[..., ::-1],
    }
    return cut_again(ways[kind](), size, crop)


def cut_again(images: Images, size: tuple[int, int], crop: Crop) -> Images:
    """(N, C, *size) the largest part of each silhouette, with its planes, in a patch of its own; without pixels: 0."""
    return np.stack([_cut(image, size, crop) for image in images])


def _fused(images: Images, rng: np.random.Generator) -> Images:
    """The upper half of each over the lower half of the one before it, moved sideways."""
    half, reach = images.shape[2] // 2, images.shape[3] // 8
    shifts = rng.integers(-reach, reach + 1, len(images))
    lower = np.roll(images, 1, axis=0)[:, :, half:]
    moved = np.stack([np.roll(low, int(shift), axis=2) for low, shift in zip(lower, shifts, strict=True)])
    return np.concatenate([images[:, :, :half], moved], axis=2)


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> Images:
    """(C, H, W) a smooth shape of smooth planes."""
    field = ndimage.gaussian_filter(rng.normal(0, 1, shape[1:]), rng.uniform(3, 12))
    mask = field > np.quantile(field, rng.uniform(0.4, 0.8))
    planes = [ndimage.gaussian_filter(rng.normal(0, 1, shape[1:]), rng.uniform(3, 12)) for _ in range(1, shape[0])]
    low, high = BLOB_MM
    scaled = [mask * (low + (high - low) * (plane - plane.min()) / np.ptp(plane)) for plane in planes]
    return np.asarray(np.stack([mask, *scaled]), np.float32)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    return mask if count == 0 else np.asarray(labels == 1 + np.bincount(labels.ravel())[1:].argmax())


def _cut(image: Images, size: tuple[int, int], crop: Crop) -> Images:
    part = _largest(image[0] > 0.5)
    if not part.any():
        return np.zeros((len(image), *size), np.float32)
    free = Crop(margin=crop.margin, fit=crop.fit)  # a mask has no millimetres
    window = free.window(silhouette_box(part), size, None)
    mask = sample_mask(part, window, size)
    return np.asarray(
        np.stack([mask, *(mask * sample_nearest(plane, window, size) for plane in image[1:])]), np.float32
    )
