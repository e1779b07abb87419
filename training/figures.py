"""Pictures of predictions on patches."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def example_figure(
    silhouettes: NDArray[np.float32],
    predicted: NDArray[np.float32],
    true: NDArray[np.float32],
    errors: NDArray[np.float64],
    columns: int = 6,
) -> "Figure":
    """A figure of N silhouettes (N, H, W) with predicted (crosses) and true (rings) landmarks (N, K, 2) patch px.

    errors: (N,) px, each case's mean
    """
    from matplotlib.figure import Figure

    height, width = silhouettes.shape[1:]
    rows = -(-len(silhouettes) // columns)
    figure = Figure(figsize=(2 * columns, rows * (2 * height / width + 0.3) + 0.4), layout="constrained")
    for i, silhouette in enumerate(silhouettes):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(silhouette, cmap="gray", vmin=0, vmax=1.6, extent=(0, width, height, 0))
        axes.plot(true[i, :, 0], true[i, :, 1], "o", mfc="none", mec="tab:green", ms=6)
        axes.plot(predicted[i, :, 0], predicted[i, :, 1], "x", color="tab:red", ms=5)
        axes.set_title(f"{errors[i]:.2f} px", fontsize=8)
        axes.set_axis_off()
    figure.suptitle("held-out renderings, typical ones, then the worst: true (rings), predicted (crosses)", fontsize=9)
    return figure


def overlay_figure(
    silhouette: NDArray[np.bool_],
    points: NDArray[np.float64],
    names: tuple[str, ...],
    radius_px: NDArray[np.float64],
    title: str,
) -> "Figure":
    """A figure of one case: silhouette (H, W), landmarks (K, 2) source px with names, and circles where known.

    points: NaN where there is nothing to show. radius_px: (K,) source px, NaN where unknown.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    height, width = silhouette.shape
    scale = 7 / max(height, width)
    figure = Figure(figsize=(max(3.0, width * scale), height * scale + 0.4), layout="tight")
    axes = figure.add_subplot(xticks=[], yticks=[])  # ticks are measured even where they are not drawn
    axes.imshow(silhouette, cmap="gray", vmin=0, vmax=1.6, extent=(0, width, height, 0))
    for point, name, radius in zip(points, names, radius_px, strict=True):
        if not np.isfinite(point).all():
            continue
        axes.plot(*point, "+", color="tab:red", ms=9, mew=1.5)
        axes.annotate(name, point, (5, 4), textcoords="offset points", fontsize=7, color="tab:orange")
        if np.isfinite(radius):
            axes.add_patch(Circle(tuple(point), radius, fill=False, color="tab:blue", lw=1))
    axes.set_axis_off()
    axes.set_title(title, fontsize=8, parse_math=False)  # a case may be called $a$
    return figure
