"""Schedules: validated, plain JSON, and the rate they plan."""

import pytest
from pydantic import TypeAdapter

from tuning.schedule import Schedule, SweepRecipe, paper_schedule


def test_a_sweep_recipe_survives_json():
    adapter = TypeAdapter(SweepRecipe)
    recipe = SweepRecipe(schedules=(Schedule(), paper_schedule()), scratch=paper_schedule("epochs"))
    assert adapter.validate_json(adapter.dump_json(recipe)) == recipe


def test_the_published_schedule():
    for unit, before, after in (("iterations", (900, 499), (0, 500)), ("epochs", (499, 900), (500, 0))):
        schedule = paper_schedule(unit)
        assert (schedule.epochs, schedule.batch, schedule.momentum, schedule.optimiser) == (700, 100, 0.9, "sgd")
        assert schedule.rate_at(*before) == 0.01
        assert schedule.rate_at(*after) == pytest.approx(0.001)


def test_both_readings_are_equal_for_one_step_an_epoch():
    rates = [[paper_schedule(unit).rate_at(epoch, epoch) for epoch in range(700)] for unit in ("epochs", "iterations")]
    assert rates[0] == rates[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../evil"), ("name", ""), ("epochs", 0), ("batch", 0), ("rate", 0.0), ("rate", float("nan")),
        ("momentum", 1.0), ("factor", 0.0), ("milestones", (5, 5)), ("milestones", (0,)), ("augment", -1.0),
        ("weight_decay", float("inf")),
    ],
)  # fmt: skip
def test_a_bad_schedule_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        Schedule(**{field: value})


def test_a_sweep_needs_schedules_with_different_names():
    with pytest.raises(ValueError, match="empty"):
        SweepRecipe(schedules=())
    with pytest.raises(ValueError, match="'a' more than once"):
        SweepRecipe(schedules=(Schedule(name="a"), Schedule(name="a")))
    with pytest.raises(ValueError, match=r"folds is 1"):
        SweepRecipe(folds=1)
