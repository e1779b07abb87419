"""Box features: mean values of a patch in boxes displaced from a pixel, and differences of two of them.

Source: Criminisi et al. 2011, "Regression forests for efficient anatomy detection and localization in CT studies".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes:
    """B boxes around any pixel, and P pairs of them whose mean values are subtracted: B + P features.

    plane: (B,) which plane of a patch; low, high: (B, 2) row and column from the pixel, high is beyond the box
    pairs: (P, 2) int64, which boxes
    """

    plane: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    pairs: NDArray[np.int64]

    def features(self, integrals: NDArray[np.float64], pixels: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, B + P) float32 at pixels (n, 2: row, column) of a patch's integral images (C, H + 1, W + 1).

        What lies beyond the patch counts as 0.
        """
        bottom = np.array(integrals.shape[1:]) - 1
        low = np.clip(pixels[:, None] + self.low, 0, bottom)
        high = np.clip(pixels[:, None] + self.high, 0, bottom)
        (top, left), (under, right) = np.moveaxis(low, 2, 0), np.moveaxis(high, 2, 0)
        at = integrals[self.plane, under, right] - integrals[self.plane, top, right]
        at += integrals[self.plane, top, left] - integrals[self.plane, under, left]
        means = (at / (self.high - self.low).prod(1)).astype(np.float32)
        return np.concatenate([means, means[:, self.pairs[:, 0]] - means[:, self.pairs[:, 1]]], 1)


def draw_boxes(
    generator: np.random.Generator, num_planes: int, boxes: int, pairs: int, reach: float, longest: float
) -> Boxes:
    """`boxes` boxes whose centres lie up to `reach` px away along each axis, sides of 1 to `longest` px, spread evenly
    on a logarithmic scale so that many are small; the pairs are of boxes on one plane."""
    plane = generator.integers(0, num_planes, boxes)
    side = np.exp(generator.uniform(0, np.log(max(longest, 1.0)), (boxes, 2))).round().astype(np.int64)
    away = generator.uniform(-1, 1, (boxes, 2))
    centre = np.sign(away) * np.abs(away) ** 1.5 * reach  # more of them near
    low = (centre - side / 2).round().astype(np.int64)
    first = generator.integers(0, boxes, pairs)
    second = np.array([generator.choice(np.flatnonzero(plane == plane[box])) for box in first], np.int64)
    return Boxes(plane=plane, low=low, high=low + side, pairs=np.column_stack([first, second]))


def integral_images(planes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C, H + 1, W + 1) sums over everything above and to the left of a corner, of planes (C, H, W)."""
    num_planes, height, width = planes.shape
    sums = np.zeros((num_planes, height + 1, width + 1))
    sums[:, 1:, 1:] = planes.cumsum(1, dtype=np.float64).cumsum(2)
    return sums
