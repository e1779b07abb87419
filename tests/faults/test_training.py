"""A training worker or the driver is lost inside an epoch: after it went on, the weights have the same bits."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from synth.domain.storage import has_files
from tests.commands import ROOT, succeed
from tests.faults.processes import kill, trainers, wait_for
from tests.mlflow_stores import new_store
from tests.training.toy import toy_dataset

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]
PATIENCE_S = 300  # a busy machine takes minutes to start Ray; nothing here waits longer than it must
OVERRIDES = ("train.epochs=6", "train.batch=10", "model.width=8", "train.precision=float32")


def options(data: Path, out: Path) -> list[str]:
    """Of a run that keeps a state after every fifth step."""
    overrides = [word for override in OVERRIDES for word in ("--set", override)]
    return ["hand_smoke", "--data", str(data), "--out", str(out), "--workers", "1", "--save-steps", "5", *overrides]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy hands and the model of a run that nothing happened to."""
    home = tmp_path_factory.mktemp("undisturbed")
    toy_dataset(str(home / "data"), 600, 1, rows=100)
    succeed("pretrain", *options(home / "data", home / "out"), home=home)
    return home


def start(home: Path, data: Path, log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """`pretrain.py` in a process of its own."""
    store = new_store(home)
    environment = {**os.environ, "SYNTHMARK_MLFLOW": store, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, str(ROOT / "pipelines" / "pretrain.py"), *options(data, home / "out")]
    with log.open("ab") as stream:
        return subprocess.Popen(command, cwd=home, env=environment, stdout=stream, stderr=subprocess.STDOUT)


def under_way(home: Path, run: "subprocess.Popen[bytes]") -> None:
    """Waits until a state inside an epoch is kept, and a moment more; ends the run where it never is."""
    states = home / "out" / "checkpoints"
    inside = re.compile(r"epoch-\d+-step-0*[1-9]\d*\.safetensors")

    def is_inside() -> bool:
        return states.is_dir() and any(inside.fullmatch(path.name) for path in states.iterdir())

    try:
        wait_for(lambda: run.poll() is not None or is_inside(), PATIENCE_S, "a state inside an epoch")
    except AssertionError:
        run.kill()
        raise
    assert run.poll() is None, "it ended before anything could happen to it"
    time.sleep(np.random.default_rng().uniform(0, 0.2))  # at a random step: any must do


def same_weights(home: Path, other: Path) -> bool:
    """Whether two runs ended with the same bits."""
    first, second = ((h / "out" / "model" / "model.safetensors").read_bytes() for h in (home, other))
    return first == second


def test_a_killed_training_worker_changes_nothing(undisturbed: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = start(tmp_path, undisturbed / "data", log)
    under_way(tmp_path, run)
    (worker,) = trainers(run.pid)
    kill(worker)
    assert run.wait(PATIENCE_S) == 0, log.read_text()[-3000:]
    assert same_weights(tmp_path, undisturbed)


def test_a_killed_driver_is_resumed_inside_the_epoch(undisturbed: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = start(tmp_path, undisturbed / "data", log)
    under_way(tmp_path, run)
    workers = trainers(run.pid)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)  # orphans go on until Ray ends them; a lost machine's do not
    run.kill()
    run.wait()
    for pid in workers:
        kill(pid)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 30, "its workers end")
    assert not has_files(str(tmp_path / "out" / "model"))
    assert start(tmp_path, undisturbed / "data", log).wait(PATIENCE_S) == 0, log.read_text()[-3000:]
    assert same_weights(tmp_path, undisturbed)


@pytest.fixture
def cluster() -> Iterator[object]:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


def test_a_lost_node_changes_nothing(cluster: object, undisturbed: Path, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    assert isinstance(cluster, Cluster)
    log = tmp_path / "log"
    lost = cluster.add_node(num_cpus=1)
    run = start(tmp_path, undisturbed / "data", log, RAY_ADDRESS=cluster.address)
    under_way(tmp_path, run)
    (raylet,) = [info.process.pid for info in lost.all_processes["raylet"]]
    assert trainers(raylet), "it trains on the node that is lost"
    cluster.remove_node(lost, allow_graceful=False)
    assert run.poll() is None
    cluster.add_node(num_cpus=1)
    assert run.wait(PATIENCE_S) == 0, log.read_text()[-3000:]
    assert same_weights(tmp_path, undisturbed)
