"""MLflow's pages on what was recorded: the command that serves them, and their addresses."""

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from training.tracking import Experiment, Run, absolute, default_uri

MODE = "workflowType=machine_learning"  # MLflow 3.17 else lays its pages out for prompts and their traces
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` serves unless told otherwise


def ui_command(uri: str | None = None) -> str:
    """What to run in a shell to see the runs; for a server, which is running, its address."""
    uri = absolute(uri or default_uri())
    if uri.startswith("http"):
        return uri
    program = "mlflow" if shutil.which("mlflow") else shlex.quote(str(Path(sys.executable).with_name("mlflow")))
    # one worker is enough for one person; its default of four takes as many times the memory and time to start
    return f"MLFLOW_DISABLE_TELEMETRY=true {program} ui --workers 1 --backend-store-uri {shlex.quote(uri)}"


def run_address(run: Run) -> str:
    """The page of one run."""
    return f"{_server(run.experiment)}/{run_link(run)}"


def run_link(run: Run) -> str:
    """The page of one run as seen from another page, on whatever address they are served."""
    return f"#/experiments/{run.experiment.experiment_id}/runs/{run.run_id}?{MODE}"


def compare_address(runs: Sequence[Run]) -> str:
    """The page that compares these runs, of one experiment: parallel coordinates, scatter, parameters and metrics."""
    return f"{_server(runs[0].experiment)}/{compare_link(runs)}"


def compare_link(runs: Sequence[Run]) -> str:
    """The page that compares these runs as seen from another page."""
    ids, experiments = [run.run_id for run in runs], [runs[0].experiment.experiment_id]
    return f"#/compare-runs?runs={_listed(ids)}&experiments={_listed(experiments)}&{MODE}"


def _listed(names: list[str]) -> str:
    return quote(json.dumps(names, separators=(",", ":")))


def _server(experiment: Experiment) -> str:
    return experiment.uri.rstrip("/") if experiment.uri.startswith("http") else LOCAL
