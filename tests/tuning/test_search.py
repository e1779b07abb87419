"""A search proposes the same schedules after the same errors, inside its ranges, and finds what is better."""

from dataclasses import replace

import numpy as np

from tuning.schedule import Search
from tuning.search import propose

SEARCH = Search(num_trials=30, at_a_time=3, seed=5)


def error(schedule):
    """Least at a rate of 1e-3 without a frozen layer."""
    return abs(np.log10(schedule.rate) + 3) + (schedule.freeze != "none")


def searched(search=SEARCH, error=error):
    proposed = ()
    while new := propose(search, proposed, {schedule.name: error(schedule) for schedule in proposed}):
        assert len(new) <= search.at_a_time
        proposed += new
    return proposed


def test_the_same_errors_give_the_same_schedules():
    assert searched() == searched()
    assert searched(replace(SEARCH, seed=6)) != searched()
    worse = searched(error=lambda schedule: -error(schedule))
    assert worse[:3] == searched()[:3] and worse[20:] != searched()[20:]


def test_every_schedule_is_new_and_within_its_ranges():
    found = searched()
    assert [schedule.name for schedule in found] == [f"trial-{i:03d}" for i in range(30)]
    for field in ("rate", "epochs", "factor", "weight_decay", "augment"):
        low, high = getattr(SEARCH, field)
        values = [getattr(schedule, field) for schedule in found]
        assert low <= min(values) < max(values) <= high, field
    assert {schedule.optimiser for schedule in found} == {"sgd", "adamw"}
    assert len({replace(schedule, name="same") for schedule in found}) == 30


def test_a_search_does_better_than_its_random_beginning():
    found = [error(schedule) for schedule in searched()]
    assert np.mean(found[15:]) < np.mean(found[:9])


def test_failed_schedules_do_not_stop_a_search():
    first = propose(SEARCH, (), {})
    assert len(propose(SEARCH, first, {})) == 3
