"""A render at size, simulated: how long it takes, what limits it first, what failures cost. Prints a table, or JSON.

  python -m tests.benchmarks.simulate [--images 2200000] [--set workers=500] [--set losses=1] … [--json]

A discrete-event simulation of how render.py shares work: one driver that hands shards to workers, two to each (Ray
Data's queue); workers that render them and write to an object store, which serves so many requests a second; machines
that are lost with all they hold, and replaced; workers that crash. Site says what the times are and where they come
from. What limits: the makespan without each delay in turn.
"""

import argparse
import heapq
import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from math import ceil, inf
from typing import Any

import numpy as np

from tests.benchmarks.surroundings import surroundings


@dataclass(frozen=True, kw_only=True)
class Site:
    """A corpus, the machines that render it, and what everything takes.

    Measured (docs/results.md; tests/benchmarks/overheads.py): shard_s, driver_s, worker_start_s, template_s, requests.
    Assumed: what a request takes and how many a store serves (Amazon S3's documents: 3,500 that write and 5,500 that
    read, a second and prefix), the rates of failures, how much machines of a kind differ.

    shard_s: seconds of a core to render one; spread: standard deviation of its logarithm
    template_s: until a new machine has the body model: the driver sends it, to build it took 60
    worker_start_s: until a new worker renders
    driver_s: of the driver for each shard; queue: shards a worker is given, the one it makes among them
    requests, writes: of a worker for a shard, those that write among them; one takes request_s
    before, after: requests of the driver for each shard, to find what is missing and to make the manifest; `readers` of
    them at a time
    losses: of a machine and hour; found_s: until its shards are given to others; replaced_s: until another is there
    crashes: of a worker and hour
    """

    shards: int = ceil(2_200_000 / 512)
    workers: int = 500
    cores: int = 16
    shard_s: float = 512 / 283
    spread: float = 0.1
    template_s: float = 0.0
    worker_start_s: float = 5.0
    driver_s: float = 0.0055
    queue: int = 2
    requests: float = 12.0
    writes: float = 7.0
    request_s: float = 0.03
    requests_per_s: float = 5500.0
    writes_per_s: float = 3500.0
    before: float = 0.0
    after: float = 3.0
    readers: int = 64
    losses: float = 0.05
    found_s: float = 60.0
    replaced_s: float = 180.0
    crashes: float = 0.01

    @property
    def ideal_s(self) -> float:
        """Seconds in which the workers would make the shards if there were nothing but rendering to do."""
        return ceil(self.shards / self.workers) * self.shard_s


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a render came to. wasted_s: of cores, on shards that were lost."""

    makespan_s: float
    made: int
    losses: int
    crashes: int
    wasted_s: float


@dataclass(kw_only=True)
class _Worker:
    machine: int
    life: int = 0  # what was under way in an earlier life does not happen
    ready: bool = False
    held: deque[int] = field(default_factory=deque)
    coming: int | None = None  # the shard that the driver is handing to it
    since: float = inf  # it makes held[0] since then


class _Line:
    """A counter where customers are served one after another."""

    def __init__(self, serve_s: float) -> None:
        self._serve_s, self._free = serve_s, 0.0

    def served(self, now: float, customers: float = 1.0) -> float:
        """When the last of `customers` that come now is served."""
        self._free = max(self._free, now) + customers * self._serve_s
        return self._free


class _Render:
    """The events of one render."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site, self._rng = site, np.random.default_rng([seed, 0])
        self._waiting = deque(range(site.shards))
        self._workers = [_Worker(machine=i // site.cores) for i in range(site.workers)]
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order, self._now = count(), 0.0
        self._driver = _Line(site.driver_s)
        self._reads, self._writes = _Line(1 / site.requests_per_s), _Line(1 / site.writes_per_s)
        self._done: list[int] = []
        self._losses = self._crashes = 0
        self._wasted_s = 0.0

    def outcome(self) -> Outcome:
        """What it comes to in the end."""
        site = self._site
        listed_s, collected_s = (n * site.shards * site.request_s / site.readers for n in (site.before, site.after))
        for worker in self._workers:
            self._at(listed_s + site.template_s + site.worker_start_s, self._arrive(worker))
            self._fail(site.crashes, worker, self._crash)
        for machine in range(ceil(site.workers / site.cores)):
            self._fail(site.losses, machine, self._lose)
        while len(self._done) < site.shards:
            self._now, _, event = heapq.heappop(self._events)
            event()
        return Outcome(
            makespan_s=self._now + collected_s, made=len(set(self._done)), losses=self._losses, crashes=self._crashes,
            wasted_s=self._wasted_s,
        )  # fmt: skip

    def _at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    def _fail(self, per_hour: float, whom: Any, event: Callable[[Any], None]) -> None:
        if per_hour:
            wait_s = 3600 * self._rng.exponential(1 / per_hour)
            self._at(self._now + wait_s, lambda: event(whom))

    def _arrive(self, worker: _Worker) -> Callable[[], None]:
        life = worker.life

        def event() -> None:
            if worker.life == life:
                worker.ready = True
                self._fill(worker)

        return event

    def _fill(self, worker: _Worker) -> None:
        """The driver hands a worker one shard after another, while it has room for them."""
        if worker.ready and worker.coming is None and self._waiting and len(worker.held) < self._site.queue:
            worker.coming = self._waiting.popleft()
            self._at(self._driver.served(self._now), self._hand(worker, worker.life))

    def _hand(self, worker: _Worker, life: int) -> Callable[[], None]:
        def event() -> None:
            if worker.life == life:
                assert worker.coming is not None
                worker.held.append(worker.coming)
                worker.coming = None
                self._begin(worker)
                self._fill(worker)

        return event

    def _begin(self, worker: _Worker) -> None:
        if worker.since < inf or not worker.held:
            return
        site = self._site
        worker.since = self._now
        spread = self._rng.lognormal(-(site.spread**2) / 2, site.spread) if site.spread else 1.0
        rendered = self._now + site.shard_s * spread + site.requests * site.request_s
        self._at(rendered, self._write(worker, worker.life))

    def _write(self, worker: _Worker, life: int) -> Callable[[], None]:
        def event() -> None:
            if worker.life == life:
                site = self._site
                read = self._reads.served(self._now, site.requests - site.writes)
                self._at(max(read, self._writes.served(self._now, site.writes)), self._finish(worker, life))

        return event

    def _finish(self, worker: _Worker, life: int) -> Callable[[], None]:
        def event() -> None:
            if worker.life == life:
                self._done.append(worker.held.popleft())
                worker.since = inf
                self._begin(worker)
                self._fill(worker)

        return event

    def _end(self, worker: _Worker, found_s: float, back_s: float) -> None:
        """A worker's shards are given back after found_s, it is back after back_s."""
        worker.life, worker.ready = worker.life + 1, False
        self._wasted_s += max(self._now - worker.since, 0.0)
        worker.since = inf
        lost = (*worker.held, *(() if worker.coming is None else (worker.coming,)))
        worker.held, worker.coming = deque(), None
        self._at(self._now + found_s, lambda: self._give_back(lost))
        self._at(self._now + back_s, self._arrive(worker))

    def _give_back(self, shards: tuple[int, ...]) -> None:
        self._waiting.extendleft(shards)
        for worker in self._workers:
            self._fill(worker)

    def _crash(self, worker: _Worker) -> None:
        self._crashes += 1
        self._end(worker, 0.0, self._site.worker_start_s)
        self._fail(self._site.crashes, worker, self._crash)

    def _lose(self, machine: int) -> None:
        self._losses += 1
        site = self._site
        back_s = site.replaced_s + site.template_s + site.worker_start_s
        for worker in self._workers:
            if worker.machine == machine:
                self._end(worker, site.found_s, back_s)
        self._fail(site.losses, machine, self._lose)


def simulate(site: Site, seed: int = 1) -> Outcome:
    """What a render at that site comes to."""
    return _Render(site, seed).outcome()


def without(site: Site) -> dict[str, Site]:
    """The site without each delay in turn."""
    return {
        "the body model, on each machine": replace(site, template_s=0.0),
        "starting workers": replace(site, worker_start_s=0.0),
        "finding what is missing": replace(site, before=0.0),
        "collecting the manifest": replace(site, after=0.0),
        "the driver": replace(site, driver_s=0.0),
        "a worker waiting for the store": replace(site, requests=0.0, writes=0.0),
        "requests a second of the store": replace(site, requests_per_s=inf, writes_per_s=inf),
        "machines that are lost": replace(site, losses=0.0),
        "workers that crash": replace(site, crashes=0.0),
        "shards that wait behind another": replace(site, queue=1),
        "uneven shards": replace(site, spread=0.0),
    }


def report(site: Site, seeds: int) -> dict[str, Any]:
    """Means over seeds: the outcome, and by how many seconds the makespan falls without each delay, most first."""

    def mean(other: Site) -> dict[str, float]:
        outcomes = [asdict(simulate(other, seed)) for seed in range(seeds)]
        return {name: float(np.mean([outcome[name] for outcome in outcomes])) for name in outcomes[0]}

    whole = mean(site)
    saved = {name: whole["makespan_s"] - mean(other)["makespan_s"] for name, other in without(site).items()}
    limits = dict(sorted(saved.items(), key=lambda item: -item[1]))
    return {"site": asdict(site), "ideal_s": site.ideal_s, "outcome": whole, "limits_s": limits}


def main() -> None:
    """Print what a site comes to."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--images", type=int, default=2_200_000)
    made.add_argument("--rows", type=int, default=512, help="images a shard")
    made.add_argument("--rate", type=float, default=283.0, help="images a second and core")
    made.add_argument("--seeds", type=int, default=10)
    made.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="another field of Site")
    made.add_argument("--json", action="store_true")
    given = made.parse_args()
    fields = {name: type(value) for name, value in asdict(Site()).items()}
    others = {name: fields[name](text) for name, _, text in (word.partition("=") for word in given.set)}
    site = Site(**{"shards": ceil(given.images / given.rows), "shard_s": given.rows / given.rate, **others})
    found = report(site, given.seeds)
    if given.json:
        print(json.dumps({**found, "surroundings": surroundings()}, indent=1))
        return
    outcome = found["outcome"]
    print(f"{given.images} images in {site.shards} shards on {site.workers} workers; means of {given.seeds} seeds")
    print(f"makespan {outcome['makespan_s']:.0f} s; rendering alone {site.ideal_s:.1f} s; machines lost ", end="")
    print(f"{outcome['losses']:.2f}, workers crashed {outcome['crashes']:.2f}, wasted {outcome['wasted_s']:.0f} core-s")
    for name, seconds in found["limits_s"].items():
        print(f"{seconds:8.1f} s less without: {name}")


if __name__ == "__main__":
    main()
