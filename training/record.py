"""What MLflow keeps of a pre-training: one run however often it is interrupted, each point of its curves once."""

import hashlib
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from synth.domain.shards import Manifest
from training import tracking
from training.board import Point
from training.checkpoint import TrainingState, latest_state, load_model, model_files
from training.figures import example_figure
from training.held_out import true_points
from training.job import PretrainJob
from training.loop import predict
from training.metrics import errors_px
from training.plan import num_steps
from training.provenance import git_commit, versions
from training.registry import register
from training.split import num_held_out, read_held_out

FLUSH_S = 10.0
CURVE = "step_loss"  # by steps, beside the epochs' "loss"
EXAMPLES = 6  # typical ones, and as many of the worst


@dataclass(kw_only=True)
class Record:
    """A pre-training's run in MLflow.

    epochs, steps: how many of them came already. A run that goes on, here or in another driver, repeats those since
        its newest state with the same bits; they are left out
    """

    run: tracking.Run
    epochs: int
    steps: int
    _waiting: list[Point] = field(default_factory=list)
    _flushed: float = 0.0

    def epoch(self, entry: dict[str, float]) -> None:
        """An epoch's figures."""
        number = int(entry["epoch"])
        if number >= self.epochs:
            self.run.log_metrics({k: v for k, v in entry.items() if k != "epoch"}, step=number)
            self.epochs = number + 1

    def points(self, points: list[Point]) -> None:
        """The next points of the learning curve; they are sent every ten seconds, all of them together."""
        self._waiting += [point for point in points if point.step > self.steps]
        self.steps = max([self.steps, *(point.step for point in points)])
        if self._waiting and time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """None; the points that wait are sent."""
        names = {"loss": CURVE, "rate": "step_rate", "images_per_s": "step_images_per_s"}
        self.run.log(
            curves={
                name: [(point.step, getattr(point, what)) for point in self._waiting] for what, name in names.items()
            }
        )
        self._waiting, self._flushed = [], time.monotonic()

    def close(self, job: PretrainJob) -> None:
        """None; final errors, examples, the model's own files, and its version in the registry."""
        self.flush()
        loaded = load_model(job.model_uri)
        metrics = {name: value for name, value in loaded.card.metrics.items() if value is not None}
        if loaded.card.sigma_scale is not None:
            scales = zip(loaded.card.anatomy.names, loaded.card.sigma_scale, strict=True)
            metrics |= {f"sigma_scale.{name}": scale for name, scale in scales if scale is not None}
        if self.run.last_step("held_out_px") < job.train.epochs:  # else an earlier driver was lost after it
            self.run.log_metrics(metrics, step=job.train.epochs)
        held_out = read_held_out(job)
        points, truth = predict(loaded.model, held_out).points, true_points(held_out)
        errors = np.nan_to_num(np.nanmean(errors_px(points, truth), 1))
        shown = examples(errors)
        images = held_out.images(torch.as_tensor(shown))[:, 0].numpy()
        figure = example_figure(images, points[shown], truth[shown], errors[shown])
        self.run.log_figure(figure, "examples.png")
        self.run.log_files(model_files(job.model_uri), "model")
        version = register(self.run, job.model_uri, f"synthmark-{loaded.card.anatomy.name}")
        self.run.log(tags={"model": version})
        print(f"registered as {version}", file=sys.stderr)


def examples(errors: NDArray[np.float64]) -> list[int]:
    """Rows of a few cases around the median error, then of the worst ones."""
    order = np.argsort(errors, kind="stable")
    worst = order[-EXAMPLES:][::-1]
    rest = order[: len(order) - len(worst)]
    middle = max(0, (len(order) - EXAMPLES) // 2)
    return [int(row) for row in (*rest[middle : middle + EXAMPLES], *worst)]


def open_record(job: PretrainJob, manifest: Manifest, experiment: str, workers: int) -> Record:
    """The record of a job: that of its interrupted run, where there is one and a state to go on from; else anew."""
    place, tags = tracking.open_experiment(experiment), _tags(job, manifest)
    state = latest_state(job.checkpoints_uri)
    if state is not None:
        steps = num_steps(manifest.rows - num_held_out(manifest.rows), job.train.batch)
        where = f"epoch {state.progress.epoch + 1}, step {state.progress.step} of {steps}"
        print(f"continues at {where}, of {job.train.epochs} epochs", file=sys.stderr)
        for run, status in reversed(tracking.find_runs(place, tags)):
            found = _resumed(run, state) if status != "FINISHED" else None
            if found is not None:
                return found
    for lost, status in tracking.find_runs(place, tags):
        if status == "RUNNING":  # killed before it had a state to go on from
            tracking.end_lost_run(lost)
    run = tracking.start_run(place, f"{job.anatomy} {job.model.network}", tags=tags)
    params = {**job.recipe, "seed": job.seed, "workers": workers, "mode": job.mode, "data_digest": manifest.digest}
    made_with = {"git_commit": git_commit(), **{f"version.{name}": text for name, text in versions().items()}}
    run.log(params=params, tags=made_with)
    return Record(run=run, epochs=0, steps=-1)


def record_left_open(job: PretrainJob, manifest: Manifest, experiment: str) -> Record | None:
    """The record of a finished model whose driver was lost before all was recorded; None where nothing is left."""
    runs = tracking.find_runs(tracking.open_experiment(experiment), _tags(job, manifest))
    state = latest_state(job.checkpoints_uri)
    if not runs or state is None or runs[-1][1] == "FINISHED":
        return None
    return _resumed(runs[-1][0], state)


def _tags(job: PretrainJob, manifest: Manifest) -> dict[str, str]:
    """By which a job's runs are found."""
    identity = f"{job.out_uri}\n{manifest.digest}\n{job.seed}"
    return {"pretraining": hashlib.sha256(identity.encode()).hexdigest()}


def _resumed(run: tracking.Run, state: TrainingState) -> Record | None:
    """The run's record, with every epoch that the state knows; None where the store does not have the run any more."""
    found = tracking.resume_run(run.experiment, run.run_id)
    if found is None:
        return None
    record = Record(run=found, epochs=found.last_step("held_out_px") + 1, steps=found.last_step(CURVE))
    for entry in state.notes["history"]:
        record.epoch(entry)
    return record
