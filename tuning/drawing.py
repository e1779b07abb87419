"""What all figures of a report share: colours of methods, patches with landmarks, bytes that do not change."""

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy
from training.metrics import Floats
from tuning.table import Method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUND, INK, GUESS, EDGE = "#ffffff", "#1c5d99", "#d1495b", "#dddddd"
TISSUE = "#b9c4cf"
COLOURS = {
    "mean shape": "#d3d9df",
    "NN(syn)": "#9aa5b1",
    "NN(study)": "#5f6b7a",
    "RF": "#7b5ea7",
    "CNN(syn)": "#f0d09c",
    "CNN(syn)+offset": "#dba44c",
    "CNN(syn)+affine": "#a8702a",
    "CNN(study)": "#90a959",
    "CNN(ft)": "#d1495b",
}
HATCHES = ("", "//", "..", "xx")
LINES = ("-", "--", ":", "-.")


def networks_of(methods: Sequence[Method]) -> list[str]:
    """The networks among the methods, in order: the n-th has the n-th of HATCHES and LINES."""
    return list(dict.fromkeys(method.network for method in methods if method.network))


def style_of(method: Method, networks: Sequence[str], styles: Sequence[str]) -> str:
    """The style of the method's network, from HATCHES or LINES; the first where it has none."""
    return styles[networks.index(method.network) % len(styles)] if method.network else styles[0]


def draw_patch(axes: "Axes", shades: NDArray[Any], anatomy: Anatomy) -> None:
    """A patch as ground: shades (H, W) from 0 (ground) to 1 (tissue), in patch px, without ticks."""
    from matplotlib.colors import LinearSegmentedColormap

    extent = (0, anatomy.width, anatomy.height, 0)  # pixel centres at +0.5
    shading = LinearSegmentedColormap.from_list("tissue", [GROUND, TISSUE])
    axes.imshow(shades, cmap=shading, vmin=0, vmax=1, extent=extent, interpolation="nearest")
    axes.set(xlim=(0, anatomy.width), ylim=(anatomy.height, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(EDGE)


def draw_landmarks(axes: "Axes", truth: Floats, guess: Floats | None) -> None:
    """Annotated landmarks (K, 2) as circles, predicted ones as crosses."""
    axes.plot(truth[:, 0], truth[:, 1], "o", mfc="none", mec=INK, ms=6, mew=1.3)
    if guess is not None:
        axes.plot(guess[:, 0], guess[:, 1], "x", color=GUESS, ms=5, mew=1.4)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of that many inches, without pyplot: nothing global, nothing to close."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    return figure


def open_axes(figure: "Figure", *place: int) -> "Axes":
    """Axes of a diagram, without a frame above and to the right."""
    axes = figure.add_subplot(*place)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def saved(figure: "Figure", form: str) -> bytes:
    """The figure as svg or png, without date or random ids: the same figure twice is the same bytes."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    dated = {"Date": None} if form == "svg" else {}
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "synthmark"}):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a case may be named in letters the font has not
        figure.savefig(stream, format=form, metadata=dated)
    return stream.getvalue()


def short(name: str, limit: int = 22) -> str:
    """The name, cut to `limit` letters."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def words(landmark: str) -> str:
    """A landmark's name for people."""
    return landmark.replace("_", " ")
