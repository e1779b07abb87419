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

CHUNK = 1000  # entries of one log_batch, MLflow's limit
PARAMS_CHUNK = 100
LONGEST_PARAM = 6000  # characters; MLflow's limit


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

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Record nested values as flat parameters, a.b.c = value."""
        from mlflow.entities import Param

        params = [Param(key, text[:LONGEST_PARAM]) for key, text in flatten(values).items()]
        client = _client(self.experiment.uri)
        for start in range(0, len(params), PARAMS_CHUNK):
            client.log_batch(self.run_id, params=params[start : start + PARAMS_CHUNK])

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step; those that are not finite are left out."""
        self.log_curves({name: [(step, value)] for name, value in values.items()})

    def log_curves(self, curves: Mapping[str, Iterable[tuple[int, float]]]) -> None:
        """Record whole curves, name -> (step, value) pairs, in few requests."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, step)
            for name, curve in curves.items()
            for step, value in curve
            if math.isfinite(value)
        ]
        client = _client(self.experiment.uri)
        for start in range(0, len(metrics), CHUNK):
            client.log_batch(self.run_id, metrics=metrics[start : start + CHUNK])

    def last_step(self, name: str) -> int:
        """The highest step at which a number was recorded; -1 where none was."""
        history = _client(self.experiment.uri).get_metric_history(self.run_id, name)
        return max((metric.step for metric in history), default=-1)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Record tags."""
        client = _client(self.experiment.uri)
        for key, value in tags.items():
            client.set_tag(self.run_id, key, value)

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Record a matplotlib figure as the artifact `name` (a file name)."""
        _client(self.experiment.uri).log_figure(self.run_id, figure, name)

    def log_text(self, text: str, name: str) -> None:
        """Record a text as the artifact `name`."""
        _client(self.experiment.uri).log_text(self.run_id, text, name)

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

    uri = _absolute(uri or default_uri())
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
    made = client.create_experiment(name, artifact_location=artifact_location)
    return Experiment(uri=uri, experiment_id=made, name=name)


def start_run(
    experiment: Experiment, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
) -> Run:
    """A new run; `parent` is the run id it hangs under. End it with finish_run."""
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    given = dict(tags or {})
    if parent is not None:
        given[MLFLOW_PARENT_RUN_ID] = parent
    made = _client(experiment.uri).create_run(experiment.experiment_id, tags=given, run_name=name)
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


def ui_command(uri: str | None = None) -> str:
    """The command that opens MLflow's pages on the runs."""
    uri = uri or default_uri()
    return f"open {uri}" if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"


def quiet_mlflow() -> None:
    """None; MLflow sends nothing home, and does not tell of every table that it makes or file that it copies."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for noisy in ("alembic", "mlflow.store.db.utils"):  # MLflow 3.17: dozens of lines when a store is created
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _client(uri: str) -> "MlflowClient":
    quiet_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _absolute(uri: str) -> str:
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


def local_model(uri: str) -> str:
    """The folder of our own model files for a model URI: as given, or fetched from MLflow for models:/ and runs:/.

    Of what MLflow keeps, only the safetensors and JSON are used; its own export beside them is never opened.
    Raises: ValueError where MLflow has no such model, or it holds none of ours.
    """
    if not uri.startswith(("models:/", "runs:/")):
        return uri
    quiet_mlflow()
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(_absolute(default_uri()))
    mlflow.set_registry_uri(_absolute(default_uri()))  # else that of whoever was asked first in this process
    try:
        fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except (MlflowException, OSError) as error:
        raise ValueError(f"model {uri} cannot be fetched from {default_uri()}: {error}") from error
    for folder in (fetched, fetched / "extra_files"):
        if (folder / "model.json").is_file():
            return str(folder)
    raise ValueError(f"model {uri} holds no synthmark model (model.json beside model.safetensors)")
