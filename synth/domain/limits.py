"""How large a scan and its voxels may be. Numpy alone."""

import numpy as np
from numpy.typing import NDArray

MAX_VOXELS = 1 << 30
SPACING_MM = (0.005, 50.0)  # of a voxel or pixel that can be meant
EXTENT_MM = 5000.0


def check_size(size: tuple[int, ...], values: int, max_voxels: int) -> None:
    """Raise ValueError, a predicate, unless a size (x, y or x, y, z) with so many values a voxel is one of a scan."""
    shape = " x ".join(map(str, size))
    if values != 1:
        raise ValueError(f"has {values} values per pixel (colour, complex?); convert it to greyscale")
    if len(size) not in (2, 3):
        raise ValueError(f"has {len(size)} dimensions ({shape}); allowed: 2 or 3: export one time or echo alone")
    if min(size) < 2:
        raise ValueError(f"has size {shape}; allowed: at least 2 along each axis (2D images as PNG or MHA)")
    if np.prod([float(n) for n in size]) > max_voxels:
        raise ValueError(f"claims {shape} voxels; allowed: {max_voxels} in all")


def check_spacing(spacing: NDArray[np.float64], size: tuple[int, ...]) -> None:
    """Raise ValueError, a predicate, unless voxels of so many mm (x, y or x, y, z) can be meant."""
    extent = spacing * size
    if spacing.min() < SPACING_MM[0] or spacing.max() > SPACING_MM[1] or extent.max() > EXTENT_MM:
        voxels, spans = (" x ".join(f"{v:.3g}" for v in values) for values in (spacing, extent))
        low, high = SPACING_MM
        allowed = f"allowed: {low:g} to {high:g} mm and {EXTENT_MM / 1000:g} m in all"
        raise ValueError(f"has voxels of {voxels} mm and spans {spans} mm; {allowed}: is its unit mm?")
