"""Pictures of predictions on patches."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def example_figure(
    silhouettes: NDArray[np.float32], predicted: NDArray[np.float32], true: NDArray[np.float32], columns: int = 6
) -> "Figure":
    """A figure of N silhouettes (N, H, W) with predicted (crosses) and true (rings) landmarks (N, K, 2) patch px."""
    from matplotlib.figure import Figure

    height, width = silhouettes.shape[1:]
    rows = -(-len(silhouettes) // columns)
    figure = Figure(figsize=(2 * columns, 2 * rows * height / width), layout="tight")
    for i, silhouette in enumerate(silhouettes):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(silhouette, cmap="gray", vmin=0, vmax=1.6, extent=(0, width, height, 0))
        axes.plot(true[i, :, 0], true[i, :, 1], "o", mfc="none", mec="tab:green", ms=6)
        axes.plot(predicted[i, :, 0], predicted[i, :, 1], "x", color="tab:red", ms=5)
        axes.set_axis_off()
    figure.suptitle("held-out renderings: true (rings), predicted (crosses)", fontsize=9)
    return figure
