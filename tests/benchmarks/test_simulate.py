"""The simulation of a render at size keeps what must hold of any render."""

from dataclasses import replace

import pytest

from tests.benchmarks.simulate import Site, simulate, without

NOTHING_ELSE = Site(
    shards=1000, workers=50, spread=0.0, template_s=0.0, worker_start_s=0.0, driver_s=0.0, requests=0.0, writes=0.0,
    before=0.0, after=0.0, losses=0.0, crashes=0.0,
)  # fmt: skip
HARD = Site(shards=600, workers=48, losses=20.0, crashes=20.0, found_s=5.0, replaced_s=20.0, template_s=5.0)


def test_with_nothing_but_rendering_it_takes_what_rendering_takes() -> None:
    assert simulate(NOTHING_ELSE).makespan_s == pytest.approx(NOTHING_ELSE.ideal_s)


@pytest.mark.parametrize("seed", range(5))
def test_every_shard_is_made_once_whatever_fails(seed: int) -> None:
    outcome = simulate(HARD, seed)
    assert outcome.made == HARD.shards
    assert outcome.losses + outcome.crashes > 0 and outcome.wasted_s > 0


def test_more_workers_never_take_longer_where_nothing_is_shared() -> None:
    spans = [simulate(replace(NOTHING_ELSE, workers=n)).makespan_s for n in (1, 7, 50, 333, 1000)]
    assert spans == sorted(spans, reverse=True)


def test_a_driver_that_hands_out_slower_than_they_render_is_what_it_takes() -> None:
    site = replace(NOTHING_ELSE, driver_s=0.1)
    handed_s = site.shards * site.driver_s
    assert handed_s <= simulate(site).makespan_s <= handed_s + (site.queue + 1) * site.shard_s


def test_a_store_that_serves_slower_than_they_write_is_what_it_takes() -> None:
    site = replace(NOTHING_ELSE, requests=20.0, writes=8.0, request_s=0.0, writes_per_s=100.0)
    served_s = site.shards * site.writes / site.writes_per_s
    assert served_s <= simulate(site).makespan_s <= served_s + 2 * site.shard_s


def test_the_same_seed_tells_the_same() -> None:
    assert simulate(HARD, 3) == simulate(HARD, 3) != simulate(HARD, 4)


def test_each_delay_costs_time_while_nothing_fails() -> None:
    site = replace(Site(), losses=0.0, crashes=0.0, spread=0.0)
    whole = simulate(site).makespan_s
    for name, other in without(site).items():
        if other.queue == site.queue:  # without a queue a worker waits for the driver: it costs and saves
            assert simulate(other).makespan_s <= whole + 1e-6, name
