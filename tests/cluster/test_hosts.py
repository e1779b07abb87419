"""A render outlives hosts that are cut off, come back, or are lost: nothing is missing, nothing there twice."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.hosts import HEAD, PATIENCE_S, Hosts, hosts, obstacle
from tests.faults.processes import blenders, wait_for
from tests.faults.undisturbed import OVERRIDES, SEED, check_dataset, undisturbed

COUNT = 16 * 128  # shards of 16; each takes a worker a second and more until the last node is lost (trapped.slow)
SHORT_S = 4.0  # a node survives it
pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]


@pytest.fixture
def made() -> Iterator[Hosts]:
    """A head and two nodes; skipped where this machine cannot have them."""
    if why := obstacle():
        pytest.skip(why)
    with hosts() as alive:
        yield alive


@dataclass(frozen=True, kw_only=True)
class Render:
    """A `render.py` under way on the head, with a worker for each node; prints how long what is waited for took."""

    running: "subprocess.Popen[bytes]"
    out: Path
    log: Path

    def until(self, text: str, what: Callable[[], object]) -> None:
        """Waits for something that is to happen before the render ends."""
        started = time.monotonic()
        wait_for(lambda: self.running.poll() is not None or what(), PATIENCE_S, text)
        assert self.running.poll() is None, f"{text}: the render ended before\n{self.log.read_text()[-3000:]}"
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    def until_next_shard(self, text: str) -> None:
        """Waits for one more shard."""
        before = len(list(self.out.glob("shard-*.parquet")))
        self.until(text, lambda: len(list(self.out.glob("shard-*.parquet"))) > before)

    def until_end(self, text: str) -> None:
        """Waits for the render to end, and well."""
        started = time.monotonic()
        assert self.running.wait(PATIENCE_S) == 0, self.log.read_text()[-3000:]
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)


def slow_render(made: Hosts, folder: Path) -> Render:
    """One that has begun: each shard takes a second more."""
    overrides = [word for override in OVERRIDES for word in ("--set", override)]
    command = [
        sys.executable, "-m", "tests.faults.trapped", "slow", "hand_smoke", "--count", str(COUNT), "--seed", str(SEED),
        "--out", str(folder / "out"), "--workers", "2", *overrides,
    ]  # fmt: skip
    log = folder / "log"
    return Render(running=made.start(HEAD, command, log), out=folder / "out", log=log)


def works(made: Hosts, host: str) -> set[int]:
    """The Blenders on a host."""
    return blenders() & set(made.processes(host))


def test_a_render_outlives_nodes_that_are_cut_off_and_lost(made: Hosts, tmp_path: Path) -> None:
    undisturbed(COUNT)
    render = slow_render(made, tmp_path)
    render.until("start: Blenders on both nodes", lambda: works(made, "left") and works(made, "right"))
    render.until_next_shard("start: a shard")

    made.link("left", "down")
    render.until_next_shard("cut off for seconds: the other node's next shard")
    time.sleep(SHORT_S)
    (blender,) = works(made, "left")
    made.link("left", "up")
    time.sleep(SHORT_S)
    assert works(made, "left") == {blender} and "left" in made.alive(), "it goes on as if nothing had been"

    made.link("left", "down")
    render.until("cut off for longer: declared dead", lambda: "left" not in made.alive())
    render.until_next_shard("declared dead: the other node's next shard")
    made.link("left", "up")
    render.until("on the network again: its Ray ends itself", lambda: made.nodes["left"].poll() is not None)
    made.join("left")
    render.until("started again: alive", lambda: "left" in made.alive())
    render.until("started again: a Blender works", lambda: works(made, "left"))

    made.power_off("right")
    render.until_next_shard("lost for good: the other node's next shard")
    (made.folder / "hurry").touch()
    render.until_end("lost for good: the end")
    assert not list(made.folder.glob("*-cache")), "the body model came with the work: none was built"
    check_dataset(str(render.out), COUNT)
