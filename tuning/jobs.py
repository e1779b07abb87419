"""The jobs of an evaluation: each trains or grows one thing on one fold and predicts its test cases, in any process."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from synth.domain.anatomy import anatomy_named
from training.checkpoint import load_model, read_card
from training.data import Patches
from training.loop import Predictions, predict
from training.models import Inputs
from tuning.cases import Cases, read_cases
from tuning.folds import count_folds, parse_folds
from tuning.forest import ForestRecipe, grow
from tuning.parts import Part, read_part, write_part
from tuning.schedule import Schedule
from tuning.subsets import Subset, drawn_rows, stretched
from tuning.trial import Trial, fine_tune, fold_seed, run_fold, starting_network

Kind = Literal["RF", "CNN(syn)", "CNN(study)", "CNN(ft)"]
SLUGS: dict[Kind, str] = {"RF": "forest", "CNN(syn)": "pretrained", "CNN(study)": "scratch", "CNN(ft)": "tuned"}
VOLUME_PLANES: frozenset[str] = frozenset({"depth", "thickness"})
OnDone = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One network to be measured in its three states. name: unique, as tables show it; uri: its pretrained weights.

    schedule: of fine-tuning; scratch: of training from fresh weights
    by_fold: the schedule of fine-tuning on each fold, where it was chosen on inner folds; () takes `schedule`
    """

    name: str
    uri: str
    schedule: Schedule
    scratch: Schedule
    by_fold: tuple[Schedule, ...] = ()

    def tuned(self, fold: int) -> Schedule:
        """The schedule of fine-tuning on that fold."""
        return self.by_fold[fold] if self.by_fold else self.schedule


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """On what every rung is measured, as plain data. study: its URI

    folds, seeds: of every repeat the text of its folds.csv, and the seed of its trainings and forests
    fixed: whether all repeats have the same folds; forest: how forests are grown
    """

    anatomy: str
    study: str
    folds: tuple[str, ...]
    fixed: bool
    seeds: tuple[int, ...]
    forest: ForestRecipe

    @property
    def num_folds(self) -> int:
        """How many folds every repeat has."""
        return count_folds(self.folds[0])


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job. rung: whose network, None for the forest of silhouettes; a forest of a rung reads what its network does.

    repeat: which folds and seed of the protocol; fold: its number, None for CNN(syn), which predicts every case
    subset: the training subjects, None for all of the fold's
    """

    kind: Kind
    rung: Rung | None = None
    repeat: int = 0
    fold: int | None = None
    subset: Subset | None = None

    @property
    def name(self) -> str:
        """Its name among the parts."""
        words = [SLUGS[self.kind], *([] if self.rung is None else [self.rung.name.replace(" ", "_")])]
        if self.fold is not None:
            words += [f"repeat{self.repeat}", f"fold{self.fold:03d}"]
        if self.subset is not None:
            words += [f"subjects{self.subset.num_subjects:04d}", f"draw{self.subset.draw}"]
        return "-".join(words)


def run_missing(protocol: Protocol, jobs: Sequence[Job], parts: str, workers: int, on_done: OnDone) -> None:
    """None; runs the jobs that have no part under the URI `parts`, on `workers` processes of one thread each.

    on_done is told 1 for each job done. The parts do not depend on `workers`.
    Raises: ValueError where a network cannot be trained, or a process is lost.
    """
    missing = missing_jobs(jobs, parts)
    with processes(max(1, min(workers, len(missing)))) as pool:
        try:
            for done in as_completed([pool.submit(keep_job, protocol, job, parts) for job in missing]):
                done.result()
                on_done(1)
        except BrokenProcessPool as error:
            raise ValueError(
                "a training process was killed (out of memory?); run the same command again with fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def processes(number: int) -> ProcessPoolExecutor:
    """A pool of so many processes, which end with this one however it ends."""
    # spawn: a forked child of a process that has used torch's threads can hang
    return ProcessPoolExecutor(number, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """None; from now on this process is gone as soon as its parent is. Python's pools go on without it, for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def missing_jobs(jobs: Sequence[Job], parts: str) -> list[Job]:
    """The jobs without a part under the URI `parts`."""
    return [job for job in jobs if read_part(parts, job.name) is None]


def keep_job(protocol: Protocol, job: Job, parts: str) -> None:
    """None; does the job and keeps its part under the URI `parts`."""
    write_part(parts, job.name, run_job(protocol, job))


def run_job(protocol: Protocol, job: Job) -> Part:
    """What the job says. Sets this process's torch threads to 1."""
    torch.set_num_threads(1)
    if job.kind == "RF":
        return _forest(protocol, job)
    if job.kind == "CNN(syn)":
        return _as_pretrained(protocol, job)
    return _trained(protocol, job) if job.subset is None else _on_subset(protocol, job, job.subset)


def trial_of(protocol: Protocol, job: Job) -> Trial:
    """The trial one of whose folds the job trains."""
    assert job.rung is not None and job.fold is not None
    scratch = job.kind == "CNN(study)"
    return Trial(
        anatomy=protocol.anatomy,
        study=protocol.study,
        pretrained=job.rung.uri,
        schedule=job.rung.scratch if scratch else job.rung.tuned(job.fold),
        num_folds=protocol.num_folds,
        seed=protocol.seeds[job.repeat],
        start="scratch" if scratch else "pretrained",
        folds=protocol.folds[job.repeat],
    )


def _trained(protocol: Protocol, job: Job) -> Part:
    assert job.fold is not None
    result = run_fold(trial_of(protocol, job), job.fold)
    return Part(rows=result.test, points=result.points, sigma=result.sigma, depth=result.depth)


def _on_subset(protocol: Protocol, job: Job, subset: Subset) -> Part:
    """As _trained, on some training subjects, in as many steps as all of the fold's would take."""
    assert job.fold is not None
    trial = trial_of(protocol, job)
    loaded = load_model(trial.pretrained)
    reads = loaded.card.model.reads
    cases = _cases(protocol, reads)
    fold = parse_folds(protocol.folds[job.repeat], cases.subjects)[job.fold]
    rows = drawn_rows(cases.subjects, fold.train, subset, [trial.seed, job.fold])
    seed = fold_seed(fold_seed(trial.seed, job.fold), subset.draw)
    model = starting_network(loaded, trial.start, seed)
    patches = Patches.from_samples(cases.samples, cases.anatomy, inputs=reads, crop=loaded.card.crop)
    few = patches.select(torch.as_tensor(rows))
    fine_tune(model, few, stretched(trial.trains_by, len(fold.train), len(rows)), loaded.card.train, seed=seed)
    return _said(fold.test, predict(model, patches.select(torch.as_tensor(fold.test))))


def _as_pretrained(protocol: Protocol, job: Job) -> Part:
    assert job.rung is not None
    model = load_model(job.rung.uri).model
    cases = _cases(protocol, model.inputs)
    patches = Patches.from_samples(cases.samples, cases.anatomy, inputs=model.inputs)
    return _said(np.arange(len(cases)), predict(model, patches))


def _forest(protocol: Protocol, job: Job) -> Part:
    assert job.fold is not None
    inputs = ("silhouette",) if job.rung is None else read_card(job.rung.uri).model.inputs
    cases = _cases(protocol, inputs)
    fold = parse_folds(protocol.folds[job.repeat], cases.subjects)[job.fold]
    planes = forest_planes(cases, inputs)
    generator = np.random.default_rng([protocol.seeds[job.repeat], job.fold])
    points = grow(planes[fold.train], cases.points[fold.train], protocol.forest, generator).predict(planes[fold.test])
    unknown = np.full(points.shape[:2], np.nan)
    return Part(rows=fold.test, points=points, sigma=unknown, depth=unknown)


def forest_planes(cases: Cases, inputs: Inputs) -> NDArray[np.float32]:
    """(N, C, H, W) float32: the silhouette, then what else of depth and thickness `inputs` hold, 0 beside the tissue.

    Depth and thickness are scaled as for a network. Which pixels were observed is no plane of a forest: its boxes would
    tell a pixel's place in the patch by it.
    """
    planes: Inputs = ("silhouette", *(plane for plane in inputs if plane in VOLUME_PLANES))
    patches = Patches.from_samples(cases.samples, cases.anatomy, inputs=planes)
    channels = patches.batch(torch.arange(len(patches))).channels(planes).numpy()
    tissue = channels[:, :1] > 0
    return np.where(tissue, channels, np.float32(0))


def _cases(protocol: Protocol, inputs: Inputs) -> Cases:
    """The study, with depth and thickness where they are among what is read."""
    return read_cases(protocol.study, anatomy_named(protocol.anatomy), depth=not VOLUME_PLANES.isdisjoint(inputs))


def _said(rows: NDArray[np.int64], predictions: Predictions) -> Part:
    points, sigma, depth = (
        np.asarray(values, np.float64) for values in (predictions.points, predictions.sigma, predictions.depth)
    )
    return Part(rows=rows, points=points, sigma=sigma, depth=depth)
