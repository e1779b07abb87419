"""Pictures of what a dataset's samples are like: measures, places of landmarks, every parameter."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from synth.domain.anatomy import VISIBILITY_NAMES, Anatomy
from synth.domain.summary import BINS, Floats, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PALE, SEEN = "#1c5d99", "#a9c4dc", ("#d9d9d9", "#f2b134", "#90a959", "#7a5195")  # the second by visibility code
COLUMNS = 8  # of histograms
Words = Mapping[str, Mapping[int, str]]  # by parameter: the word for each of its codes


def measures_figure(summary: Summary, anatomy: Anatomy) -> bytes:
    """PNG: foreground share, pixel size, depth, and how each landmark is seen."""
    figure = Figure(figsize=(11, 3.6 + 0.3 * anatomy.num_landmarks), dpi=110, layout="constrained")
    places = figure.subplot_mosaic("abc;ddd", height_ratios=(3, 0.9 + 0.3 * anatomy.num_landmarks))
    shown = (
        (100 * summary.foreground, "foreground, % of the patch"),
        (summary.pixel_mm, "pixel, mm"),
        (summary.extent_mm, "depth, nearest to farthest, mm"),
    )
    for place, (values, title) in zip("abc", shown, strict=True):
        _histogram(places[place], values)
        places[place].set_xlabel(title)
    _bars(places["d"], summary, anatomy)
    return _png(figure)


def _bars(axes: "Axes", summary: Summary, anatomy: Anatomy) -> None:
    left = np.zeros(anatomy.num_landmarks)
    names = [name.replace("_", " ") for name in anatomy.names]
    for code, label in enumerate(VISIBILITY_NAMES):
        share = 100 * (summary.visible == code).mean(0)
        if share.any():
            axes.barh(names, share, left=left, color=SEEN[code], label=label)
            for k, part in enumerate(share):
                if part >= 4:
                    axes.text(left[k] + part / 2, k, f"{part:.0f}", ha="center", va="center", fontsize=8)
        left += share
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of samples, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def landmarks_figure(summary: Summary, anatomy: Anatomy) -> bytes:
    """PNG: where each landmark lies, over the share of silhouettes that cover each pixel; one colour scale for all."""
    columns = min(5, anatomy.num_landmarks)
    rows = -(-anatomy.num_landmarks // columns)
    width = 2.4
    height = width * anatomy.height / anatomy.width + 0.35
    figure = Figure(figsize=(columns * width, rows * height), dpi=110, layout="constrained")
    maps = np.stack([_density(summary.landmarks[:, k], anatomy.size) for k in range(anatomy.num_landmarks)])
    most = max(float(np.quantile(maps[maps > 0], 0.98)), 1e-9) if maps.any() else 1.0
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, values, name in zip(grid, maps, anatomy.names, strict=False):
        axes.imshow(1 - 0.45 * summary.mean, cmap="gray", vmin=0, vmax=1)
        axes.imshow(np.ma.masked_equal(values, 0), cmap="inferno_r", vmin=0, vmax=most)
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
    return _png(figure)


def _density(points: Floats, size: tuple[int, int]) -> Floats:
    """(H, W) share of samples whose landmark lies in a pixel."""
    height, width = size
    finite = points[np.isfinite(points).all(1)]
    counts, _, _ = np.histogram2d(finite[:, 1], finite[:, 0], bins=size, range=((0, height), (0, width)))
    return np.asarray(counts / max(len(points), 1), np.float32)


def parameters_figure(summary: Summary, words: Words) -> bytes:
    """PNG: a histogram of every parameter by name; of those that say which mode, a bar by mode, named by `words`."""
    codes = summary.codes()
    rows = -(-len(summary.names) // COLUMNS)
    figure = Figure(figsize=(1.75 * COLUMNS, 1.3 * rows + 0.2), dpi=100, layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid[len(summary.names) :]:
        axes.set_axis_off()
    for axes, name, values in zip(grid, summary.names, summary.parameters.T, strict=False):
        axes.set_title(name, fontsize=8, pad=3)
        if name in codes:
            _modes(axes, {mode_name(words, name, code): share for code, share in codes[name].items()})
        else:
            _histogram(axes, values)
        axes.tick_params(labelsize=7, length=2, pad=1)
    return _png(figure)


def _modes(axes: "Axes", shares: Mapping[str, float]) -> None:
    axes.barh(list(shares), list(shares.values()), color=PALE)
    for row, (label, share) in enumerate(shares.items()):
        axes.text(0.0, row, f" {label} {100 * share:.1f} %", va="center", fontsize=7)
    axes.invert_yaxis()
    axes.set_axis_off()


def mode_name(words: Words, name: str, code: int) -> str:
    """The word for a code of the parameter `name` (whose side, .L or .R, does not matter), or the code itself."""
    return words.get(name.removesuffix(".L").removesuffix(".R"), {}).get(code, str(code))


def _histogram(axes: "Axes", values: Floats) -> None:
    finite = values[np.isfinite(values)]
    if finite.size:
        axes.hist(finite, BINS, color=INK)
    else:
        axes.text(0.5, 0.5, "unknown", ha="center", transform=axes.transAxes)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()
