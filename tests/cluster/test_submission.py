"""`ray job submit`: a job's workers find synthmark, its results lie where they were sent, and it takes the token."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from synth.domain.shards import read_manifest
from tests.commands import ROOT
from tests.faults.processes import answers, end_ray, free_port, wait_for
from tests.mlflow_stores import new_store
from tests.training.toy import toy_dataset
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.checkpoint import load_model
from training.registry import local_model

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]
RAY = str(Path(sys.executable).parent / "ray")
PATIENCE_S = 300


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
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
        f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={free_port()}",
        f"--temp-dir={folder}", "--disable-usage-stats",
    ]  # fmt: skip
    said = tmp_path_factory.mktemp("head") / "head.log"
    with said.open("wb") as log:
        running = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(lambda: running.poll() is not None or answers(dashboard), PATIENCE_S, "the dashboard")
        assert running.poll() is None, said.read_text()[-3000:]
        yield f"http://127.0.0.1:{dashboard}", environment
    finally:
        end_ray(folder)  # SIGTERM would wait half a minute for tasks to end
        running.wait(30)


def submit(head: tuple[str, dict[str, str]], *command: str, **variables: str) -> str:
    """The output of a verb that was submitted with the checkout and succeeded."""
    address, environment = head
    runtime = json.dumps({"env_vars": variables})
    whole = [RAY, "job", "submit", f"--address={address}", "--working-dir=.", f"--runtime-env-json={runtime}", "--"]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(
            [*whole, sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=PATIENCE_S,
        )  # fmt: skip
        if "No available agent" not in done.stderr or time.monotonic() > deadline:  # it starts after the dashboard
            break
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "succeeded" in done.stdout
    return done.stdout


def test_a_submitted_rendering_leaves_its_shards(head, tmp_path):
    out = tmp_path / "hands"
    cache = {name: value for name, value in os.environ.items() if name == "SYNTHMARK_CACHE"}
    submit(
        head, "pipelines/render.py", "hand_smoke", "--count", "32", "--seed", "1", "--out", out.as_uri(),
        "--workers", "2", "--set", "render.shard_rows=16", **cache,
    )  # fmt: skip
    assert [shard.rows for shard in read_manifest(str(out)).shards] == [16, 16]


def test_a_submitted_pretraining_leaves_its_model_and_its_run(head, tmp_path, monkeypatch):
    toy_dataset(str(tmp_path / "data"), 60, 1)
    store = new_store(tmp_path)
    submit(
        head, "pipelines/pretrain.py", "hand_smoke", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"),
        "--workers", "2", "--set", "model.width=8", "--set", "train.epochs=2", SYNTHMARK_MLFLOW=store,
    )  # fmt: skip
    client = MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("pretrain").experiment_id])
    assert run.info.status == "FINISHED" and run.data.params["workers"] == "2"
    picture = Path(client.download_artifacts(run.info.run_id, "examples.png", str(tmp_path)))
    assert picture.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setenv("SYNTHMARK_MLFLOW", store)
    ours, registered = load_model(str(tmp_path / "out" / "model")), load_model(local_model(run.data.tags["model"]))
    assert registered.card == ours.card


def test_a_submitted_sweep_leaves_its_choice_and_its_runs(head, tmp_path):
    write_toy(toy_samples(12, 1, per_subject=1, pixel_mm=2.0), str(tmp_path / "study"))
    write_network(str(tmp_path / "network"))
    store = new_store(tmp_path)
    schedules = json.dumps([{"name": "quick", "epochs": 2}, {"name": "head", "epochs": 2, "freeze": "features"}])
    submit(
        head, "pipelines/sweep.py", "hand_smoke", "--study", str(tmp_path / "study"), "--pretrained",
        str(tmp_path / "network"), "--out", str(tmp_path / "out"), "--set", f"sweep.schedules={schedules}",
        "--set", "sweep.folds=2", "--workers", "2", SYNTHMARK_MLFLOW=store,
    )  # fmt: skip
    assert json.loads((tmp_path / "out" / "schedule.json").read_text())["schedule"]["name"] in ("quick", "head")
    assert load_model(str(tmp_path / "out" / "model")).card.data["pretrained"]
    client = MlflowClient(store)
    runs = client.search_runs([client.get_experiment_by_name("sweep").experiment_id])
    assert len(runs) == 1 + 2 + 2 * 2 and {run.info.status for run in runs} == {"FINISHED"}


def test_another_token_is_refused(head):
    address, environment = head
    other = {**environment, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    refused = subprocess.run([RAY, "job", "list", f"--address={address}"], env=other, capture_output=True, text=True)
    assert refused.returncode != 0
