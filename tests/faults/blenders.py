"""Blender children that fail at a stated sample: what tests start in place of blender.serve."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from synth import blender

FOLDER = "SYNTHMARK_TEST_FAULTS"  # holds sample.npy, the vertices that set the fault off, and a line in log per fault


class _Trap:
    """A connection over which the sample arrives with a fault. `times`: how often; `before`: reading it."""

    def __init__(self, connection: Connection, fault: signal.Signals, times: float, before: bool) -> None:
        self._connection, self._fault, self._times, self._before = connection, fault, times, before
        self._folder = Path(os.environ[FOLDER])

    def send(self, answer: Any) -> None:
        self._connection.send(answer)

    def recv(self) -> Any:
        log = self._folder / "log"
        while self._before and not (log.exists() and len(log.read_text().split()) >= self._times):
            self._spring(log)
        vertices = self._connection.recv()
        sample = np.load(self._folder / "sample.npy")
        known = len(log.read_text().split()) if log.exists() else 0
        if known < self._times and (vertices == sample).all((1, 2)).any():
            self._spring(log)
        return vertices

    def _spring(self, log: Path) -> None:
        with log.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        os.kill(os.getpid(), self._fault)


def crash_always(connection: Connection, *arguments: Any) -> None:
    """Segfaults on the sample, whenever it comes."""
    blender.serve(_Trap(connection, signal.SIGSEGV, float("inf"), False), *arguments)  # type: ignore[arg-type]


def die_once(connection: Connection, *arguments: Any) -> None:
    """Is killed once, when the sample comes."""
    blender.serve(_Trap(connection, signal.SIGKILL, 1, False), *arguments)  # type: ignore[arg-type]


def hang_once(connection: Connection, *arguments: Any) -> None:
    """Stops once, with the sample read and no answer."""
    blender.serve(_Trap(connection, signal.SIGSTOP, 1, False), *arguments)  # type: ignore[arg-type]


def hang_unread(connection: Connection, *arguments: Any) -> None:
    """Stops once, before it has read anything: the pipe fills up."""
    blender.serve(_Trap(connection, signal.SIGSTOP, 1, True), *arguments)  # type: ignore[arg-type]
