"""The tables of a report's page, as text: what was measured, compared, repeated, and what the paper found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuning.cases import Cases, Errors
from tuning.contrasts import Comparisons, Contrast
from tuning.depth_errors import PUBLISHED_RATIO, depth_rows
from tuning.drawing import words
from tuning.findings import p_text, signed
from tuning.seeds import seed_spreads
from tuning.table import (
    UNIT_NAMES,
    Method,
    Unit,
    describe,
    known_units,
    ladder_row,
    main_unit,
    mean_errors,
    pooled_errors,
    ratios,
    show,
    thresholds_in,
    visibility_means,
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as text. best: the row to stand out, None for none."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: int | None = None

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.caption!r} has rows that are not {len(self.header)} cells wide")


def ladder_table(cases: Cases, methods: Sequence[Method], unit: Unit) -> Table:
    """Mean ± standard deviation by method and landmark."""
    means = [describe(pooled_errors(cases, method, unit))["mean"] for method in methods]
    return Table(
        caption=f"Error in {UNIT_NAMES[unit]}: mean ± standard deviation over {len(cases)} cases",
        header=("method", "mean", *map(words, cases.anatomy.names)),
        rows=tuple((method.label, *_last_first(ladder_row(cases, method, unit))) for method in methods),
        best=int(np.nanargmin(means)),
    )


def _last_first(cells: Sequence[str]) -> list[str]:
    """On a page the mean comes first: the landmarks of a body scroll out of sight."""
    return [cells[-1], *cells[:-1]]


def other_units(cases: Cases) -> list[Unit]:
    """The known units besides the main one."""
    return [unit for unit in known_units(cases) if unit != main_unit(cases)]


def spread_table(cases: Cases, methods: Sequence[Method]) -> Table:
    """Median, 95th percentile and success rates of every method, all landmarks together."""
    unit = main_unit(cases)
    return Table(
        caption=f"All landmarks together, in {UNIT_NAMES[unit]}, and the share within a distance",
        header=("method", *_spread_header(cases, unit)),
        rows=tuple((method.label, *_spread(cases, pooled_errors(cases, method, unit), unit)) for method in methods),
    )


def landmark_tables(cases: Cases, methods: Sequence[Method]) -> list[Table]:
    """The same by landmark, a table for each method."""
    unit = main_unit(cases)
    tables = []
    for method in methods:
        errors = pooled_errors(cases, method, unit)
        rows = tuple((words(n), *_spread(cases, errors[:, k], unit)) for k, n in enumerate(cases.anatomy.names))
        caption = f"{method.label}, by landmark, in {UNIT_NAMES[unit]}"
        tables.append(Table(caption=caption, header=("landmark", *_spread_header(cases, unit)), rows=rows))
    return tables


def _spread_header(cases: Cases, unit: Unit) -> list[str]:
    return ["mean", "sd", "median", "95th percentile", *(f"≤ {limit:g} mm" for limit in thresholds_in(cases, unit))]


def _spread(cases: Cases, errors: Errors, unit: Unit) -> list[str]:
    found = describe(errors, thresholds_in(cases, unit))
    return [_number(value, percent=name.startswith("within")) for name, value in found.items()]


def comparison_tables(cases: Cases, comparisons: Comparisons) -> list[Table]:
    """The primary comparison, then every family of secondary ones."""
    unit = UNIT_NAMES[main_unit(cases)]
    tables = []
    if comparisons.primary is not None:
        caption = f"Primary comparison: mean error of each subject, {unit}"
        tables.append(_contrast_table(caption, [comparisons.primary], "p"))
    for family in comparisons.families:
        tables.append(_contrast_table(f"Secondary: {family.title}, {unit}", family.contrasts, "p (Holm)"))
    return tables


def _contrast_table(caption: str, contrasts: Sequence[Contrast], p_name: str) -> Table:
    by_landmark = bool(contrasts[0].landmark)
    rows = []
    for contrast in contrasts:
        result = contrast.result
        what = words(contrast.landmark) if by_landmark else f"{contrast.a.label} − {contrast.b.label}"
        interval = "–" if result.interval is None else " to ".join(map(signed, result.interval))
        between = "–" if result.ratio_interval is None else " to ".join(f"{v:.2f}" for v in result.ratio_interval)
        wins = f"{result.better} of {result.num_subjects}"
        effect = (signed(result.difference), interval, _number(result.ratio), between)
        rows.append((what, *effect, p_text(contrast.p), wins, f"{result.a:.2f}", f"{result.b:.2f}"))
    effect = ("difference", "95 % interval", "ratio", "95 % interval")
    header = ("landmark" if by_landmark else "methods", *effect, p_name, "better for", "first", "second")
    return Table(caption=caption, header=header, rows=tuple(rows))


def seed_table(cases: Cases, methods: Sequence[Method]) -> Table | None:
    """The spread over seeds beside that over subjects; None where nothing was repeated."""
    unit = main_unit(cases)
    rows = tuple(
        (s.method, str(s.num_seeds), *(f"{v:.2f}" for v in (s.mean, s.sd, s.low, s.high)), _number(s.subject_sd))
        for s in seed_spreads(cases, methods, unit)
    )
    header = ("method", "seeds", "mean of means", "sd over seeds", "least", "most", "sd over subjects")
    return Table(caption=f"Spread over seeds, {UNIT_NAMES[unit]}", header=header, rows=rows) if rows else None


def ratio_table(cases: Cases, methods: Sequence[Method]) -> Table:
    """Ratios of mean errors beside the paper's."""
    return Table(
        caption="Ratios of mean errors in source px: ours, and the paper's on its own private data",
        header=("ratio", "network", "here", "paper (private data)"),
        rows=tuple(
            (name, network, f"{ours:.2f}", f"{paper:.2f}") for name, network, ours, paper in ratios(cases, methods)
        ),
    )


def visibility_table(cases: Cases, methods: Sequence[Method]) -> Table:
    """Mean errors by where a landmark lies."""
    unit = main_unit(cases)
    classes = {method.label: visibility_means(cases, mean_errors(cases, method, unit)) for method in methods}
    names = tuple(dict.fromkeys(name for means in classes.values() for name in means))
    return Table(
        caption=f"Mean error in {UNIT_NAMES[unit]} by where the landmark lies",
        header=("method", *names),
        rows=tuple((label, *(_number(means.get(n, np.nan)) for n in names)) for label, means in classes.items()),
    )


def depth_table(cases: Cases, methods: Sequence[Method], depths: Mapping[str, Errors]) -> Table | None:
    """Errors along the depth by method and landmark; None where no depth is known."""
    rows = []
    for row in depth_rows(cases, methods, depths):
        parts = [describe(values) for values in (*row.errors.T, row.errors)]
        space = describe(row.space)
        cells = [show(part["mean"], part["sd"]) for part in parts]
        mean, *landmarks = _last_first(cells)
        rows.append((row.name, mean, _number(row.ratio), show(space["mean"], space["sd"]), *landmarks))
    paper = PUBLISHED_RATIO.get(cases.anatomy.base)
    beside = "" if paper is None else f" (the paper's regressed depth: {paper:.2f})"
    return Table(
        caption=f"Third coordinate: error in mm along the depth; ratio to the mean depth{beside}; error in space with "
        "the best CNN(ft)",
        header=("depth", "mean", "ratio", "in space", *map(words, cases.anatomy.names)),
        rows=tuple(rows),
    ) if rows else None  # fmt: skip


def _number(value: float, *, percent: bool = False) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.0%}" if percent else f"{value:.2f}"
