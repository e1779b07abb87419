"""Many cases predicted: one after another, or by workers of Ray Data where they are enough to be worth its start."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pipelines.cli import progress, quiet_ray_data, start_ray
from pipelines.predicted_case import Done, Predictor, Task, read_record
from synth.domain.reader import Reader
from training.checkpoint import LoadedModel

ENOUGH = 16  # cases still to be done: starting Ray and its workers takes as long as a dozen
BATCH = 4  # cases that a worker gets at once: what is done of them stays where the worker dies
ATTEMPTS = 2  # workers that a case may take with it


def predict_cases(task: Task, models: Mapping[str, LoadedModel], workers: int) -> list[Done]:
    """What became of every case of a task, in its order."""
    num_missing = sum(read_record(task.out, case) is None for case in task.cases)
    many = workers > 1 and num_missing >= ENOUGH
    found = by_workers(task, models, workers) if many else in_turn(task, models)
    done: dict[str, Done] = {}
    with progress(len(task.cases), "case", f"predicting with {workers} workers" if many else "predicting") as bar:
        for item in found:
            done[item.case] = item
            bar.update()
    return [done[case] for case in task.cases]


def in_turn(task: Task, models: Mapping[str, LoadedModel]) -> Iterator[Done]:
    """What became of the cases, predicted in this process."""
    with Reader() as reader:
        predictor = Predictor(task, models, reader)
        for case in task.cases:
            yield predictor.predict(case)


def by_workers(task: Task, models: Mapping[str, LoadedModel], workers: int) -> Iterator[Done]:
    """What became of the cases, predicted by so many workers, as they finish."""

    start_ray(workers)
    quiet_ray_data()
    cases = list(task.cases)
    with TemporaryDirectory(prefix="synthmark-predict-") as attempts:
        for row in _rows(task, models, workers, Path(attempts)):
            yield Done(case=cases[row["place"]], failure=row["failure"], drawn=row["drawn"])


def _rows(task: Task, models: Mapping[str, LoadedModel], workers: int, attempts: Path) -> Iterator[dict[str, Any]]:
    """The rows of Worker, as they come."""
    import ray

    places = [{"place": place} for place in range(len(task.cases))]
    rows = ray.data.from_items(places, override_num_blocks=-(-len(places) // BATCH)).map_batches(
        Worker,
        fn_constructor_args=(task, models, attempts),
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    yield from rows.iter_rows()


class Worker:
    """A worker of Ray Data: predicts the cases at the places of a batch in the task.

    attempts: folder where it is noted which case is being predicted; Ray gives what a worker that died (too little
    memory) had to do to another one, again and again
    """

    def __init__(self, task: Task, models: Mapping[str, LoadedModel], attempts: Path) -> None:
        os.umask(0o077)  # outputs may hold patient data, and a worker does not begin in run()
        self._cases, self._attempts = list(task.cases), attempts
        self._predictor = Predictor(task, models, Reader())  # its child ends with this process

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The fields of Done of each case, its place for its name: names may hold what Arrow's text cannot."""
        done = [self._attempt(int(place)) for place in batch["place"]]
        return {
            "place": batch["place"],
            "failure": np.array([item.failure for item in done], object),
            "drawn": np.array([item.drawn for item in done], object),
        }

    def _attempt(self, place: int) -> Done:
        """What became of the case at a place, unless it took enough workers with it."""
        case, begun = self._cases[place], self._attempts / str(place)
        self._attempts.mkdir(parents=True, exist_ok=True)  # on another host than the driver's
        if begun.exists() and begun.stat().st_size >= ATTEMPTS:
            why = f"{ATTEMPTS} workers died of it; is there too little memory? try it alone, or fewer --workers"
            return Done(case=case, failure=f"case {case!r}: {why}")
        with open(begun, "ab") as stream:
            stream.write(b".")
        done = self._predictor.predict(case)
        begun.unlink()
        return done
