"""Finding the processes of a run by their family, and ending them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.commands import ROOT
from tests.faults.undisturbed import OVERRIDES, SEED


def start_render(out: Path | str, count: int, workers: int, log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """`render.py` in a process of its own; its output goes to `log`."""
    options = ["--count", str(count), "--seed", str(SEED), "--out", str(out), "--workers", str(workers)]
    overrides = [word for override in OVERRIDES for word in ("--set", override)]
    command = [sys.executable, str(ROOT / "pipelines" / "render.py"), "hand_smoke", *options, *overrides]
    with log.open("ab") as stream:
        return subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def parent(pid: int) -> int:
    """The parent of a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def descends(pid: int, ancestor: int) -> bool:
    """Whether a process is of the family of another."""
    while pid > 1:
        pid = parent(pid)
        if pid == ancestor:
            return True
    return False


def blenders() -> set[int]:
    """Every Blender child on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text() == "synth-blender\n":
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


def trainers(driver: int) -> list[int]:
    """The Ray Train workers of a driver."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        pid = int(path.parent.name)
        try:
            if b"RayTrainWorker" in path.read_bytes() and descends(pid, driver):
                found.append(pid)
        except OSError:
            continue
    return found


def data_workers(driver: int, kind: str) -> list[int]:
    """The Ray Data workers of a driver whose name holds `kind`, that of their class."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        pid = int(path.parent.name)
        with suppress(OSError):
            command = path.read_bytes()
            if command.startswith(b"ray::") and kind.encode() in command and descends(pid, driver):
                found.append(pid)
    return found


def ray_processes(folder: str) -> list[tuple[int, str]]:
    """(pid, command) of every process of the Ray that was started with that --temp-dir, its nodes among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = path.read_text(errors="replace").replace("\0", " ")
            if folder in command:
                found.append((int(path.parent.name), command))
    return found


def end_ray(folder: str) -> None:
    """kill -9 of all of them: nodes would outlive their head."""
    for pid, _ in ray_processes(folder):
        with suppress(ProcessLookupError):
            kill(pid)


def wait_for(what: Callable[[], object], seconds: float, text: str) -> object:
    """What the call returns once that is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{text}: not within {seconds:g} s")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kill(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)
