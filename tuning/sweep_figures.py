"""Figures of a sweep: errors by schedule, learning curves, errors by schedule and landmark."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuning.drawing import GUESS, INK, new_figure, open_axes
from tuning.schedule import Schedule
from tuning.trial import TrialResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER = "#9aa5b1"


def error_figure(results: Sequence[TrialResult], best: Schedule) -> "Figure":
    """A row per schedule, the best above: a ring for every fold's error in patch px, a dot for their mean."""
    ranked = sorted(results, key=lambda result: result.error_px, reverse=True)
    figure = new_figure(7.0, 1.0 + 0.32 * len(ranked))
    axes = open_axes(figure)
    for row, result in enumerate(ranked):
        colour = GUESS if result.schedule == best else INK
        errors = [fold.error_px for fold in result.folds]
        axes.plot(errors, [row] * len(errors), "o", mfc="none", mec=colour, ms=5, alpha=0.6)
        axes.plot([result.error_px], [row], "o", color=colour, ms=8)
    axes.set_yticks(range(len(ranked)), [result.schedule.name for result in ranked], fontsize=8, parse_math=False)
    axes.set_ylim(-0.6, len(ranked) - 0.4)
    axes.set_xlim(left=0)
    axes.set_xlabel("error on unseen subjects, patch px: folds (rings) and their mean (dots)")
    axes.grid(axis="y", color="#eeeeee")
    return figure


def curve_figure(results: Sequence[TrialResult], best: Schedule) -> "Figure":
    """Training loss of every schedule over epochs, mean over folds; the best in front.

    On a logarithmic scale, unless a loss has a term that may fall below zero.
    """
    from matplotlib import colormaps

    figure = new_figure(8.0, max(4.0, 1.0 + 0.17 * len(results)))
    axes = open_axes(figure)
    for number, result in enumerate(results):
        losses = np.mean([fold.losses for fold in result.folds], axis=0)
        first = result.schedule == best
        axes.plot(
            np.arange(1, len(losses) + 1),
            losses,
            color=GUESS if first else colormaps["viridis"](number / len(results)),
            linewidth=2.2 if first else 1.2,
            zorder=3 if first else 2,
            label=result.schedule.name,
        )
    if all(loss > 0 for result in results for fold in result.folds for loss in fold.losses):
        axes.set_yscale("log")
        ticks = [float(f"{tick:.2g}") for tick in np.geomspace(*axes.get_ylim(), 6)]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])  # 0.7, not 7 x 10^-1
        axes.minorticks_off()
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss, mean over folds")
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def landmark_figure(errors: Mapping[str, Sequence[float]], landmarks: Sequence[str]) -> "Figure":
    """A table of colours and numbers: a row per schedule, a column per landmark, mean errors in patch px.

    errors: schedule -> (K,) px; NaN where a landmark is never annotated
    """
    table = np.array(list(errors.values()), np.float64)
    figure = new_figure(2.5 + 0.62 * len(landmarks), 1.6 + 0.3 * len(table))
    axes = open_axes(figure)
    low, high = (float(np.nanmin(table)), float(np.nanmax(table))) if np.isfinite(table).any() else (0.0, 1.0)
    # the darkest colours are left out: black stays readable
    axes.imshow(table, cmap="Reds", vmin=low, vmax=high + 0.7 * max(high - low, 1e-9), aspect="auto")
    for (row, column), error in np.ndenumerate(table):
        axes.text(column, row, f"{error:.2f}" if np.isfinite(error) else "", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(landmarks)), [name.replace("_", "\n") for name in landmarks], fontsize=8)
    axes.set_yticks(range(len(table)), list(errors), fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("mean error in patch px on unseen subjects", fontsize=9, loc="left")
    return figure
