"""A Blender child process and whoever looks after it: crashes and hangs end the child, and a fresh one tries again.

Nobody else imports bpy: the child that does (blender.py) is spawned, and talked to over a pipe. A crash of Blender is
an end of file here, a hang is a time-out. A figure on which Blender fails again and again, alone, is found.
"""

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np
from numpy.typing import NDArray

from synth.blender import serve
from synth.figure import GROUP
from synth.ledger import ATTEMPTS

START_TIMEOUT_S = 120.0
MOST_PATIENCE_S = 120.0  # for the first answer, when nothing is known of this machine, and for any other at most
# An answer is waited for PATIENCE times as long as the slowest of the last KNOWN took: where a machine becomes slow, so
# does the limit. A group takes 0.1 s on an idle core; a sample that hangs costs six times LEAST_PATIENCE_S there.
LEAST_PATIENCE_S = 10.0
PATIENCE = 100
KNOWN = 32
NOWHERE = (0.0, 0.0, 1e4)  # a figure all of whose vertices lie here is seen by no pixel


class BlenderFailed(Exception):
    """Blender died or hung on a group of figures; the text says which and how."""


class BlenderLate(BlenderFailed):
    """Blender gave no answer in time, once at least."""


class Blender:
    """A Blender child process for one topology, restarted when it fails."""

    def __init__(
        self, engine: str, size: tuple[int, int], num_vertices: int, triangles: NDArray[np.int32], group: int = GROUP
    ) -> None:
        self._arguments = (engine, size, num_vertices, triangles, group)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._took_s: deque[float] = deque(maxlen=KNOWN)

    @property
    def pid(self) -> int:
        """Of the child. Raises ValueError where there is none."""
        if self._process is None or self._process.pid is None:
            raise ValueError("Blender is not running")
        return self._process.pid

    @property
    def patience_s(self) -> float:
        """How long the next answer is waited for, from how long the last ones took."""
        slowest = max(self._took_s, default=MOST_PATIENCE_S)
        return min(max(PATIENCE * slowest, LEAST_PATIENCE_S), MOST_PATIENCE_S)

    def render(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, H, W) float32 depth in mm of figures (n, V, 3); see blender.Cycles. Raises BlenderFailed."""
        connection = self._connection or self._start()
        started = time.monotonic()
        with self._watched(self.patience_s, "gave no answer"):
            connection.send(vertices)
            answer: NDArray[np.float32] = connection.recv()
        self._took_s.append(time.monotonic() - started)
        return answer

    def insist(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """As render, by a fresh child after each failure. Raises BlenderFailed with all reasons after ATTEMPTS."""
        failures = []
        for _ in range(ATTEMPTS):
            try:
                return self.render(vertices)
            except BlenderFailed as error:
                failures.append(error)
                self.close()
        reasons = [str(error) for error in failures]
        text = f"{reasons[0]}, {ATTEMPTS} times" if len(set(reasons)) == 1 else "; then ".join(reasons)
        raise (BlenderLate if any(isinstance(error, BlenderLate) for error in failures) else BlenderFailed)(text)

    def isolate(self, vertices: NDArray[np.float32]) -> tuple[NDArray[np.float32], dict[int, str]]:
        """As insist, and why it fails on some of the figures (place in the group → reason): those show nothing.

        Where the group fails, each figure is rendered alone, in its own place: its picture has the same bits there.
        Raises: BlenderFailed where even a group of nothing fails, so that no figure is to blame.
        """
        if not self._took_s:
            self.insist(np.full_like(vertices, NOWHERE))  # how fast this machine is: known before anything can hang
        try:
            return self.insist(vertices), {}
        except BlenderFailed:
            nothing = np.full_like(vertices, NOWHERE)
            depth_mm = self.insist(nothing)
        reasons = {}
        for place, figure in enumerate(vertices):
            alone = nothing.copy()
            alone[place] = figure
            answer = self._judge(alone, nothing)
            if isinstance(answer, BlenderFailed):
                reasons[place] = f"Blender {answer}"
            else:
                depth_mm[place] = answer[place]
        return depth_mm, reasons

    def _judge(self, alone: NDArray[np.float32], nothing: NDArray[np.float32]) -> NDArray[np.float32] | BlenderFailed:
        """The depth of a figure that is alone in its group, or the failure that it is to blame for.

        None is blamed for a slow machine: nothing at all is rendered right after the failure, and where that took so
        long that patience doubles, the figure is given it. Raises BlenderFailed where nothing cannot be rendered.
        """
        while True:
            given_s = self.patience_s
            try:
                return self.insist(alone)
            except BlenderFailed as error:
                failure = error
            self.insist(nothing)
            if not isinstance(failure, BlenderLate) or self.patience_s < 2 * given_s:
                return failure

    def close(self) -> None:
        """End the child; the next render starts a fresh one."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._connection = None

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._connection = ours
        with self._watched(START_TIMEOUT_S, "did not start"):
            ours.recv()
        return ours

    @contextmanager
    def _watched(self, seconds: float, late: str) -> Iterator[None]:
        """Talk to the child, which is killed after `seconds`: then, or when it ends by itself, BlenderFailed."""
        process = self._process
        assert process is not None
        watch = threading.Timer(seconds, process.kill)  # wakes us from send, too, where the child has stopped reading
        watch.start()
        try:
            yield
        except (EOFError, OSError) as error:
            process.join(5)
            if watch.finished.is_set():
                raise BlenderLate(f"{late} in {seconds:.3g} s") from error
            raise BlenderFailed(f"ended with code {process.exitcode}") from error
        finally:
            watch.cancel()
