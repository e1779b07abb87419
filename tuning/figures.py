"""Figures of a report: bars like the paper's Figure 2, both domains side by side (Figure 1), pictures of cases."""

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy
from synth.domain.schema import Samples, unpack_silhouettes
from training.metrics import Floats, summarise
from tuning.cases import Cases
from tuning.table import UNIT_NAMES, Method, Unit, errors_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TISSUE, GROUND, INK, GUESS = "#b9c4cf", "#ffffff", "#1c5d99", "#d1495b"
BARS = {
    "mean shape": "#d5dae0",
    "NN(syn)": "#9aa5b1",
    "NN(study)": "#5f6b7a",
    "RF": "#7b5ea7",
    "CNN(syn)": "#e9b872",
    "CNN(syn)+offset": "#d9a05b",
    "CNN(syn)+affine": "#c98a43",
    "CNN(study)": "#90a959",
    "CNN(ft)": "#d1495b",
}
HATCHES = ("", "//", "..", "xx")


def bar_figure(cases: Cases, methods: Sequence[Method], unit: Unit) -> bytes:
    """SVG of grouped bars: a group per landmark and one for their mean, a bar per method, whiskers one deviation.

    Source: after Riegler et al. 2015, Figure 2.
    """
    groups = [name.replace("_", "\n") for name in cases.anatomy.names] + ["mean"]
    networks = list(dict.fromkeys(method.network for method in methods if method.network))
    figure = _figure(max(7.0, 0.28 * len(groups) * (len(methods) + 1)), 4.2)
    axes = figure.add_subplot()
    width = 0.86 / len(methods)
    for i, method in enumerate(methods):
        s = summarise(errors_in(cases, method.points, unit))
        mean = np.append(s.mean, s.overall_mean)
        deviation = np.nan_to_num(np.append(s.sd, s.overall_sd))
        x = np.arange(len(groups)) + (i - (len(methods) - 1) / 2) * width
        hatch = HATCHES[networks.index(method.network) % len(HATCHES)] if method.network else ""
        axes.bar(
            x, mean, width, color=BARS[method.name], edgecolor="white", linewidth=0.5, hatch=hatch, label=method.label
        )
        low = np.minimum(deviation, np.nan_to_num(mean))
        axes.errorbar(x, mean, yerr=[low, deviation], fmt="none", ecolor="#333333", elinewidth=0.8, capsize=1.5)
    axes.set_xticks(range(len(groups)), groups, fontsize=8)
    axes.set_ylabel(f"error in {UNIT_NAMES[unit]}")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, ncols=min(len(methods), 5), frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return _saved(figure, "svg")


def domain_figure(synthetic: Samples, cases: Cases, count: int = 8) -> bytes:
    """PNG of `count` renderings above as many silhouettes of the study, each with its annotated landmarks.

    Source: after Riegler et al. 2015, Figure 1. The rows are spread evenly over both sets.
    """
    figure = _figure(1.5 * count, 2 * 1.7 * cases.anatomy.height / cases.anatomy.width)
    for row, (samples, title) in enumerate(((synthetic, "renderings"), (cases.samples, "the study"))):
        shown = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
        silhouettes = unpack_silhouettes(samples.packed[shown], cases.anatomy.size)
        for col, (n, silhouette) in enumerate(zip(shown, silhouettes, strict=True)):
            axes = figure.add_subplot(2, count, row * count + col + 1)
            _draw(axes, silhouette, cases.anatomy, samples.landmarks[n, :, :2], None)
            if col == 0:
                axes.set_title(title, fontsize=10, loc="left")
    return _saved(figure, "png")


def case_figure(cases: Cases, points: Floats, shown: Sequence[int], columns: int = 5) -> bytes:
    """PNG of the cases `shown` as small multiples: silhouette, annotation (circles), `points` (N, K, 2) (crosses)."""
    columns = min(columns, max(2, len(shown)))
    rows = math.ceil(len(shown) / columns)
    height = 1.9 * cases.anatomy.height / cases.anatomy.width + 0.25
    figure = _figure(1.9 * columns, height * rows)
    errors = cases.errors_px(points)
    silhouettes = unpack_silhouettes(cases.samples.packed[list(shown)], cases.anatomy.size)
    for place, (n, silhouette) in enumerate(zip(shown, silhouettes, strict=True)):
        axes = figure.add_subplot(rows, columns, place + 1)
        _draw(axes, silhouette, cases.anatomy, cases.points[n], np.asarray(points)[n])
        known = errors[n][np.isfinite(errors[n])]
        text = f"{known.mean():.2f} px" if known.size else "not annotated"
        # parse_math off: a $ in a case name is a $, not the start of a formula
        axes.set_title(f"{_short(cases.names[n])}\n{text}", fontsize=7, parse_math=False)
    return _saved(figure, "png")


def _draw(
    axes: "Axes",
    silhouette: NDArray[np.bool_],
    anatomy: Anatomy,
    truth: Floats,
    guess: Floats | None,
) -> None:
    from matplotlib.colors import ListedColormap

    extent = (0, anatomy.width, anatomy.height, 0)  # pixel centres at +0.5
    axes.imshow(
        silhouette, cmap=ListedColormap([GROUND, TISSUE]), vmin=0, vmax=1, extent=extent, interpolation="nearest"
    )
    axes.plot(truth[:, 0], truth[:, 1], "o", mfc="none", mec=INK, ms=6, mew=1.3)
    if guess is not None:
        axes.plot(guess[:, 0], guess[:, 1], "x", color=GUESS, ms=5, mew=1.4)
    axes.set(xlim=(0, anatomy.width), ylim=(anatomy.height, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color("#dddddd")


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)  # no pyplot: nothing global, nothing to close
    return figure


def _saved(figure: "Figure", form: str) -> bytes:
    from matplotlib import rc_context

    stream = io.BytesIO()
    # no date and no random ids: the same figure twice is the same bytes
    dated = {"Date": None} if form == "svg" else {}
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "synthmark"}):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a case may be named in letters the font has not
        figure.savefig(stream, format=form, metadata=dated)
    return stream.getvalue()


def _short(name: str, limit: int = 22) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
