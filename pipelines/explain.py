"""A picture of how one scan became the patch that networks see, to be judged in five seconds."""

import argparse
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray

from pipelines.sheet import COLOURS
from synth.domain.anatomy import Anatomy
from synth.domain.parts import Parts
from synth.domain.projection import Projection, Volume
from synth.domain.radiograph import Image
from synth.domain.settings import ImportSettings
from synth.domain.study import Prepared

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_PX = 360  # pictures are thinned to this size: they are drawn no larger
EDGE, BOX, BESIDE, APART, FIRST = "#ff3030", "#00b4d8", "#e4572e", "#8d6ab8", "#ffd400"
PANEL_IN = 2.35  # inches across
LINE_IN, LINE_CHARACTERS = 0.17, 170

Plane = NDArray[Any]
Extent = tuple[float, float, float, float]  # left, right, bottom, top in data units, as imshow has it

Step = Callable[["Axes"], None]


def add_explain_option(options: argparse.ArgumentParser) -> None:
    """None; adds the option --explain."""
    options.add_argument(
        "--explain", type=Path, metavar="DIR",
        help="write CASE.png there: how each scan became the patch that networks see; a second a case",
    )  # fmt: skip


def explain(
    prepared: Prepared,
    parts: Parts,
    points: NDArray[np.floating[Any]],
    anatomy: Anatomy,
    settings: ImportSettings,
    case: str,
    notes: Sequence[str],
) -> bytes:
    """PNG of the steps from a scan to its patch; points: (K, >= 2) landmarks in patch px, NaN = none."""
    view, shown = prepared.source, prepared.shown
    steps: list[Step] = [
        *(_volume_steps(shown, view, settings) if isinstance(shown, Volume) else ()),
        *(_image_steps(shown, view) if isinstance(shown, Image) else ()),
        lambda axes: _silhouette(axes, parts, prepared, anatomy),
        *([] if view.depth_mm is None else [lambda axes: _depth(axes, view)]),
        *([] if view.thickness_mm is None else [lambda axes: _thickness(axes, view)]),
        lambda axes: _patch(axes, prepared, points, anatomy),
        lambda axes: _observed(axes, prepared),
    ]
    height, width = view.silhouette.shape
    return _drawn(steps, height / width, case, [*_facts(view, prepared), *(f"NOTE {note}" for note in notes)])


def _drawn(steps: Sequence[Step], tall: float, title: str, lines: Sequence[str]) -> bytes:
    """PNG of the steps in rows, `tall` times as high as they are wide, with lines of text below."""
    columns = -(-len(steps) // 2) if len(steps) > 5 else len(steps)
    rows = -(-len(steps) // columns)
    high = rows * (PANEL_IN * min(2.1, max(0.9, tall)) + 0.75) + 0.5 + LINE_IN * len(lines)
    figure = Figure(figsize=(columns * PANEL_IN, high), dpi=100)
    foot = (0.25 + LINE_IN * len(lines)) / high
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(0.03, foot + 0.5 / high, 0.98, 1 - 0.7 / high, 0.12, 0.22)
    for axes in grid:
        axes.set_axis_off()
    for axes, draw in zip(grid, steps, strict=False):
        draw(axes)
    figure.suptitle(_drawable(title), fontsize=11, x=0.02, ha="left", parse_math=False)
    text = "\n".join(_drawable(line[:LINE_CHARACTERS]) for line in lines)
    figure.text(0.02, foot, text, fontsize=8, va="top", parse_math=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _drawable(text: str) -> str:
    """The text with a box for what the font lacks: matplotlib would warn of each."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(c if ord(c) in known else "□" for c in text)


def _image_steps(image: Image, view: Projection) -> list[Step]:
    return [lambda axes: _image(axes, image.pixels, "image, as it is"), lambda axes: _over(axes, image.pixels, view)]


def _facts(view: Projection, prepared: Prepared) -> list[str]:
    height, width = view.silhouette.shape
    side = "above" if view.bright else "below"
    sizes = "their size is not known"
    if view.pixel_mm is not None:
        sizes = f"{view.pixel_mm[0]:.3g} mm each, {prepared.pixel_mm[0]:.3g} mm in the patch"
    return [f"{width} x {height} px, {sizes}; tissue lies {side} {view.threshold:.4g}"]


def _volume_steps(shown: Volume, view: Projection, settings: ImportSettings) -> list[Step]:
    """Projections and two slices through the middle of the silhouette."""
    sx, sy, sz = shown.spacing_mm
    count, depth, width = shown.voxels.shape
    thin = [max(1, n // SHOWN_PX) for n in shown.voxels.shape]
    some = shown.voxels[:: thin[0], :, :: thin[2]][::-1]
    front = (0, width * sx, count * sz, 0)
    rows, cols = np.flatnonzero(view.silhouette.any(1)), np.flatnonzero(view.silhouette.any(0))
    assert view.pixel_mm is not None
    x_mm, down_mm = cols.mean() * view.pixel_mm[0], rows.mean() * view.pixel_mm[1]
    i = min(width - 1, int(x_mm / sx))
    k = max(0, count - 1 - int(down_mm / sz))
    axial, sagittal = shown.voxels[k, :: thin[1], :: thin[2]], shown.voxels[:: thin[0], :: thin[1], i][::-1]
    surface = _surface(shown, view, settings)
    across, along = np.arange(surface.shape[1]) + 0.5, np.arange(surface.shape[0]) + 0.5

    def largest(axes: "Axes") -> None:
        _image(axes, some.max(1), "largest value, from the front", front)
        axes.axhline(down_mm, color=BOX, lw=0.8, ls=":")
        axes.axvline(x_mm, color=BOX, lw=0.8, ls=":")

    def mean(axes: "Axes") -> None:
        _image(axes, some.mean(1, dtype=np.float32), "mean value, from the front", front)

    def middle(axes: "Axes") -> None:
        _slice(axes, axial, (0, width * sx, depth * sy, 0), view.threshold, "slice across, from the feet")
        axes.plot(across * view.pixel_mm[0], surface[int(rows.mean())], color=FIRST, lw=1)  # type: ignore[index]

    def side(axes: "Axes") -> None:
        _slice(axes, sagittal, (0, depth * sy, count * sz, 0), view.threshold, "slice along, front at the left")
        axes.plot(surface[:, int(cols.mean())], along * view.pixel_mm[1], color=FIRST, lw=1)  # type: ignore[index]

    return [largest, mean, middle, side]


def _surface(shown: Volume, view: Projection, settings: ImportSettings) -> NDArray[np.float64]:
    """(H, W) mm from the front face of the shown volume to the first tissue of the projection, NaN off it."""
    assert view.depth_mm is not None
    zero = (settings.turn @ view.to_patient[:, 3])[1]
    front = shown.index_to_patient[1, 3] - 0.5 * shown.spacing_mm[1]
    return np.where(view.silhouette, view.depth_mm + zero - front, np.nan)


def _image(axes: "Axes", values: Plane, title: str, extent: Extent | None = None) -> None:
    step = max(1, max(values.shape) // SHOWN_PX)
    height, width = values.shape
    low, high = np.percentile(values[::step, ::step], (1, 99.5))
    axes.imshow(
        values[::step, ::step], cmap="gray", vmin=low, vmax=max(high, low + 1e-6),
        extent=extent or (0, width, height, 0), interpolation="nearest",
    )  # fmt: skip
    axes.set_title(title, fontsize=8)


def _slice(axes: "Axes", values: Plane, extent: Extent, threshold: float, title: str) -> None:
    """A slice with the threshold's contour; the first tissue is added in yellow."""
    _image(axes, values, title, extent)
    above = np.asarray(values > threshold, np.float32)
    if 0 < above.mean() < 1:
        x = np.linspace(extent[0], extent[1], 2 * values.shape[1] + 1)[1::2]
        y = np.linspace(extent[3], extent[2], 2 * values.shape[0] + 1)[1::2]
        axes.contour(x, y, above, [0.5], colors=EDGE, linewidths=0.6)
    handles = [Line2D([], [], color=EDGE, lw=1), Line2D([], [], color=FIRST, lw=1)]
    _legend(axes, handles, ["threshold", "depth map"])


def _over(axes: "Axes", pixels: Plane, view: Projection) -> None:
    """A 2D image with the outline of its silhouette."""
    height, width = pixels.shape
    step = max(1, max(pixels.shape) // SHOWN_PX)
    _image(axes, pixels, f"tissue {'above' if view.bright else 'below'} {view.threshold:.4g}")
    x, y = np.arange(0, width, step) + 0.5, np.arange(0, height, step) + 0.5
    axes.contour(x, y, view.silhouette[::step, ::step].astype(np.float32), [0.5], colors=EDGE, linewidths=0.8)
    _legend(axes, [Line2D([], [], color=EDGE, lw=1)], ["outline of the silhouette"])


def _silhouette(axes: "Axes", parts: Parts, prepared: Prepared, anatomy: Anatomy) -> None:
    """The silhouette in source px, what was left out of it in colour, and the patch's frame."""
    mask = prepared.source.silhouette
    step = max(1, max(mask.shape) // SHOWN_PX)
    classes = np.where(mask, 1, np.where(parts.beside, 2, np.where(parts.apart, 3, 0))).astype(np.uint8)
    height, width = mask.shape
    colours = ["#202020", "#e8e8e8", BESIDE, APART]
    axes.imshow(
        classes[::step, ::step], cmap=ListedColormap(colours), vmin=-0.5, vmax=3.5,
        extent=(0, width, height, 0), interpolation="nearest",
    )  # fmt: skip
    corners = np.array([[0.0, 0], [anatomy.width, 0], [anatomy.width, anatomy.height], [0, anatomy.height]])
    frame = prepared.patch_map.source_points(corners)
    axes.add_patch(Polygon(frame, fill=False, ec=BOX, lw=1.2))
    low, high = np.minimum(frame.min(0), 0), np.maximum(frame.max(0), (width, height))
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
    axes.set_title(f"silhouette, {mask.mean():.1%} of the image", fontsize=8)
    handles = [Patch(fc="#e8e8e8", ec="k"), Patch(fc=BESIDE), Patch(fc=APART), Patch(fill=False, ec=BOX)]
    _legend(axes, handles, ["kept", "cut out beside it", "other parts", "patch"])


def _depth(axes: "Axes", view: Projection) -> None:
    assert view.depth_mm is not None
    _map(axes, np.where(view.silhouette, view.depth_mm, np.nan), "depth, mm from the zero plane", "viridis_r")


def _thickness(axes: "Axes", view: Projection) -> None:
    assert view.thickness_mm is not None
    _map(axes, np.where(view.silhouette, view.thickness_mm, np.nan), "thickness, mm", "magma")


def _map(axes: "Axes", values: Plane, title: str, colours: str) -> None:
    step = max(1, max(values.shape) // SHOWN_PX)
    height, width = values.shape
    drawn = axes.imshow(values[::step, ::step], cmap=colours, extent=(0, width, height, 0), interpolation="nearest")
    bar = axes.figure.colorbar(drawn, ax=axes, fraction=0.16, aspect=30, pad=0.03)  # its numbers fit beside it
    bar.ax.tick_params(labelsize=7)
    axes.set_title(title, fontsize=8)


def _patch(axes: "Axes", prepared: Prepared, points: NDArray[np.floating[Any]], anatomy: Anatomy) -> None:
    """What a network sees, with the landmarks."""
    height, width = prepared.silhouette.shape
    grey: Plane = np.where(prepared.silhouette, 0.75, 0.1)
    if prepared.depth_mm is not None:
        near, far = prepared.depth_mm[prepared.silhouette].min(), prepared.depth_mm.max()
        shade = 0.95 - 0.55 * (prepared.depth_mm - near) / max(float(far - near), 1e-6)
        grey = np.where(prepared.silhouette, shade, 0.1)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
    handles = []
    for k, (x, y) in enumerate(np.asarray(points, np.float64)[:, :2]):
        handles += axes.plot(x, y, "o", ms=4, mfc=COLOURS[k % len(COLOURS)], mec="k", mew=0.6, ls="", clip_on=False)
    _legend(axes, handles, [name.replace("_", " ") for name in anatomy.names])
    axes.set_title(f"patch, {width} x {height} px", fontsize=8)


def _observed(axes: "Axes", prepared: Prepared) -> None:
    """Which pixels of the patch the scan shows."""
    height, width = prepared.observed.shape
    classes = np.where(prepared.observed, np.where(prepared.silhouette, 2, 1), 0)
    axes.imshow(
        classes, cmap=ListedColormap(["#d95f5f", "#404040", "#e8e8e8"]), vmin=-0.5, vmax=2.5,
        extent=(0, width, height, 0), interpolation="nearest",
    )  # fmt: skip
    _legend(
        axes, [Patch(fc="#e8e8e8", ec="k"), Patch(fc="#404040"), Patch(fc="#d95f5f")], ["tissue", "air", "not seen"]
    )
    axes.set_title(f"observed, {prepared.observed.mean():.0%} of the patch", fontsize=8)


def _legend(axes: "Axes", handles: Sequence[Any], labels: Sequence[str]) -> None:
    axes.legend(
        handles, labels, fontsize=6, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.01), frameon=False,
        handlelength=1.2, columnspacing=0.8, borderpad=0.1, labelspacing=0.25,
    )  # fmt: skip
