"""The ladder of methods as numbers: errors in every unit, their summaries, CSV, JSON, text, and the paper's ratios."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import VISIBILITY_NAMES
from synth.domain.landmarks import escaped
from training.metrics import Floats, summarise
from tuning.cases import Cases, Errors

Unit = Literal["px", "source_px", "mm"]
UNITS: tuple[Unit, ...] = ("px", "source_px", "mm")
UNIT_NAMES = {"px": "patch px", "source_px": "source px", "mm": "mm in the image plane"}

# As tables list and figures colour them: from what knows nothing of a case to what knows most.
METHOD_NAMES = (
    "mean shape", "NN(syn)", "NN(study)", "RF",
    "CNN(syn)", "CNN(syn)+offset", "CNN(syn)+affine", "CNN(study)", "CNN(ft)",
)  # fmt: skip
SUCCESS_MM = {"hand": (1.0, 2.0, 4.0, 10.0), "body": (10.0, 20.0, 30.0)}  # a landmark within this far is a success

# Riegler et al. 2015, read off the bars of Figures 2 and 4: mean over landmarks, px of the source image, private data.
PUBLISHED = {
    "hand": {
        "NN(syn)": 15.19, "NN(study)": 8.86, "RF": 11.66, "CNN(syn)": 10.83, "CNN(study)": 8.40, "CNN(ft)": 6.63,
    },
    "body": {"NN(syn)": 38.0, "NN(study)": 32.6, "RF": 27.3, "CNN(syn)": 40.3, "CNN(study)": 33.9, "CNN(ft)": 28.6},
}  # fmt: skip
RATIOS = (
    ("CNN(ft)", "CNN(study)"),
    ("CNN(ft)", "RF"),
    ("CNN(ft)", "CNN(syn)"),
    ("CNN(ft)", "NN(study)"),
    ("CNN(ft)", "NN(syn)"),
    ("CNN(syn)", "NN(syn)"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """What one method says of every case, none of which it was trained on.

    name: one of METHOD_NAMES
    network: which network, "" for none; of a forest, the network that reads the same planes, "" for the silhouette
    points: (N, K, 2) patch px; sigma: (N, K) px or None
    repeats: as `points`, of the same method trained again with further seeds of folds and training
    """

    name: str
    network: str
    points: NDArray[np.float64]
    sigma: NDArray[np.float64] | None = None
    repeats: tuple[NDArray[np.float64], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in METHOD_NAMES:
            raise ValueError(f"method is called {self.name}; allowed: {', '.join(METHOD_NAMES)}")
        if any(points.shape != self.points.shape for points in self.repeats):
            raise ValueError(f"repeats of {self.label} have other shapes than its {self.points.shape} points")

    @property
    def label(self) -> str:
        """Its name and network, as tables show it."""
        return f"{self.name} {self.network}".strip()


def in_order(methods: Sequence[Method]) -> list[Method]:
    """The methods as tables show them: by network in the order given, those without one first, then by METHOD_NAMES."""
    networks = ["", *dict.fromkeys(method.network for method in methods)]
    return sorted(methods, key=lambda method: (networks.index(method.network), METHOD_NAMES.index(method.name)))


def errors_in(cases: Cases, points: Floats, unit: Unit) -> Errors:
    """(N, K) errors of `points` (N, K, 2) patch px in `unit`; NaN where not annotated or the spacing is unknown."""
    if unit == "px":
        return cases.errors_px(points)
    return cases.errors_source_px(points) if unit == "source_px" else cases.errors_mm(points)


def seed_errors(cases: Cases, method: Method, unit: Unit) -> Errors:
    """(S, N, K) errors of every seed, the first one's first."""
    return np.stack([errors_in(cases, points, unit) for points in (method.points, *method.repeats)])


def pooled_errors(cases: Cases, method: Method, unit: Unit) -> Errors:
    """(S·N, K) errors of every seed one below the other: how one prediction errs, whatever its seed."""
    return seed_errors(cases, method, unit).reshape(-1, len(cases.anatomy.names))


def mean_errors(cases: Cases, method: Method, unit: Unit) -> Errors:
    """(N, K) errors, averaged over seeds: what comparisons by subject take."""
    return np.asarray(seed_errors(cases, method, unit).mean(0))


def main_unit(cases: Cases) -> Unit:
    """The unit of comparisons: mm where every case has a known spacing, else patch px."""
    return "mm" if np.isfinite(cases.samples.pixel_mm).all() else "px"


def describe(errors: Errors, thresholds_mm: Sequence[float] = ()) -> dict[str, float]:
    """mean, sd (N - 1), median, 95th percentile (p95) and shares within thresholds, of all known errors; else NaN."""
    known = errors[np.isfinite(errors)]
    size = known.size
    return {
        "mean": float(known.mean()) if size else np.nan,
        "sd": float(known.std(ddof=1)) if size > 1 else np.nan,
        "median": float(np.median(known)) if size else np.nan,
        "p95": float(np.percentile(known, 95)) if size else np.nan,
        **{f"within_{limit:g}_mm": float((known <= limit).mean()) if size else np.nan for limit in thresholds_mm},
    }


def thresholds_in(cases: Cases, unit: Unit) -> tuple[float, ...]:
    """The thresholds of success, which are in mm alone."""
    return SUCCESS_MM[cases.anatomy.base] if unit == "mm" else ()


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
    summary = summarise(pooled_errors(cases, method, unit))
    pairs = zip([*summary.mean, summary.overall_mean], [*summary.sd, summary.overall_sd], strict=True)
    return [show(mean, sd) for mean, sd in pairs]


def show(mean: float, sd: float) -> str:
    """`1.23 ± 0.45`; a dash for what is unknown."""
    first = f"{mean:.2f}" if np.isfinite(mean) else "–"
    return f"{first} ± {sd:.2f}" if np.isfinite(sd) else first


def ladder_csv(cases: Cases, methods: Sequence[Method]) -> str:
    """CSV text: one line per method, landmark and known unit, and the landmark `mean` over all of them."""
    columns = list(describe(np.array([]), thresholds_in(cases, "mm")))
    rows: list[Sequence[object]] = []
    for method in methods:
        for unit in known_units(cases):
            errors = pooled_errors(cases, method, unit)
            count = np.isfinite(errors).sum(0) // (1 + len(method.repeats))
            parts = [(name, errors[:, k], count[k]) for k, name in enumerate(cases.anatomy.names)]
            for landmark, values, number in [*parts, ("mean", errors, count.sum())]:
                found = describe(values, thresholds_in(cases, unit))
                cells = [_cell(found.get(column, np.nan)) for column in columns]
                rows.append([method.name, method.network, landmark, unit, *cells, int(number)])
    return _csv(["method", "network", "landmark", "unit", *columns, "num_cases"], rows)


def errors_csv(cases: Cases, methods: Sequence[Method], fold_of: NDArray[np.int64]) -> str:
    """CSV text: one line per case, method and annotated landmark with the first seed's point and its errors."""
    rows: list[Sequence[object]] = []
    for method in methods:
        errors = {unit: errors_in(cases, method.points, unit) for unit in UNITS}
        for n, k in np.argwhere(np.isfinite(errors["px"])):
            sigma = np.nan if method.sigma is None else method.sigma[n, k]
            rows.append([
                escaped(cases.names[n]), escaped(cases.subjects[n]), int(fold_of[n]), method.name, method.network,
                cases.anatomy.names[k], *(_cell(v) for v in (*method.points[n, k], sigma)),
                *(_cell(errors[unit][n, k]) for unit in UNITS),
            ])  # fmt: skip
    header = ["case", "subject", "fold", "method", "network", "landmark", "x_px", "y_px", "sigma_px"]
    return _csv([*header, *(f"error_{unit}" for unit in UNITS)], rows)


def ladder_dict(cases: Cases, methods: Sequence[Method]) -> list[dict[str, Any]]:
    """The ladder as JSON types: by method and known unit what `describe` says, of all landmarks and of each."""
    entries = []
    for method in methods:
        entry: dict[str, Any] = {"method": method.name, "network": method.network}
        for unit in known_units(cases):
            errors, limits = pooled_errors(cases, method, unit), thresholds_in(cases, unit)
            entry[unit] = {
                **plain(describe(errors, limits)),
                "landmarks": {
                    name: plain(describe(errors[:, k], limits)) for k, name in enumerate(cases.anatomy.names)
                },
                "by_visibility": visibility_means(cases, mean_errors(cases, method, unit)),
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
    means = {(m.name, m.network): describe(pooled_errors(cases, m, "source_px"))["mean"] for m in methods}
    found = []
    for network in dict.fromkeys(method.network for method in methods if method.network):
        for upper, lower in RATIOS:
            top = means.get((upper, network))
            bottom = means.get((lower, network), means.get((lower, "")))
            if top is not None and bottom:
                found.append((f"{upper} / {lower}", network, top / bottom, published[upper] / published[lower]))
    return found


def plain(values: dict[str, float]) -> dict[str, float | None]:
    """The values as JSON knows them: None for NaN."""
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def _cell(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
