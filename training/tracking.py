"""All of MLflow: where runs are stored, and one way to record parameters, curves, figures and files."""

import logging
import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

METRICS, PARAMS, TAGS = 800, 100, 100  # of one log_batch; MLflow's limits: 1,000 together, 100 of the last two each
LONGEST_PARAM = 6000  # characters; MLflow's limit
BUSY_S = 120


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A place for runs: a tracking URI and the experiment's id there. Plain data: workers may be given it."""

    uri: str
    experiment_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run that is being recorded."""

    experiment: Experiment
    run_id: str

    def log(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        curves: Mapping[str, Iterable[tuple[int, float]]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record all of these in as few requests as MLflow allows: a request costs more than what is in it.

        params: nested values, kept as flat parameters a.b.c = value
        curves: name -> (step, value) pairs; values that are not finite are left out
        """
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, step)
            for name, curve in (curves or {}).items()
            for step, value in curve
            if math.isfinite(value)
        ]
        texts = [Param(key, text[:LONGEST_PARAM]) for key, text in flatten(params or {}).items()]
        labels = [RunTag(key, value) for key, value in (tags or {}).items()]
        client = _client(self.experiment.uri)
        while metrics or texts or labels:
            client.log_batch(self.run_id, metrics[:METRICS], texts[:PARAMS], labels[:TAGS])
            del metrics[:METRICS], texts[:PARAMS], labels[:TAGS]

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step; those that are not finite are left out."""
        self.log(curves=at_step(values, step))

    def values(self) -> tuple[dict[str, str], dict[str, float]]:
        """The parameters and the newest metrics that were recorded."""
        data = _client(self.experiment.uri).get_run(self.run_id).data
        return dict(data.params), dict(data.metrics)

    def last_step(self, name: str) -> int:
        """The highest step at which a number was recorded; -1 where none was."""
        history = _client(self.experiment.uri).get_metric_history(self.run_id, name)
        return max((metric.step for metric in history), default=-1)

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Record a matplotlib figure as the artifact `name` (a file name)."""
        _client(self.experiment.uri).log_figure(self.run_id, figure, name)

    def log_files(self, files: Mapping[str, bytes], folder: str) -> None:
        """Record files, name -> content, as artifacts under `folder`."""
        client = _client(self.experiment.uri)
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in files.items():
                path = Path(scratch) / name
                path.write_bytes(content)
                client.log_artifact(self.run_id, str(path), folder)


def default_uri() -> str:
    """The tracking URI: $SYNTHMARK_MLFLOW, else $MLFLOW_TRACKING_URI, else SQLite in the user's data folder."""
    for name in ("SYNTHMARK_MLFLOW", "MLFLOW_TRACKING_URI"):
        if os.environ.get(name):
            return os.environ[name]
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return f"sqlite:///{(base / 'synthmark' / 'mlflow.db').absolute()}"


def open_experiment(name: str, uri: str | None = None) -> Experiment:
    """The experiment of that name, made if it is missing; call it once, in the driver, before any worker records.

    A SQLite store is created under a lock (two processes that race to create one spoil it), and its artifacts get
    an absolute place beside it: MLflow's default is the working directory, which for a submitted job is temporary.
    Raises: ValueError where the store cannot be used.
    """
    from mlflow.exceptions import MlflowException

    uri = absolute(uri or default_uri())
    store = _local_folder(uri)
    if store is None:
        return _open(name, uri, None)
    try:
        store.mkdir(parents=True, exist_ok=True)
        with FileLock(str(store / ".mlflow.lock"), timeout=120):
            return _open(name, uri, f"{(store / 'artifacts').as_uri()}/{_file_name(name)}")
    except (MlflowException, OSError) as error:
        raise ValueError(f"MLflow store {uri} cannot be used: {error}; set SYNTHMARK_MLFLOW to another") from error


def _open(name: str, uri: str, artifact_location: str | None) -> Experiment:
    client = _client(uri)
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage != "active":
            raise ValueError(f"MLflow experiment {name!r} is deleted in {uri}; restore it or choose another name")
        return Experiment(uri=uri, experiment_id=found.experiment_id, name=name)
    kind = {"mlflow.experimentKind": "custom_model_development"}  # else MLflow's pages ask whether it is of prompts
    made = client.create_experiment(name, artifact_location=artifact_location, tags=kind)
    return Experiment(uri=uri, experiment_id=made, name=name)


def start_run(
    experiment: Experiment,
    name: str,
    *,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    seconds_ago: float = 0.0,
) -> Run:
    """A new run; `parent` is the run id it hangs under. End it with finish_run.

    seconds_ago: when the work began, where it is recorded afterwards: MLflow shows how long a run took
    """
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    given = dict(tags or {})
    if parent is not None:
        given[MLFLOW_PARENT_RUN_ID] = parent
    began = int((time.time() - seconds_ago) * 1000)
    made = _client(experiment.uri).create_run(experiment.experiment_id, began, given, name)
    return Run(experiment=experiment, run_id=made.info.run_id)


def resume_run(experiment: Experiment, run_id: str) -> Run | None:
    """The run of an earlier attempt, running again; None where the store does not have it (any more)."""
    from mlflow.exceptions import MlflowException

    client = _client(experiment.uri)
    try:
        if client.get_run(run_id).info.lifecycle_stage != "active":
            return None
        client.update_run(run_id, status="RUNNING")
    except MlflowException:
        return None
    return Run(experiment=experiment, run_id=run_id)


def finish_run(run: Run, status: str = "FINISHED") -> None:
    """End a run: "FINISHED", "FAILED" or "KILLED"."""
    _client(run.experiment.uri).set_terminated(run.run_id, status=status)


def find_runs(experiment: Experiment, tags: Mapping[str, str]) -> list[tuple[Run, str]]:
    """Every run of the experiment that has all these tags, with its status, oldest first."""
    assert not any("'" in value for value in tags.values()), "MLflow's search has no escape for a quote"
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    client = _client(experiment.uri)
    found = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id], wanted, order_by=["attributes.start_time ASC"], page_token=token
        )
        found += [(Run(experiment=experiment, run_id=run.info.run_id), str(run.info.status)) for run in page]
        token = page.token
        if not token:
            return found


def children_of(run: Run, tags: Mapping[str, str] | None = None) -> list[tuple[Run, str]]:
    """The runs that hang under `run` and have these tags, with their status, oldest first."""
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    return find_runs(run.experiment, {MLFLOW_PARENT_RUN_ID: run.run_id, **(tags or {})})


def delete_run(run: Run) -> None:
    """None; the run and what hangs under it no longer show: an attempt that was cut off and is recorded anew."""
    for child, _ in children_of(run):
        delete_run(child)
    _client(run.experiment.uri).delete_run(run.run_id)


def end_lost_run(run: Run) -> None:
    """None; what of the run and those under it still runs is killed: whoever recorded it is gone for good."""
    for child, status in children_of(run):
        if status == "RUNNING":
            end_lost_run(child)
    finish_run(run, "KILLED")


@contextmanager
def recorded(run: Run) -> Iterator[Run]:
    """A context that ends the run: finished, failed on an exception, killed on an interrupt."""
    try:
        yield run
    except KeyboardInterrupt:
        finish_run(run, "KILLED")
        raise
    except BaseException:
        finish_run(run, "FAILED")
        raise
    finish_run(run)


def at_step(values: Mapping[str, float], step: int = 0) -> dict[str, list[tuple[int, float]]]:
    """Single numbers as curves of one point."""
    return {name: [(step, value)] for name, value in values.items()}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings and sequences of mappings as flat names, a.b.0.c -> text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            flat |= flatten({str(i): item for i, item in enumerate(value)}, f"{name}.")
        else:
            flat[name] = str(value)
    return flat


def quiet_mlflow() -> None:
    """None; MLflow sends nothing home, and does not tell of every table that it makes or file that it copies."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for noisy in ("alembic", "mlflow.store.db.utils"):  # MLflow 3.17: dozens of lines when a store is created
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _client(uri: str) -> "MlflowClient":
    quiet_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=patient(uri))


def patient(uri: str) -> str:
    """The URI; a SQLite store waits for others that write to it, on a busy machine longer than its usual 5 s."""
    return f"{uri}?timeout={BUSY_S}" if uri.startswith("sqlite:///") and "?" not in uri else uri


def absolute(uri: str) -> str:
    """The URI with a relative SQLite path made absolute: workers have other working directories."""
    prefix = "sqlite:///"
    return f"{prefix}{Path(uri.removeprefix(prefix)).absolute()}" if uri.startswith(prefix) else uri


def _local_folder(uri: str) -> Path | None:
    """The folder of a store on this machine, or None for a server."""
    if uri.startswith("sqlite:///"):
        return Path(uri.removeprefix("sqlite:///")).absolute().parent
    if uri.startswith("file://"):
        return Path(uri.removeprefix("file://"))
    return None if "://" in uri else Path(uri).absolute()


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
