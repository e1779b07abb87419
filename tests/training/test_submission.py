"""`ray job submit` of a pre-training: its workers find synthmark, its results lie where they were sent."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.commands import ROOT
from tests.faults.processes import answers, free_port, wait_for
from tests.training.toy import toy_dataset
from training.checkpoint import load_model
from training.registry import local_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RAY = str(Path(sys.executable).parent / "ray")
PATIENCE_S = 300


@pytest.fixture
def head(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(address of the dashboard, environment) of a head with a token; only its own processes are ended."""
    port, dashboard = free_port(), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a socket's path may have 107 characters
    command = [
        RAY, "start", "--head", "--block", "--num-cpus=3", "--node-ip-address=127.0.0.1", f"--port={port}",
        f"--dashboard-port={dashboard}", f"--temp-dir={folder}", "--disable-usage-stats",
    ]  # fmt: skip
    with (tmp_path / "head.log").open("wb") as log:
        running = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(lambda: running.poll() is not None or answers(dashboard), PATIENCE_S, "the dashboard")
        assert running.poll() is None, (tmp_path / "head.log").read_text()[-3000:]
        yield f"http://127.0.0.1:{dashboard}", environment
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)


def test_a_submitted_pretraining_leaves_its_model_and_its_run(head, tmp_path, monkeypatch):
    address, environment = head
    toy_dataset(str(tmp_path / "data"), 60, 1)
    store = f"sqlite:///{tmp_path}/mlflow.db"
    runtime = {"env_vars": {"SYNTHMARK_MLFLOW": store}}
    submit = [RAY, "job", "submit", f"--address={address}", "--working-dir=."]
    command = [
        *submit, f"--runtime-env-json={json.dumps(runtime)}", "--", sys.executable,
        "pipelines/pretrain.py", "hand_smoke", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"),
        "--workers", "2", "--set", "model.width=8", "--set", "train.epochs=2",
    ]  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
        if "No available agent" not in done.stderr or time.monotonic() > deadline:  # it starts after the dashboard
            break
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "succeeded" in done.stdout

    client = MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("pretrain").experiment_id])
    assert run.info.status == "FINISHED" and run.data.params["workers"] == "2"
    picture = Path(client.download_artifacts(run.info.run_id, "examples.png", str(tmp_path)))
    assert picture.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setenv("SYNTHMARK_MLFLOW", store)
    ours, registered = load_model(str(tmp_path / "out" / "model")), load_model(local_model(run.data.tags["model"]))
    assert registered.card == ours.card

    bare = {**environment, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    refused = subprocess.run([RAY, "job", "list", f"--address={address}"], env=bare, capture_output=True, text=True)
    assert refused.returncode != 0
