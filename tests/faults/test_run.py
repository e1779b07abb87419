"""A Ray worker, the driver or a whole node is lost: after a rerun every id is there once, with the same bits."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.domain.storage import has_files
from tests.faults.processes import blenders, descends, kill, parent, start_render, wait_for
from tests.faults.undisturbed import check_dataset, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.alone]
COUNT = 160  # 10 shards


def _workers(driver: int) -> list[int]:
    """The Ray workers of a driver that own a Blender now."""
    return [parent(pid) for pid in blenders() if descends(pid, driver)]


def _under_way(out: Path, run: "subprocess.Popen[bytes]") -> None:
    """Waits until two shards are written and others are not."""
    wait_for(lambda: run.poll() is not None or len(list(out.glob("shard-*.parquet"))) >= 2, 60, "two shards")
    assert run.poll() is None, "it ended before anything could happen to it"


def _finish(run: "subprocess.Popen[bytes]", log: Path) -> None:
    assert run.wait(120) == 0, log.read_text()[-3000:]


def test_a_killed_ray_worker_changes_nothing(tmp_path: Path) -> None:
    undisturbed(COUNT)
    out, log = tmp_path / "out", tmp_path / "log"
    run = start_render(out, COUNT, 1, log)
    _under_way(out, run)
    (worker,) = _workers(run.pid)
    kill(worker)
    _finish(run, log)
    check_dataset(str(out), COUNT)


def test_a_killed_driver_is_resumed_by_a_new_process(tmp_path: Path) -> None:
    undisturbed(COUNT)
    out, log = tmp_path / "out", tmp_path / "log"
    run = start_render(out, COUNT, 1, log)
    _under_way(out, run)
    family = [*_workers(run.pid), *(pid for pid in blenders() if descends(pid, run.pid))]
    assert len(family) == 2
    run.kill()
    run.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 30, "its workers and Blenders end")
    written = {path: path.stat().st_mtime_ns for path in out.glob("shard-*.parquet")}
    assert 2 <= len(written) < 10 and not (out / "manifest.json").exists()
    (out / "shard-00009.parquet.5f.tmp").write_bytes(b"half")
    _finish(start_render(out, COUNT, 1, log), log)
    check_dataset(str(out), COUNT)
    assert {path: path.stat().st_mtime_ns for path in written} == written, "what was there is not touched"


@pytest.fixture
def cluster() -> Iterator[object]:
    """A simulated cluster whose head has no room for a worker."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


def test_a_lost_node_changes_nothing(cluster: "object", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    assert isinstance(cluster, Cluster)
    undisturbed(COUNT)
    out, log = tmp_path / "out", tmp_path / "log"
    lost = cluster.add_node(num_cpus=3)
    run = start_render(out, COUNT, 2, log, RAY_ADDRESS=cluster.address)
    _under_way(out, run)
    (raylet,) = [info.process.pid for info in lost.all_processes["raylet"]]
    assert any(descends(pid, raylet) for pid in blenders()), "it works on the node that is lost"
    cluster.remove_node(lost, allow_graceful=False)
    assert run.poll() is None and has_files(str(out))
    cluster.add_node(num_cpus=3)
    _finish(run, log)
    check_dataset(str(out), COUNT)
