"""Schedules: validated, plain JSON, and the rate they plan."""

import pytest
from pydantic import TypeAdapter, ValidationError

from tuning.schedule import Schedule, Search, SweepRecipe, around, grid, paper_schedule


def test_a_sweep_recipe_survives_json():
    adapter = TypeAdapter(SweepRecipe)
    recipe = SweepRecipe(schedules=(Schedule(), paper_schedule()), scratch=paper_schedule("epochs"))
    assert adapter.validate_json(adapter.dump_json(recipe)) == recipe
    other = SweepRecipe(folds="leave_one_out", search=Search(freeze=("none",), epochs=(3, 5)))
    assert adapter.validate_json(adapter.dump_json(other)) == other
    with pytest.raises(ValidationError):
        adapter.validate_python({"folds": "leave_two_out"})


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
    with pytest.raises(ValueError, match="a name that the search gives"):
        SweepRecipe(schedules=(Schedule(name="trial-000"),), search=Search())


def test_nested_cross_validation_has_few_schedules_that_know_nothing_of_the_outer_folds():
    many = tuple(Schedule(name=f"s{i}") for i in range(9))
    assert SweepRecipe(schedules=many[:8], inner_folds=3).inner_folds == 3
    with pytest.raises(ValueError, match="up to 8 schedules; there are 9"):
        SweepRecipe(schedules=many, inner_folds=3)
    with pytest.raises(ValueError, match="learns from the outer folds"):
        SweepRecipe(search=Search(), inner_folds=3)
    with pytest.raises(ValueError, match="inner_folds is 1"):
        SweepRecipe(inner_folds=1)


def test_a_grid_holds_every_combination_once_under_its_own_name():
    axes = {"rate": (1e-4, 1e-3), "milestones": ((), (5, 9)), "freeze": ("none", "encoder")}
    made = grid(Schedule(momentum=0.5), axes)
    assert len({(s.rate, s.milestones, s.freeze) for s in made}) == len({s.name for s in made}) == 8
    assert {s.momentum for s in made} == {0.5}
    assert "rate-0.001_milestones-5-9_freeze-encoder" in {s.name for s in made}


def test_around_a_schedule_one_field_changes_at_a_time():
    base = paper_schedule()
    made = around(base, {"rate": (0.003, 0.03), "optimiser": ("adamw",)})
    assert made[0] == base and len({s.name for s in made}) == 4
    for other in made[1:]:
        assert sum(vars(other)[field] != vars(base)[field] for field in vars(base) if field != "name") == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_trials", 0), ("at_a_time", 0), ("seed", -1), ("rate", (1e-3, 1e-4)), ("rate", (0.0, 1e-4)),
        ("momentum", (0.5, 1.0)), ("milestone", (0.0, 0.5)), ("milestone", (0.5, 1.5)), ("freeze", ()),
        ("weight_decay", (0.0, 1.0)), ("epochs", (0, 5)), ("batch", 0),
    ],
)  # fmt: skip
def test_a_bad_search_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        Search(**{field: value})
