"""Pictures of cases: both domains side by side (the paper's Figure 1), all errors in one image (3), single cases."""

import math
from collections.abc import Sequence

import numpy as np

from synth.domain.schema import Samples, unpack_silhouettes
from training.metrics import Floats
from tuning.cases import Cases
from tuning.drawing import draw_landmarks, draw_patch, new_figure, saved, short
from tuning.table import Method, Unit, describe, errors_in

EDGE = 8  # px around the common image: fingertips lie at the patch's border, their clouds beyond it


def domain_figure(synthetic: Samples, cases: Cases, count: int = 8) -> bytes:
    """PNG of `count` renderings above as many silhouettes of the study, each with its annotated landmarks.

    Source: after Riegler et al. 2015, Figure 1. The rows are spread evenly over both sets.
    """
    figure = new_figure(1.5 * count, 2 * 1.7 * cases.anatomy.height / cases.anatomy.width)
    for row, (samples, title) in enumerate(((synthetic, "renderings"), (cases.samples, "the study"))):
        shown = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
        silhouettes = unpack_silhouettes(samples.packed[shown], cases.anatomy.size)
        for col, (n, silhouette) in enumerate(zip(shown, silhouettes, strict=True)):
            axes = figure.add_subplot(2, count, row * count + col + 1)
            draw_patch(axes, silhouette, cases.anatomy)
            draw_landmarks(axes, samples.landmarks[n, :, :2], None)
            if col == 0:
                axes.set_title(title, fontsize=10, loc="left")
    return saved(figure, "png")


def common_figure(cases: Cases, methods: Sequence[Method], unit: Unit, columns: int = 5) -> bytes:
    """PNG with a panel per method: every predicted landmark in one common image, a colour per landmark.

    A prediction is drawn where the study's mean shape is, moved by what it misses its annotation by, over the mean
    silhouette: clouds compare errors alone, not shapes. Above each: its mean error in `unit`.
    Source: after Riegler et al. 2015, Figure 3.
    """
    rows, columns = math.ceil(len(methods) / columns), min(columns, len(methods))
    figure = new_figure(2.2 * columns, rows * (2.2 * cases.anatomy.height / cases.anatomy.width + 0.3))
    ground = unpack_silhouettes(cases.samples.packed, cases.anatomy.size).mean(0)
    centre = mean_annotation(cases)
    for place, method in enumerate(methods):
        axes = figure.add_subplot(rows, columns, place + 1)
        draw_patch(axes, ground, cases.anatomy)
        for k, cloud in enumerate(projected(cases, method.points).transpose(1, 2, 0)):
            axes.plot(*cloud, "o", color=f"C{k}", ms=2.5, alpha=0.6, mew=0)
            axes.plot(*centre[k], "+", color="black", ms=6, mew=1)
        axes.set(xlim=(-EDGE, cases.anatomy.width + EDGE), ylim=(cases.anatomy.height + EDGE, -EDGE))
        axes.set_title(f"{method.label}\n{describe(errors_in(cases, method.points, unit))['mean']:.2f}", fontsize=8)
    return saved(figure, "png")


def projected(cases: Cases, points: Floats) -> Floats:
    """(N, K, 2) patch px: the study's mean annotation, moved by what `points` (N, K, 2) miss theirs by."""
    return np.asarray(mean_annotation(cases) + (np.asarray(points, np.float64) - cases.points))


def mean_annotation(cases: Cases) -> Floats:
    """(K, 2) mean annotated landmark in patch px; NaN for one that nobody annotated."""
    known = np.isfinite(cases.points)
    total = np.where(known, cases.points, 0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


def case_figure(cases: Cases, points: Floats, shown: Sequence[int], unit: Unit, columns: int = 5) -> bytes:
    """PNG of the cases `shown` as small multiples: silhouette, annotation (circles), `points` (N, K, 2) (crosses).

    Above each: its name and its mean error in `unit`.
    """
    columns = min(columns, max(2, len(shown)))
    rows = math.ceil(len(shown) / columns)
    height = 1.9 * cases.anatomy.height / cases.anatomy.width + 0.25
    figure = new_figure(1.9 * columns, height * rows)
    errors = errors_in(cases, points, unit)
    silhouettes = unpack_silhouettes(cases.samples.packed[list(shown)], cases.anatomy.size)
    for place, (n, silhouette) in enumerate(zip(shown, silhouettes, strict=True)):
        axes = figure.add_subplot(rows, columns, place + 1)
        draw_patch(axes, silhouette, cases.anatomy)
        draw_landmarks(axes, cases.points[n], np.asarray(points)[n])
        known = errors[n][np.isfinite(errors[n])]
        text = f"{known.mean():.2f}" if known.size else "not annotated"
        # parse_math off: a $ in a case name is a $, not the start of a formula
        axes.set_title(f"{short(cases.names[n])}\n{text}", fontsize=7, parse_math=False)
    return saved(figure, "png")
