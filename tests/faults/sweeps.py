"""A small sweep of a toy study, the kill -9 of its driver's process group, and what is there afterwards."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands import ROOT
from tests.faults.processes import wait_for
from tests.mlflow_stores import new_store
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.tracking import find_runs, open_experiment
from tuning.record import KIND_TAG

PATIENCE_S = 300  # a busy machine takes minutes to start Ray; nothing here waits longer than it must


@dataclass(frozen=True, kw_only=True)
class SmallSweep:
    """`num_trials` schedules of one epoch, leaving each of `num_folds` people out, under the folder `home`."""

    home: Path
    num_trials: int
    num_folds: int

    def prepare(self) -> None:
        """Write the study, two cases to a person, the network and an empty MLflow store."""
        new_store(self.home)
        write_toy(toy_samples(2 * self.num_folds, 1, per_subject=2, pixel_mm=2.0), str(self.home / "study"))
        write_network(str(self.home / "network"))

    def start(self, workers: int) -> "subprocess.Popen[bytes]":
        """`sweep.py` as the leader of a process group of its own; its output goes to HOME/log."""
        schedules = [{"name": f"s{i:02d}", "epochs": 1, "rate": 1e-4 * (i + 1)} for i in range(self.num_trials)]
        paths = [f"--{name}={self.home / name}" for name in ("study", "out")]
        given = {"sweep.folds": "leave_one_out", "sweep.schedules": json.dumps(schedules)}
        overrides = [f"--set={field}={value}" for field, value in given.items()]
        command = [sys.executable, str(ROOT / "pipelines" / "sweep.py"), "hand", *paths, f"--workers={workers}"]
        environment = {"SYNTHMARK_MLFLOW": f"sqlite:///{self.home}/mlflow.db", "PYTHONPATH": str(ROOT)}
        with (self.home / "log").open("ab") as stream:
            return subprocess.Popen(
                [*command, f"--pretrained={self.home / 'network'}", *overrides],
                cwd=self.home, env={**os.environ, **environment}, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def finish(self, run: "subprocess.Popen[bytes]") -> None:
        """Wait until a run ends well; one that takes too long is ended."""
        try:
            assert run.wait(4 * PATIENCE_S) == 0, (self.home / "log").read_text()[-3000:]
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            raise

    def kill_midway(self, run: "subprocess.Popen[bytes]") -> None:
        """kill -9 of the run's whole process group, once half of the trials are there and a fold of another is."""
        wait_for(
            lambda: run.poll() is not None or (len(self.trials()) >= self.num_trials // 2 and self.folds()),
            PATIENCE_S, "half of the trials",
        )  # fmt: skip
        assert run.poll() is None, "it ended before anything could happen to it"
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()

    def trials(self) -> dict[str, Any]:
        """The finished trials: name -> what is kept."""
        return {path.stem: json.loads(path.read_text()) for path in (self.home / "out" / "trials").glob("*.json")}

    def folds(self) -> dict[tuple[str, int], Any]:
        """The finished folds of unfinished trials: (name, number) -> what is kept."""
        found, finished = {}, self.trials()
        for path in (self.home / "out" / "trials").glob("*/fold-*.json"):
            try:
                (kept,) = json.loads(path.read_text())["folds"]
            except FileNotFoundError:  # its trial was finished meanwhile
                continue
            if path.parent.name not in finished:
                found[path.parent.name, kept["fold"]] = kept
        return found

    def runs(self) -> dict[str, int]:
        """How many MLflow runs there are of each kind and status."""
        experiment = open_experiment("sweep", f"sqlite:///{self.home}/mlflow.db")
        return dict(
            Counter(
                f"{kind} {status}"
                for kind in ("sweep", "schedule", "fold")
                for _, status in find_runs(experiment, {KIND_TAG: kind})
            )
        )
