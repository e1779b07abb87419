"""The ladder of methods as numbers: errors in every unit, their summaries, CSV, JSON, text, and the paper's ratios."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import VISIBILITY_NAMES
from training.metrics import Floats, summarise
from tuning.cases import Cases, Errors

Unit = Literal["px", "source_px", "mm"]
UNITS: tuple[Unit, ...] = ("px", "source_px", "mm")
UNIT_NAMES = {"px": "patch px", "source_px": "source px", "mm": "mm in the image plane"}

# Riegler et al. 2015, read off the bars of Figures 2 and 4: mean over landmarks, px of the source image, private data.
PUBLISHED = {
    "hand": {
        "NN(syn)": 15.19, "NN(study)": 8.86, "RF": 11.66, "CNN(syn)": 10.83, "CNN(study)": 8.40, "CNN(ft)": 6.63,
    },
    "body": {"NN(syn)": 38.0, "NN(study)": 32.6, "RF": 27.3, "CNN(syn)": 40.3, "CNN(study)": 33.9, "CNN(ft)": 28.6},
}  # fmt: skip
RATIOS = (
    ("CNN(ft)", "CNN(study)"),
    ("CNN(ft)", "CNN(syn)"),
    ("CNN(ft)", "NN(study)"),
    ("CNN(ft)", "NN(syn)"),
    ("CNN(syn)", "NN(syn)"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """What one method says of every case, none of which it was trained on.

    name: mean shape, NN(syn), NN(study), RF, CNN(syn), CNN(syn)+offset, CNN(syn)+affine, CNN(study) or CNN(ft)
    network: which network, "" for none; of a forest, the network that reads the same planes, "" for the silhouette
    points: (N, K, 2) patch px; sigma: (N, K) px or None
    repeats: (N, K, 2) patch px of the same method with further seeds, of folds and of training; points are the first's
    """

    name: str
    network: str
    points: NDArray[np.float64]
    sigma: NDArray[np.float64] | None = None
    repeats: tuple[NDArray[np.float64], ...] = ()

    @property
    def label(self) -> str:
        """Its name and network, as tables show it."""
        return f"{self.name} {self.network}".strip()


def errors_in(cases: Cases, points: Floats, unit: Unit) -> Errors:
    """(N, K) errors of `points` (N, K, 2) patch px in `unit`; NaN where not annotated or the spacing is unknown."""
    if unit == "px":
        return cases.errors_px(points)
    return cases.errors_source_px(points) if unit == "source_px" else cases.errors_mm(points)


def known_units(cases: Cases) -> tuple[Unit, ...]:
    """The units in which at least one case can be measured: mm needs a known spacing."""
    return UNITS if np.isfinite(cases.samples.pixel_mm).all(1).any() else UNITS[:2]


def ladder_text(cases: Cases, methods: Sequence[Method], unit: Unit) -> str:
    """The ladder as plain text: a line per method, a column per landmark, mean ± standard deviation over cases."""
    header = ["", *cases.anatomy.names, "mean"]
    rows = [[method.label, *ladder_row(cases, method, unit)] for method in methods]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in [header, *rows]]
    title = f"error in {UNIT_NAMES[unit]}, mean ± standard deviation over {len(cases)} cases"
    return "\n".join([title, *lines])


def ladder_row(cases: Cases, method: Method, unit: Unit) -> list[str]:
    """K + 1 cells `mean ± sd`: the landmarks, then all of them."""
    summary = summarise(errors_in(cases, method.points, unit))
    pairs = zip([*summary.mean, summary.overall_mean], [*summary.sd, summary.overall_sd], strict=True)
    return [show(mean, sd) for mean, sd in pairs]


def show(mean: float, sd: float) -> str:
    """`1.23 ± 0.45`; a dash for what is unknown."""
    first = f"{mean:.2f}" if np.isfinite(mean) else "–"
    return f"{first} ± {sd:.2f}" if np.isfinite(sd) else first


def ladder_csv(cases: Cases, methods: Sequence[Method]) -> str:
    """CSV text: one line per method, landmark and known unit, and the landmark `mean` over all of them."""
    rows: list[Sequence[object]] = []
    for method in methods:
        for unit in known_units(cases):
            s = summarise(errors_in(cases, method.points, unit))
            for k, landmark in enumerate(cases.anatomy.names):
                values = [_cell(v) for v in (s.mean[k], s.sd[k], s.median[k])]
                rows.append([method.name, method.network, landmark, unit, *values, int(s.count[k])])
            overall = [_cell(s.overall_mean), _cell(s.overall_sd), ""]
            rows.append([method.name, method.network, "mean", unit, *overall, int(s.count.sum())])
    return _csv(["method", "network", "landmark", "unit", "mean", "sd", "median", "num_cases"], rows)


def errors_csv(cases: Cases, methods: Sequence[Method], fold_of: NDArray[np.int64]) -> str:
    """CSV text: one line per case, method and annotated landmark with the predicted point and its errors."""
    rows: list[Sequence[object]] = []
    for method in methods:
        errors = {unit: errors_in(cases, method.points, unit) for unit in UNITS}
        for n, k in np.argwhere(np.isfinite(errors["px"])):
            sigma = np.nan if method.sigma is None else method.sigma[n, k]
            rows.append([
                cases.names[n], cases.subjects[n], int(fold_of[n]), method.name, method.network,
                cases.anatomy.names[k], *(_cell(v) for v in (*method.points[n, k], sigma)),
                *(_cell(errors[unit][n, k]) for unit in UNITS),
            ])  # fmt: skip
    header = ["case", "subject", "fold", "method", "network", "landmark", "x_px", "y_px", "sigma_px"]
    return _csv([*header, *(f"error_{unit}" for unit in UNITS)], rows)


def ladder_dict(cases: Cases, methods: Sequence[Method]) -> list[dict[str, Any]]:
    """The ladder as JSON types: by method, known unit and landmark: mean, standard deviation (sd) and median."""
    entries = []
    for method in methods:
        entry: dict[str, Any] = {"method": method.name, "network": method.network}
        for unit in known_units(cases):
            errors = errors_in(cases, method.points, unit)
            s = summarise(errors)
            entry[unit] = {
                "mean": s.overall_mean,
                "sd": finite(s.overall_sd),
                "landmarks": {
                    name: {
                        "mean": finite(s.mean[k]),
                        "sd": finite(s.sd[k]),
                        "median": finite(s.median[k]),
                    }
                    for k, name in enumerate(cases.anatomy.names)
                },
                "by_visibility": visibility_means(cases, errors),
            }
        entries.append(entry)
    return entries


def visibility_means(cases: Cases, errors: Errors) -> dict[str, float]:
    """Mean of errors (N, K) by how visible the landmark is; classes that do not occur are left out."""
    means = {}
    for code, name in enumerate(VISIBILITY_NAMES):
        values = errors[(cases.samples.visible == code) & np.isfinite(errors)]
        if values.size:
            means[name] = float(values.mean())
    return means


def ratios(cases: Cases, methods: Sequence[Method]) -> list[tuple[str, str, float, float]]:
    """(ratio, network, ours, the paper's) of mean errors in source px, for every pair of RATIOS that was measured."""
    published = PUBLISHED[cases.anatomy.base]
    means = {(m.name, m.network): summarise(cases.errors_source_px(m.points)).overall_mean for m in methods}
    found = []
    for network in dict.fromkeys(method.network for method in methods if method.network):
        for upper, lower in RATIOS:
            top = means.get((upper, network))
            bottom = means.get((lower, network), means.get((lower, "")))
            if top is not None and bottom:
                found.append((f"{upper} / {lower}", network, top / bottom, published[upper] / published[lower]))
    return found


def finite(value: float) -> float | None:
    """The value as JSON knows it: None for NaN."""
    return float(value) if np.isfinite(value) else None


def _cell(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
