"""The ladder of methods on one fold set: mean shape, nearest patches, forests, and every network in its states.

What needs no training is computed here; the rest is put together from the parts of finished jobs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth.domain.schema import Samples
from training.checkpoint import read_card
from training.metrics import summarise
from tuning.baselines import mean_shape, nearest_mean
from tuning.cases import Cases
from tuning.corrections import affine, offset, out_of_fold
from tuning.folds import Fold
from tuning.jobs import VOLUME_PLANES, Job, Kind, OnDone, Protocol, Rung
from tuning.parts import Part, read_part
from tuning.table import Method


def ladder_jobs(protocol: Protocol, rungs: Sequence[Rung]) -> list[Job]:
    """Every job of the ladder, those that take longest first: they should not be the last to end."""
    folds = [(repeat, fold) for repeat in range(len(protocol.seeds)) for fold in range(protocol.num_folds)]
    kinds: list[tuple[Kind, Sequence[Rung | None]]] = [
        ("CNN(study)", rungs), ("CNN(ft)", rungs), ("RF", [None, *_reading_volumes(rungs)]),
    ]  # fmt: skip
    trained = [
        Job(kind=kind, rung=rung, repeat=repeat, fold=fold)
        for kind, whose in kinds for rung in whose for repeat, fold in folds
    ]  # fmt: skip
    return [*trained, *(Job(kind="CNN(syn)", rung=rung) for rung in rungs)]


def _reading_volumes(rungs: Sequence[Rung]) -> list[Rung]:
    """The rungs whose networks read depth or thickness: a forest of the silhouette alone is no match for them."""
    return [rung for rung in rungs if not VOLUME_PLANES.isdisjoint(read_card(rung.uri).model.inputs)]


def plain_methods(
    synthetic: Samples, cases: Cases, folds: Sequence[Fold], on_rows: OnDone | None = None
) -> list[Method]:
    """Mean shape, NN(syn) and NN(study): first and last know a fold's training cases alone."""
    packed = cases.samples.packed
    rendered = nearest_mean(synthetic.packed, synthetic.landmarks[:, :, :2], packed, on_rows=on_rows)
    mean, own = np.full(cases.points.shape, np.nan), np.full(cases.points.shape, np.nan)
    for fold in folds:
        mean[fold.test] = mean_shape(cases.points[fold.train])
        own[fold.test] = nearest_mean(packed[fold.train], cases.points[fold.train], packed[fold.test])
    return [
        Method(name="mean shape", network="", points=mean),
        Method(name="NN(syn)", network="", points=np.asarray(rendered, np.float64)),
        Method(name="NN(study)", network="", points=own),
    ]


def trained_methods(jobs: Sequence[Job], parts: str, cases: Cases, folds: Sequence[Fold]) -> list[Method]:
    """The methods whose finished jobs lie under the URI `parts`: RF, then each network's, from CNN(syn) to CNN(ft)."""
    methods = []
    for rung in dict.fromkeys(job.rung for job in jobs):
        kinds: tuple[Kind, ...] = ("RF", "CNN(syn)", "CNN(study)", "CNN(ft)")
        for kind in kinds:
            own = [job for job in jobs if (job.rung, job.kind) == (rung, kind)]
            if own:
                method = _method(kind, "" if rung is None else rung.name, own, parts, cases)
                methods += [method, *(_corrected(method, cases, folds) if kind == "CNN(syn)" else [])]
    return sorted(methods, key=lambda method: method.name != "RF")


def _method(kind: Kind, network: str, jobs: Sequence[Job], parts: str, cases: Cases) -> Method:
    by_repeat = [
        predictions([job for job in jobs if job.repeat == repeat], parts, cases)
        for repeat in sorted({job.repeat for job in jobs})
    ]
    first, *others = by_repeat
    return Method(
        name=kind,
        network=network,
        points=first.points,
        sigma=None if kind == "RF" else first.sigma,
        repeats=tuple(other.points for other in others),
    )


def _corrected(method: Method, cases: Cases, folds: Sequence[Fold]) -> list[Method]:
    return [
        Method(
            name=f"{method.name}+{name}",
            network=method.network,
            points=out_of_fold(cases, folds, method.points, correct),
            sigma=method.sigma,
        )
        for name, correct in (("offset", offset), ("affine", affine))
    ]


def predictions(jobs: Sequence[Job], parts: str, cases: Cases) -> Part:
    """What finished jobs of one method say together, of every case; NaN for a case that none of them predicts."""
    shape = cases.points.shape
    points, sigma, depth = np.full(shape, np.nan), np.full(shape[:2], np.nan), np.full(shape[:2], np.nan)
    for job in jobs:
        part = read_part(parts, job.name)
        assert part is not None, job.name
        points[part.rows], sigma[part.rows], depth[part.rows] = part.points, part.sigma, part.depth
    return Part(rows=np.arange(len(cases)), points=points, sigma=sigma, depth=depth)


def best_tuned(jobs: Sequence[Job], parts: str, cases: Cases) -> tuple[str, Part]:
    """(network, predictions of the first repeat) of the CNN(ft) with the smallest mean error in patch px."""
    tuned = [job for job in jobs if job.kind == "CNN(ft)" and job.repeat == 0]
    names = dict.fromkeys(job.rung.name for job in tuned if job.rung is not None)
    found = {
        name: predictions([job for job in tuned if job.rung is not None and job.rung.name == name], parts, cases)
        for name in names
    }
    best = min(found, key=lambda name: summarise(cases.errors_px(found[name].points)).overall_mean)
    return best, found[best]


def depths_of(part: Part) -> NDArray[np.float64] | None:
    """(N, K) normalised depths that a network regressed, None where it did not."""
    return part.depth if np.isfinite(part.depth).any() else None
