"""The ladder of methods on one fold set: nearest patches, and every network in three states, a process per core."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from synth.domain.anatomy import anatomy_named
from synth.domain.schema import Samples
from training.checkpoint import load_model
from training.data import Patches
from training.loop import predict
from training.metrics import Floats
from tuning.baselines import nearest_mean
from tuning.cases import Cases, read_cases
from tuning.folds import Fold
from tuning.schedule import Schedule
from tuning.table import Method
from tuning.trial import Trial, run_fold

OnDone = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One network to be measured in its three states. name: unique, as tables show it; uri: its pretrained weights.

    schedule: of fine-tuning; scratch: of training from fresh weights
    """

    name: str
    uri: str
    schedule: Schedule
    scratch: Schedule


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """On what every rung is measured, as plain data: the study and its folds."""

    anatomy: str
    study: str
    num_folds: int
    seed: int

    def trial(self, rung: Rung, *, scratch: bool) -> Trial:
        """The trial of CNN(ft), or with `scratch` of CNN(study)."""
        return Trial(
            anatomy=self.anatomy,
            study=self.study,
            pretrained=rung.uri,
            schedule=rung.scratch if scratch else rung.schedule,
            num_folds=self.num_folds,
            seed=self.seed,
            start="scratch" if scratch else "pretrained",
        )


def nearest_methods(
    synthetic: Samples, cases: Cases, folds: Sequence[Fold], on_rows: OnDone | None = None
) -> list[Method]:
    """NN(syn) and NN(study): the latter searches a fold's training cases alone."""
    packed = cases.samples.packed
    rendered = nearest_mean(synthetic.packed, synthetic.landmarks[:, :, :2], packed, on_rows=on_rows)
    own = np.full(cases.points.shape, np.nan)
    for fold in folds:
        own[fold.test] = nearest_mean(packed[fold.train], cases.points[fold.train], packed[fold.test])
    return [
        Method(name="NN(syn)", network="", points=np.asarray(rendered, np.float64)),
        Method(name="NN(study)", network="", points=own),
    ]


def network_methods(
    protocol: Protocol, rungs: Sequence[Rung], cases: Cases, workers: int, on_done: OnDone
) -> list[Method]:
    """CNN(syn), CNN(study) and CNN(ft) of every rung, on `workers` processes of one thread each.

    on_done is told 1 for each of the num_jobs(…) jobs done. The result does not depend on `workers`.
    Raises: ValueError where a network cannot be trained, or a process is lost.
    """
    methods = {}
    for rung in rungs:
        for name in ("CNN(syn)", "CNN(study)", "CNN(ft)"):
            points, sigma = np.full(cases.points.shape, np.nan), np.full(cases.points.shape[:2], np.nan)
            methods[rung.name, name] = Method(name=name, network=rung.name, points=points, sigma=sigma)
    # spawn: a forked child of a process that has used torch's threads can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs: dict[Future[_Part], tuple[str, str]] = {}
        for rung in rungs:
            jobs[pool.submit(_as_pretrained, protocol, rung)] = (rung.name, "CNN(syn)")
            for number in range(protocol.num_folds):
                jobs[pool.submit(_fold, protocol, rung, number, True)] = (rung.name, "CNN(study)")
                jobs[pool.submit(_fold, protocol, rung, number, False)] = (rung.name, "CNN(ft)")
        try:
            for job in as_completed(jobs):
                rows, found, spread = job.result()
                method = methods[jobs[job]]
                assert method.sigma is not None
                method.points[rows], method.sigma[rows] = found, spread
                on_done(1)
        except BrokenProcessPool as error:
            raise ValueError(
                "a training process was killed (out of memory?); try again with fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
    return list(methods.values())


def num_jobs(protocol: Protocol, rungs: Sequence[Rung]) -> int:
    """How many jobs network_methods does: per rung one prediction, and two trainings a fold."""
    return len(rungs) * (1 + 2 * protocol.num_folds)


_Part = tuple[NDArray[np.int64], Floats, Floats]


def _as_pretrained(protocol: Protocol, rung: Rung) -> _Part:
    torch.set_num_threads(1)
    model = load_model(rung.uri).model
    shown = not {"depth", "thickness"}.isdisjoint(model.inputs)
    cases = read_cases(protocol.study, anatomy_named(protocol.anatomy), depth=shown)
    predictions = predict(model, Patches.from_samples(cases.samples, cases.anatomy, inputs=model.inputs))
    return np.arange(len(cases)), predictions.points, predictions.sigma


def _fold(protocol: Protocol, rung: Rung, number: int, scratch: bool) -> _Part:
    result = run_fold(protocol.trial(rung, scratch=scratch), number)
    return result.test, result.points, result.sigma
