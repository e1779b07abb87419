"""How landmarks and depth become network targets: equation (1) of the paper, and depth normalisation."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

BACKGROUND_DEPTH = 3.0  # Riegler et al. 2015, section 3: background of a normalised depth map

Eq1 = Literal["patch", "half_patch"]  # divide by p: [-0.5, 0.5]; by p/2: [-1, 1], as the text says


def encode_points(points: NDArray[np.floating[Any]], size: tuple[int, int], eq1: Eq1 = "patch") -> NDArray[np.float32]:
    """Points (..., 2) in patch px (x, y) as network targets of the same shape, float32.

    Source: Riegler et al. 2015, eq. (1): x -> (x - p_w/2)/p_w, y -> (y - p_h/2)/p_h.
    Differs: eq1="half_patch" divides by p/2, the text's [-1, 1].
    """
    extent = np.array([size[1], size[0]], np.float64)
    divisor = extent if eq1 == "patch" else extent / 2
    return np.asarray((np.asarray(points, np.float64) - extent / 2) / divisor, np.float32)


def decode_points(targets: NDArray[np.floating[Any]], size: tuple[int, int], eq1: Eq1 = "patch") -> NDArray[np.float32]:
    """Network outputs (..., 2) as points in patch px, float32: the inverse of encode_points."""
    extent = np.array([size[1], size[0]], np.float64)
    divisor = extent if eq1 == "patch" else extent / 2
    return np.asarray(np.asarray(targets, np.float64) * divisor + extent / 2, np.float32)


def depth_statistics(depth_mm: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """(mean, standard deviation) in mm of the foreground of a depth map (H, W); foreground is > 0.

    Raises: ValueError where there is no foreground or it is flat.
    """
    foreground = np.asarray(depth_mm, np.float64)[np.asarray(depth_mm) > 0]
    if foreground.size == 0:
        raise ValueError("depth map has no foreground: every pixel is 0; is the threshold right?")
    deviation = float(foreground.std())
    if deviation == 0:
        raise ValueError(f"depth map is flat: every foreground pixel is {foreground[0]:g} mm")
    return float(foreground.mean()), deviation


def normalise_depth(depth_mm: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Depth map (H, W) in mm as zero mean, unit deviation over the foreground; background is 3. float32.

    Source: Riegler et al. 2015, section 3.
    """
    mean, deviation = depth_statistics(depth_mm)
    depth = np.asarray(depth_mm, np.float64)
    return np.where(depth > 0, (depth - mean) / deviation, BACKGROUND_DEPTH).astype(np.float32)


def normalise_landmark_depth(
    z_mm: NDArray[np.floating[Any]], depth_mm: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Landmark depths (K,) in mm in the units of their normalised depth map, signed, float32."""
    mean, deviation = depth_statistics(depth_mm)
    return np.asarray((np.asarray(z_mm, np.float64) - mean) / deviation, np.float32)


def denormalise_landmark_depth(
    z: NDArray[np.floating[Any]], depth_mm: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Landmark depths (K,) in mm: the inverse of normalise_landmark_depth."""
    mean, deviation = depth_statistics(depth_mm)
    return np.asarray(np.asarray(z, np.float64) * deviation + mean, np.float32)
