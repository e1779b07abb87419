"""Machines of cluster.yaml come when asked for, and go: Ray's own autoscaler, with nodes of this machine."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE

from synth.domain.shards import read_manifest
from tests.commands import ROOT
from tests.faults.processes import answers, end_ray, free_port, ray_processes, wait_for
from tests.training.toy import toy_dataset

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]
RAY = str(Path(sys.executable).parent / "ray")
IDLE_S = 6
PATIENCE_S = 120


def fake(config: dict, gcs: str) -> dict:
    """The same kinds of machines, of two cores each, as processes of this machine. Ray 2.60: needs all these fields."""
    kinds = {
        name: {"min_workers": kind["min_workers"], "max_workers": 2, "node_config": {},
               "resources": {**kind["resources"], "CPU": 2}}
        for name, kind in config["available_node_types"].items() if name != config["head_node_type"]
    }  # fmt: skip
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    provider = {
        "type": "external", "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "use_node_id_as_ip": True, "disable_node_updaters": True, "disable_launch_config_check": True,
        "launch_multiple": True, "head_node_id": FAKE_HEAD_NODE_ID, "gcs_address": gcs,
    }  # fmt: skip
    nothing: dict = {
        "setup_commands": [], "head_setup_commands": [], "worker_setup_commands": [], "initialization_commands": [],
        "head_start_ray_commands": [], "worker_start_ray_commands": [], "file_mounts": {}, "cluster_synced_files": [],
        "file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": [], "docker": {},
    }  # fmt: skip
    return nothing | {
        "cluster_name": "fake", "max_workers": 4, "idle_timeout_minutes": IDLE_S / 60, "provider": provider,
        "auth": {"ssh_user": "nobody"}, "available_node_types": {FAKE_HEAD_NODE_TYPE: head, **kinds},
        "head_node_type": FAKE_HEAD_NODE_TYPE, "upscaling_speed": config["upscaling_speed"],
    }  # fmt: skip


def nodes(folder: str) -> Counter[str]:
    """How many nodes of each kind there are, but for the head."""
    found: Counter[str] = Counter()
    for pid, command in ray_processes(folder):
        if command.split(" ")[0].endswith("/raylet"):
            with suppress(OSError):  # it ended meanwhile
                said = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                found.update(e.decode().partition("=")[2] for e in said if e.startswith(b"RAY_NODE_TYPE_NAME="))
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, dict[str, str]]]:
    """(folder of its files, environment of its clients) of a head that starts and ends nodes."""
    gcs, dashboard = free_port(), free_port()
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a socket's path may have 107 characters
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    (Path(folder) / "fake.json").write_text(json.dumps(fake(config, f"127.0.0.1:{gcs}")))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = clean | {
        "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }  # fmt: skip
    starting = environment | {
        "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    }  # fmt: skip
    command = [
        RAY, "start", "--head", "--block", "--num-cpus=0", "--node-ip-address=127.0.0.1", f"--port={gcs}",
        f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={free_port()}",
        f"--temp-dir={folder}", f"--autoscaling-config={folder}/fake.json",
        "--disable-usage-stats",
    ]  # fmt: skip
    with (Path(folder) / "head.log").open("wb") as log:
        head = subprocess.Popen(command, env=starting, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_for(lambda: head.poll() is not None or answers(gcs), PATIENCE_S, "the head")
        assert head.poll() is None, (Path(folder) / "head.log").read_text()[-3000:]
        yield folder, environment | {"RAY_ADDRESS": f"127.0.0.1:{gcs}"}
    finally:
        end_ray(folder)
        head.wait(30)


def watched(
    folder: str, environment: dict[str, str], *arguments: str, until: str = ""
) -> tuple[Counter[str], int, str]:
    """(the most nodes of each kind seen meanwhile, exit status, output) of a verb run in the cluster.

    With `until` it is ended three seconds after a node of that kind came: no GPU is there to go on with.
    """
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, *arguments]
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        most: Counter[str] = Counter()
        deadline = time.monotonic() + PATIENCE_S
        while running.poll() is None:
            if until and most[until]:
                deadline = min(deadline, time.monotonic() + 3)
            most |= nodes(folder)
            if time.monotonic() > deadline:
                running.kill()
            time.sleep(0.1)
        log.seek(0)
        return most, running.returncode, log.read()


def test_rendering_brings_render_machines_and_lets_them_go(cluster, tmp_path):
    folder, environment = cluster
    out = tmp_path / "hands"
    most, status, output = watched(
        folder, environment, "pipelines/render.py", "hand_smoke", "--count", "64", "--seed", "1", "--out", str(out),
        "--workers", "2", "--set", "render.shard_rows=16",
    )  # fmt: skip
    assert status == 0, [line for line in output.splitlines() if not line.startswith((" ", "{", "}"))]
    assert read_manifest(str(out)).rows == 64
    assert most["render"] >= 1 and most["train"] == 0, most
    wait_for(lambda: not nodes(folder), PATIENCE_S, "render machines leave")


def test_training_asks_for_machines_with_a_gpu_alone(cluster, tmp_path):
    folder, environment = cluster
    toy_dataset(str(tmp_path / "data"), 60, 1)
    most, _, output = watched(
        folder, environment | {"SYNTHMARK_MLFLOW": f"sqlite:///{tmp_path}/mlflow.db"}, "pipelines/pretrain.py",
        "hand_smoke", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--gpu", "--workers", "1",
        "--set", "model.width=8", "--set", "train.epochs=1", until="train",
    )  # fmt: skip
    assert most["train"] >= 1 and most["render"] == 0, (most, output[-3000:])
