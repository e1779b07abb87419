"""The comparison report: a folder with the ladder as CSV, JSON and figures, and one self-contained report.html."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.domain.schema import Samples
from synth.domain.storage import write_bytes
from tuning.cases import Cases
from tuning.contrasts import Comparisons, compare_methods, contrast_dict
from tuning.depth_errors import depth_findings, depth_rows
from tuning.findings import findings, headline
from tuning.folds import Fold, folds_text
from tuning.page import page_text
from tuning.pictures import Picture, pictures_of, worth_picture
from tuning.seeds import seed_spreads
from tuning.table import (
    Method,
    describe,
    errors_csv,
    in_order,
    ladder_csv,
    ladder_dict,
    main_unit,
    plain,
    ratios,
)
from tuning.tables import (
    comparison_tables,
    depth_table,
    ladder_table,
    landmark_tables,
    other_units,
    ratio_table,
    seed_table,
    spread_table,
    visibility_table,
)
from tuning.worth import Worth, worth_csv


@dataclass(frozen=True, kw_only=True, eq=False)
class Ladder:
    """A ladder of methods measured on one fold set, with all a report says about it.

    synthetic: renderings, some of which are shown
    depths: name of the depth method → (N, K) mm it misses by, NaN where unknown; "mean depth" first
    num_schedules: how many the fine-tuning schedule was chosen from on this study
    facts: what was compared, in words; settings: JSON types that repeat it
    worth: errors by number of training subjects, where those were asked for
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
    worth: Sequence[Worth] = ()

    @property
    def ordered(self) -> list[Method]:
        """The methods as the report lists them."""
        return in_order(self.methods)

    @cached_property
    def comparisons(self) -> Comparisons:
        """Every comparison of the methods, made once."""
        return compare_methods(self.cases, self.ordered)

    @property
    def findings(self) -> list[str]:
        """What it shows, in sentences."""
        depth = depth_findings(self.cases, depth_rows(self.cases, self.ordered, self.depths))
        return [*findings(self.cases, self.ordered, self.comparisons, self.num_schedules), *depth]

    @property
    def fold_of(self) -> NDArray[np.int64]:
        """(N,) the fold that tests each case."""
        numbers = np.zeros(len(self.cases), np.int64)
        for number, fold in enumerate(self.folds):
            numbers[fold.test] = number
        return numbers


def write_report(ladder: Ladder, out: str) -> None:
    """Write ladder.csv, errors.csv, folds.csv, results.json, the figures and, last, report.html under the URI `out`."""
    cases, methods = ladder.cases, ladder.ordered
    worth = [worth_picture(ladder.worth)] if ladder.worth else []
    pictures = [*worth, *pictures_of(cases, methods, ladder.synthetic)]
    page = render_page(ladder, pictures)
    texts = {
        "ladder.csv": ladder_csv(cases, methods),
        "errors.csv": errors_csv(cases, methods, ladder.fold_of),
        "folds.csv": folds_text(cases.subjects, ladder.folds),
        "results.json": json.dumps(results(ladder), indent=1, allow_nan=False) + "\n",
        **({"worth.csv": worth_csv(ladder.worth)} if ladder.worth else {}),
    }
    for name, text in texts.items():
        write_bytes(out, name, text.encode())
    for picture in pictures:
        write_bytes(out, picture.file, picture.data)
    write_bytes(out, "report.html", page.encode())


def results(ladder: Ladder) -> dict[str, Any]:
    """Everything measured, as JSON types."""
    cases, methods = ladder.cases, ladder.ordered
    primary = ladder.comparisons.primary
    return {
        "anatomy": cases.anatomy.name,
        "num_cases": len(cases),
        "num_subjects": cases.num_subjects,
        "num_folds": len(ladder.folds),
        "virtual": cases.virtual,
        "study_digest": cases.digest,
        "ladder": ladder_dict(cases, methods),
        "unit_of_comparisons": main_unit(cases),
        "primary": None if primary is None else contrast_dict(primary),
        "secondary": {
            family.title: [contrast_dict(contrast) for contrast in family.contrasts]
            for family in ladder.comparisons.families
        },
        "seeds": [asdict(spread) for spread in seed_spreads(cases, methods, main_unit(cases))],
        "ratios": [
            {"ratio": name, "network": network, "ours": ours, "paper": paper}
            for name, network, ours, paper in ratios(cases, methods)
        ],
        "depth_mm": {
            row.name: {
                **plain(describe(row.errors)),
                **plain({"ratio": row.ratio, "in_space": describe(row.space)["mean"]}),
                "landmarks": {n: plain(describe(row.errors[:, k])) for k, n in enumerate(cases.anatomy.names)},
            }
            for row in depth_rows(cases, methods, ladder.depths)
        },
        "findings": [headline(cases, ladder.comparisons), *ladder.findings],
        "settings": ladder.settings,
    }


def render_page(ladder: Ladder, pictures: Sequence[Picture]) -> str:
    """The report as one HTML text that loads nothing: figures are embedded, every name is escaped."""
    cases, methods = ladder.cases, ladder.ordered
    optional = [ratio_table(cases, methods), seed_table(cases, methods), depth_table(cases, methods, ladder.depths)]
    return page_text(
        {
            "title": ladder.title,
            "virtual": cases.virtual,
            "headline": headline(cases, ladder.comparisons),
            "facts": ladder.facts,
            "findings": ladder.findings,
            "tables": [ladder_table(cases, methods, main_unit(cases)), spread_table(cases, methods)],
            "more_tables": [
                *(ladder_table(cases, methods, unit) for unit in other_units(cases)),
                *landmark_tables(cases, methods),
                visibility_table(cases, methods),
            ],
            "comparisons": comparison_tables(cases, ladder.comparisons),
            "others": [table for table in optional if table is not None and table.rows],
            "pictures": pictures,
            "settings": json.dumps(ladder.settings, indent=1, ensure_ascii=False),
        }
    )
