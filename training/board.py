"""Between the workers of a run and its driver: how far they are, what they measured, and why they cannot go on."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from training.loop import StepReport

POINTS = 1000  # of a run's learning curve, about
OFTEN_S = 0.5


class Point(NamedTuple):
    """A point of the learning curve.

    step: steps of the run that were done; loss: mean over the steps since the point before; rate: learning rate
    images_per_s: since the point before, over all workers
    """

    step: int
    loss: float
    rate: float
    images_per_s: float


class News(NamedTuple):
    """What came to the board since it was last asked."""

    done: int
    total: int
    entries: list[dict[str, float]]
    points: list[Point]


class Board:
    """A small actor: images done, the epochs' figures, the learning curve, and why training cannot go on."""

    def __init__(self) -> None:
        self._done, self._total = 0, 0
        self._entries: list[dict[str, float]] = []
        self._points: list[Point] = []
        self._failure = ""

    def step(self, done: int, total: int, points: list[Point]) -> None:
        self._done, self._total = done, total
        self._points += points

    def entry(self, entry: dict[str, float]) -> None:
        self._entries.append(entry)

    def fail(self, reason: str) -> None:
        self._failure = self._failure or reason

    def reason(self) -> str:
        return self._failure

    def news(self) -> News:
        """What came since the last call."""
        news = News(self._done, self._total, self._entries, self._points)
        self._entries, self._points = [], []
        return news


@dataclass(frozen=True, kw_only=True)
class Listener:
    """What the driver does with news, in a thread of its own.

    on_progress: called with (images done, images in all); on_entry: with an epoch's figures; on_points: with the next
        points of the learning curve
    """

    on_progress: Callable[[int, int], None] = lambda done, total: None
    on_entry: Callable[[dict[str, float]], None] = lambda entry: None
    on_points: Callable[[list[Point]], None] = lambda points: None


@contextmanager
def listening(listener: Listener) -> Iterator[Any]:
    """A context with a Board (a Ray actor's handle) whose news reach the listener, all of it by the context's end.

    What the listener raises ends the listening and is raised at the context's end: training does not stop for it.
    """
    # with the driver: any other node may be lost
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        watching = thread.submit(_watch, board, stop, listener)
        try:
            yield board
        finally:
            stop.set()
        watching.result()


def _watch(board: Any, stop: threading.Event, listener: Listener) -> None:
    while True:
        last = stop.wait(OFTEN_S)
        try:
            news: News = ray.get(board.news.remote())
        except RayError:  # Ray is being shut down under us; fit() is where that is reported
            return
        if news.total:
            listener.on_progress(news.done, news.total)
        for entry in news.entries:
            listener.on_entry(entry)
        if news.points:
            listener.on_points(news.points)
        if last:
            return


@dataclass
class Reporter:
    """An on_step callback that tells the board of progress twice a second, and of every point of the learning curve."""

    board: Any
    _points: list[Point] = field(default_factory=list)
    _losses: list[float] = field(default_factory=list)
    _told: float = 0.0
    _since: tuple[float, int] | None = None

    def __call__(self, report: StepReport) -> None:
        now = time.monotonic()
        since, images = self._since or (now, report.images)
        self._since = (since, images)
        self._losses.append(report.loss)
        last = report.step == report.steps
        if last or report.step % max(1, report.steps // POINTS) == 0:
            rate = (report.images - images) / (now - since) if now > since else float("nan")
            self._points.append(Point(report.step, sum(self._losses) / len(self._losses), report.rate, rate))
            self._losses, self._since = [], (now, report.images)
        if last or now - self._told >= OFTEN_S:
            self.board.step.remote(report.images, report.images_in_all, self._points)
            self._told, self._points = now, []
