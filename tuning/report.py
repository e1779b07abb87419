"""The comparison report: a folder with the ladder as CSV, JSON and figure, and one self-contained report.html."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment
from numpy.typing import NDArray

from synth.domain.schema import Samples
from synth.domain.storage import write_bytes
from training.metrics import summarise
from tuning.cases import Cases
from tuning.figures import bar_figure, case_figure, domain_figure
from tuning.findings import findings
from tuning.folds import Fold, folds_text
from tuning.page import PAGE
from tuning.table import (
    UNIT_NAMES,
    Method,
    errors_csv,
    finite,
    known_units,
    ladder_csv,
    ladder_dict,
    ladder_row,
    ratios,
    show,
    visibility_means,
)

MOST_PICTURES = 60  # of cases in one report; the worst are always among them
NUM_WORST = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Ladder:
    """A ladder of methods measured on one fold set, with all a report says about it.

    synthetic: renderings, some of which are shown
    depths: name of the depth method -> (N, K) mm by which it misses, NaN where unknown; "mean depth" first
    num_schedules: how many the fine-tuning schedule was chosen from on this study
    facts: what was compared, in words; settings: JSON types that repeat it
    """

    title: str
    cases: Cases
    folds: Sequence[Fold]
    methods: Sequence[Method]
    synthetic: Samples
    depths: Mapping[str, NDArray[np.float64]]
    num_schedules: int
    facts: Sequence[tuple[str, str]]
    settings: dict[str, Any]

    @property
    def fold_of(self) -> NDArray[np.int64]:
        """(N,) the fold that tests each case."""
        numbers = np.zeros(len(self.cases), np.int64)
        for number, fold in enumerate(self.folds):
            numbers[fold.test] = number
        return numbers


def write_report(ladder: Ladder, out: str) -> None:
    """Write ladder.csv, errors.csv, folds.csv, results.json, ladder.svg and, last, report.html under the URI `out`."""
    cases, methods = ladder.cases, ladder.methods
    page = render_page(ladder)
    bars = bar_figure(cases, methods, "px")
    texts = {
        "ladder.csv": ladder_csv(cases, methods),
        "errors.csv": errors_csv(cases, methods, ladder.fold_of),
        "folds.csv": folds_text(cases.subjects, ladder.folds),
        "results.json": json.dumps(results(ladder), indent=1, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        write_bytes(out, name, text.encode())
    write_bytes(out, "ladder.svg", bars)
    write_bytes(out, "report.html", page.encode())


def results(ladder: Ladder) -> dict[str, Any]:
    """Everything measured, as JSON types."""
    cases = ladder.cases
    entry: dict[str, Any] = {
        "anatomy": cases.anatomy.name,
        "num_cases": len(cases),
        "num_subjects": cases.num_subjects,
        "num_folds": len(ladder.folds),
        "virtual": cases.virtual,
        "study_digest": cases.digest,
        "ladder": ladder_dict(cases, ladder.methods),
        "ratios": [
            {"ratio": name, "network": network, "ours": ours, "paper": paper}
            for name, network, ours, paper in ratios(cases, ladder.methods)
        ],
        "findings": findings(cases, ladder.methods, ladder.num_schedules),
        "settings": ladder.settings,
    }
    entry["depth_mm"] = {
        method: {
            "mean": finite(s.overall_mean),
            "landmarks": {name: finite(s.mean[k]) for k, name in enumerate(cases.anatomy.names)},
        }
        for method, s in ((method, summarise(errors)) for method, errors in ladder.depths.items())
    }
    return entry


def render_page(ladder: Ladder) -> str:
    """The report as one HTML text that loads nothing: figures are embedded, every name is escaped."""
    template = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    return template.render(
        title=ladder.title,
        virtual=ladder.cases.virtual,
        facts=ladder.facts,
        findings=findings(ladder.cases, ladder.methods, ladder.num_schedules),
        bars=_embedded(bar_figure(ladder.cases, ladder.methods, "px"), "image/svg+xml"),
        tables=[*_ladder_tables(ladder), *_other_tables(ladder)],
        domains=_embedded(domain_figure(ladder.synthetic, ladder.cases), "image/png"),
        pictures=_pictures(ladder),
        settings=json.dumps(ladder.settings, indent=1, ensure_ascii=False),
    )


def _ladder_tables(ladder: Ladder) -> list[dict[str, Any]]:
    cases, methods = ladder.cases, ladder.methods
    tables = []
    best = min(methods, key=lambda method: summarise(cases.errors_px(method.points)).overall_mean)
    for unit in known_units(cases):
        rows = [
            {"cells": [method.label, *ladder_row(cases, method, unit)], "best": method is best} for method in methods
        ]
        tables.append(
            {
                "caption": f"Error in {UNIT_NAMES[unit]}: mean ± standard deviation over {len(cases)} cases",
                "header": ["method", *(name.replace("_", " ") for name in cases.anatomy.names), "mean"],
                "rows": rows,
            }
        )
    return tables


def _other_tables(ladder: Ladder) -> list[dict[str, Any]]:
    cases = ladder.cases
    tables = [
        {
            "caption": "Ratios of mean errors in source px: ours, and the paper's on its own private data",
            "header": ["ratio", "network", "here", "paper (private data)"],
            "rows": [
                {"cells": [name, network, f"{ours:.2f}", f"{paper:.2f}"]}
                for name, network, ours, paper in ratios(cases, ladder.methods)
            ],
        }
    ]
    classes = {method.label: visibility_means(cases, cases.errors_px(method.points)) for method in ladder.methods}
    names = list(dict.fromkeys(name for means in classes.values() for name in means))
    tables.append(
        {
            "caption": "Mean error in patch px by where the landmark lies",
            "header": ["method", *names],
            "rows": [{"cells": [label, *(f"{means[n]:.2f}" for n in names)]} for label, means in classes.items()],
        }
    )
    if ladder.depths:
        tables.append(
            {
                "caption": "Third coordinate at the predicted pixels: error in mm along the depth",
                "header": ["", *(name.replace("_", " ") for name in cases.anatomy.names), "mean"],
                "rows": [{"cells": [name, *_shown(errors)]} for name, errors in ladder.depths.items()],
            }
        )
    return tables


def _shown(errors: NDArray[np.float64]) -> list[str]:
    s = summarise(errors)
    pairs = zip([*s.mean, s.overall_mean], [*s.sd, s.overall_sd], strict=True)
    return [show(mean, sd) for mean, sd in pairs]


def _pictures(ladder: Ladder) -> list[dict[str, str]]:
    """The worst cases of every fine-tuned network, then all cases of the best of them (or the worst 60)."""
    cases = ladder.cases
    tuned = [method for method in ladder.methods if method.name == "CNN(ft)"]
    pictures = []
    for method in tuned:
        worst = _worst_first(cases, method)[:NUM_WORST]
        pictures.append(_picture(cases, method, worst, f"The {len(worst)} worst cases of {method.label}"))
    best = min(tuned, key=lambda method: summarise(cases.errors_px(method.points)).overall_mean)
    if len(cases) <= MOST_PICTURES:
        pictures.append(_picture(cases, best, range(len(cases)), f"All cases, {best.label}"))
    else:
        shown = _worst_first(cases, best)[:MOST_PICTURES]
        pictures.append(
            _picture(cases, best, shown, f"{MOST_PICTURES} of {len(cases)} cases, worst first, {best.label}")
        )
    return pictures


def _picture(cases: Cases, method: Method, shown: Sequence[int], title: str) -> dict[str, str]:
    return {
        "title": title,
        "source": _embedded(case_figure(cases, method.points, shown), "image/png"),
        "caption": f"Circles: annotated; crosses: {method.label}, trained on other subjects; above: error in patch px.",
    }


def _worst_first(cases: Cases, method: Method) -> list[int]:
    errors = cases.errors_px(method.points)
    means = [float(row[np.isfinite(row)].mean()) if np.isfinite(row).any() else -1.0 for row in errors]
    return sorted(range(len(cases)), key=lambda n: (-means[n], n))


def _embedded(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
