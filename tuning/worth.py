"""What pre-training is worth: the error against the number of annotated subjects, with it and without.

CNN(study) and CNN(ft) are trained on 1, 2, 5 … of each fold's training subjects, in as many steps as on all of them,
and tested on the same subjects as ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics import summarise
from tuning.cases import Cases
from tuning.drawing import COLOURS, LINES, new_figure, open_axes, saved
from tuning.folds import parse_folds
from tuning.jobs import Job, Kind, Protocol, Rung
from tuning.ladder import predictions
from tuning.subsets import Subset
from tuning.table import UNIT_NAMES, Unit, errors_in, known_units

DRAWS = 3  # of every number but all: with few subjects it matters who they are
KINDS: tuple[Kind, ...] = ("CNN(study)", "CNN(ft)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Worth:
    """The errors of one network in one state after training on some subjects. num_subjects: mean over folds

    errors: unit -> (D,) mean error over all cases of each draw of the subjects; of all of them, of each repeat
    """

    kind: Kind
    network: str
    num_subjects: float
    errors: dict[Unit, NDArray[np.float64]]


def subset_jobs(protocol: Protocol, rungs: Sequence[Rung], cases: Cases, sizes: Sequence[int]) -> list[Job]:
    """The jobs beside the ladder's: the first repeat's folds, on `sizes` training subjects, each drawn DRAWS times.

    Raises: ValueError for a size that is not below the number of training subjects of every fold.
    """
    folds = parse_folds(protocol.folds[0], cases.subjects)
    fewest = min(len({cases.subjects[i] for i in fold.train}) for fold in folds)
    for size in sizes:
        if not 1 <= size < fewest:
            raise ValueError(f"--worth {size}: the folds train on {fewest} subjects; give numbers from 1 to below that")
    kinds: tuple[Kind, ...] = ("CNN(study)", "CNN(ft)")
    return [
        Job(kind=kind, rung=rung, fold=fold, subset=Subset(num_subjects=size, draw=draw))
        for kind in kinds for rung in rungs for size in sizes for draw in range(DRAWS) for fold in range(len(folds))
    ]  # fmt: skip


def measured(jobs: Sequence[Job], protocol: Protocol, parts: str, cases: Cases) -> list[Worth]:
    """The curves of finished jobs, the ladder's among them, which stand for all subjects: by network, state, size."""
    folds = parse_folds(protocol.folds[0], cases.subjects)
    everyone = float(np.mean([len({cases.subjects[i] for i in fold.train}) for fold in folds]))
    runs: dict[tuple[str, Kind, float], dict[int, list[Job]]] = {}
    for job in jobs:
        if job.rung is not None and job.kind in KINDS:
            size = everyone if job.subset is None else float(job.subset.num_subjects)
            run = job.repeat if job.subset is None else job.subset.draw
            runs.setdefault((job.rung.name, job.kind, size), {}).setdefault(run, []).append(job)
    found = []
    for (network, kind, size), by_run in sorted(runs.items(), key=lambda entry: entry[0]):
        points = [predictions(by_run[run], parts, cases).points for run in sorted(by_run)]
        errors = {
            unit: np.array([summarise(errors_in(cases, p, unit)).overall_mean for p in points])
            for unit in known_units(cases)
        }
        found.append(Worth(kind=kind, network=network, num_subjects=size, errors=errors))
    return found


def worth_csv(curves: Sequence[Worth]) -> str:
    """CSV text: one line per network, state, number of subjects and unit: mean and deviation over draws, and each."""
    lines = ["method,network,num_subjects,unit,mean,sd,num_draws,draws"]
    for point in curves:
        for unit, errors in point.errors.items():
            sd = f"{errors.std(ddof=1):.4f}" if errors.size > 1 else ""
            each = " ".join(f"{error:.4f}" for error in errors)
            lines.append(
                f"{point.kind},{point.network},{point.num_subjects:g},{unit},{errors.mean():.4f},{sd},{errors.size},{each}"
            )
    return "\n".join(lines) + "\n"


def worth_figure(curves: Sequence[Worth], unit: Unit) -> bytes:
    """SVG: the error against the number of training subjects, a band from the least to the greatest of the draws."""
    figure = new_figure(6.4, 4.2)
    axes = open_axes(figure)
    networks = list(dict.fromkeys(point.network for point in curves))
    for network, kind in dict.fromkeys((point.network, point.kind) for point in curves):
        own = [point for point in curves if (point.network, point.kind) == (network, kind)]
        sizes, errors = [point.num_subjects for point in own], [point.errors[unit] for point in own]
        dash = LINES[networks.index(network) % len(LINES)]
        axes.plot(sizes, [e.mean() for e in errors], dash, marker="o", color=COLOURS[kind], label=f"{kind} {network}")
        low, high = [e.min() for e in errors], [e.max() for e in errors]
        axes.fill_between(sizes, low, high, color=COLOURS[kind], alpha=0.2, linewidth=0)
    ticks = sorted({point.num_subjects for point in curves})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{size:g}" for size in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("annotated subjects trained on")
    axes.set_ylabel(f"mean error in {UNIT_NAMES[unit]}")
    axes.legend(frameon=False)
    return saved(figure, "svg")
