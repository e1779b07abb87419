"""Diagrams of errors: bars by landmark (the paper's Figures 2 and 4), shares within a distance, case by case."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuning.cases import Cases, Errors
from tuning.drawing import COLOURS, HATCHES, LINES, networks_of, new_figure, open_axes, saved, short, style_of, words
from tuning.table import UNIT_NAMES, Method, Unit, describe, mean_errors, pooled_errors, thresholds_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUPS_A_ROW = 5  # of bars: more are too thin to read on a page


def bar_figure(cases: Cases, methods: Sequence[Method], unit: Unit) -> bytes:
    """SVG of grouped bars: a group per landmark and one for their mean, a bar per method, whiskers one deviation.

    Source: after Riegler et al. 2015, Figures 2 and 4.
    """
    groups = [*map(words, cases.anatomy.names), "mean"]
    rows = math.ceil(len(groups) / (GROUPS_A_ROW + 1))  # one row may take one group more
    per_row = math.ceil(len(groups) / rows)
    errors = [pooled_errors(cases, method, unit) for method in methods]
    figure = new_figure(10, 0.6 + 3.1 * rows)
    for row in range(rows):
        axes = open_axes(figure, rows, 1, row + 1)
        shown = range(row * per_row, min((row + 1) * per_row, len(groups)))
        for i, method in enumerate(methods):
            columns = [errors[i] if k == len(groups) - 1 else errors[i][:, k] for k in shown]
            _bars(axes, method, methods, i, columns)
        axes.set_xticks(range(len(shown)), [groups[k] for k in shown], fontsize=9)
        axes.set_xlim(-0.5, per_row - 0.5)
        axes.set_ylabel(f"error in {UNIT_NAMES[unit]}", fontsize=8)
    highest = max(axes.get_ylim()[1] for axes in figure.axes)
    for axes in figure.axes:
        axes.set_ylim(0, highest)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), fontsize=8, ncols=5, frameon=False, loc="outside upper center"
    )
    return saved(figure, "svg")


def _bars(axes: "Axes", method: Method, methods: Sequence[Method], i: int, columns: Sequence[Errors]) -> None:
    width = 0.86 / len(methods)
    found = [describe(values) for values in columns]
    mean = np.array([values["mean"] for values in found])
    deviation = np.nan_to_num([values["sd"] for values in found])
    x = np.arange(len(columns)) + (i - (len(methods) - 1) / 2) * width
    hatch = style_of(method, networks_of(methods), HATCHES)
    axes.bar(
        x, mean, width, color=COLOURS[method.name], edgecolor="white", linewidth=0.5, hatch=hatch, label=method.label
    )
    low = np.minimum(deviation, np.nan_to_num(mean))
    axes.errorbar(x, mean, yerr=[low, deviation], fmt="none", ecolor="#333333", elinewidth=0.8, capsize=1.5)


def cumulative_figure(cases: Cases, methods: Sequence[Method], unit: Unit) -> bytes:
    """SVG of curves: the share of landmarks within a distance, a curve per method; dotted: thresholds of success."""
    limits = thresholds_in(cases, unit)
    errors = [pooled_errors(cases, method, unit) for method in methods]
    known = [np.sort(values[np.isfinite(values)]) for values in errors]
    farthest = limits[-1] if limits else max(float(np.percentile(values, 95)) for values in known if values.size)
    figure = new_figure(10, 4.2)
    axes = open_axes(figure)
    for method, values in zip(methods, known, strict=True):
        share = np.arange(1, values.size + 1) / values.size
        line = style_of(method, networks_of(methods), LINES)
        axes.step(values, share, where="post", color=COLOURS[method.name], linestyle=line, lw=1.8, label=method.label)
    for limit in limits:
        axes.axvline(limit, color="#888888", lw=0.7, ls=":")
    axes.set(
        xlim=(0, farthest * 1.02), ylim=(0, 1.01), ylabel="share of landmarks", xlabel=f"error in {UNIT_NAMES[unit]}"
    )
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return saved(figure, "svg")


def by_case_figure(cases: Cases, methods: Sequence[Method], unit: Unit, num_named: int = 5) -> bytes:
    """SVG of dots: every case's mean error by each method, cases sorted by the first one, whose worst are named."""
    errors = [case_means(mean_errors(cases, method, unit)) for method in methods]
    order = worst_first(errors[0])
    figure = new_figure(10, 4.2)
    axes = open_axes(figure)
    for method, values in zip(methods, errors, strict=True):
        first = method is methods[0]
        marker = {"ms": 5, "mew": 0} if first else {"ms": 4, "mfc": "none"}
        axes.plot(np.arange(len(order)), values[order], "o", color=COLOURS[method.name], label=method.label, **marker)
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    for rank, n in enumerate(order[:num_named]):
        if np.isfinite(errors[0][n]):
            text = f"{rank + 1}. {short(cases.names[n])}: {errors[0][n]:.2f}"
            axes.text(1.01, 0.97 - 0.06 * rank, text, transform=axes.transAxes, va="top", fontsize=8, parse_math=False)
            axes.annotate(
                str(rank + 1), (rank, errors[0][n]), (0, 4), textcoords="offset points", ha="center", fontsize=7
            )
    axes.set(
        xlabel="cases, worst first",
        ylabel=f"mean error in {UNIT_NAMES[unit]}",
        xlim=(-1, len(order)),
        ylim=(0, top * 1.05),
    )
    axes.legend(fontsize=8, frameon=False, ncols=len(methods), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return saved(figure, "svg")


def case_means(errors: Errors) -> Errors:
    """(N,) mean over the known landmarks of each case of errors (N, K); NaN where there is none."""
    return np.array([describe(row)["mean"] for row in errors])


def worst_first(means: Errors) -> list[int]:
    """Cases by falling mean error (N,); those without one last."""
    return [int(n) for n in np.argsort(-np.nan_to_num(means, nan=-1.0), kind="stable")]
