"""Nested cross-validation: nothing of an outer fold's test subjects reaches its choice of schedule or its weights."""

import numpy as np
import pytest
import torch

from tests.tuning.toy import toy_samples, write_network, write_toy
from training.loop import predict
from tuning.folds import folds_text, make_folds
from tuning.nested import nested_result
from tuning.schedule import Schedule, SweepRecipe
from tuning.sweep import Sweep, finished, finished_inner, inner_name, run_trial
from tuning.trial import FoldResult, TrialResult

SCHEDULES = (Schedule(name="slow", epochs=2, batch=4, rate=1e-4), Schedule(name="fast", epochs=2, batch=4, rate=1e-2))


@pytest.fixture
def weights(monkeypatch):
    """The weights of every network that predicted, in order: each before and after it was trained."""
    seen = []

    def watched(model, patches):
        seen.append(torch.cat([tensor.flatten() for tensor in model.state_dict().values()]))
        return predict(model, patches)

    monkeypatch.setattr("tuning.trial.predict", watched)
    return seen


def nested_sweep(folder, samples):
    write_toy(samples, str(folder / "study"))
    write_network(str(folder / "network"))
    return Sweep(
        anatomy="hand",
        study=str(folder / "study"),
        pretrained=str(folder / "network"),
        out=str(folder / "out"),
        recipe=SweepRecipe(schedules=SCHEDULES, folds=2, inner_folds=2),
        folds=folds_text(samples.subject, make_folds(samples.subject, 2, 1)),
    )


def swept(sweep):
    for name in sweep.jobs:
        run_trial(sweep, name, lambda _: None)
    return nested_result(finished(sweep, sweep.trials), finished_inner(sweep), SCHEDULES[0])


def test_wrong_labels_of_the_outer_test_subjects_change_neither_choice_nor_weights(tmp_path, weights):
    samples = toy_samples(16, 1, per_subject=2, pixel_mm=2.0)
    ours = swept(nested_sweep(tmp_path / "ours", samples))
    rows = make_folds(samples.subject, 2, 1)[0].test
    samples.landmarks[rows] = np.random.default_rng(1).uniform(0, 96, samples.landmarks[rows].shape)
    num_networks = len(weights) // 2
    assert num_networks == 2 * 2 + 2 * 2 * 2
    sweep = nested_sweep(tmp_path / "others", samples)
    others = swept(sweep)
    assert ours.by_fold[0] == others.by_fold[0]
    np.testing.assert_array_equal(ours.folds.folds[0].points, others.folds.folds[0].points)
    assert ours.folds.folds[0].error_px != others.folds.folds[0].error_px
    # networks in the order of the jobs: the outer folds of each schedule, then the inner ones of each outer fold
    trained = weights[1::2]
    numbers = [(None, number) for _ in SCHEDULES for number in range(2)]
    numbers += [(outer, number) for outer in range(2) for _ in SCHEDULES for number in range(2)]
    for i, (outer, number) in enumerate(numbers):
        blind = (outer, number) == (None, 0) or outer == 0
        assert torch.equal(trained[i], trained[num_networks + i]) == blind, (outer, number)


def test_the_inner_trials_of_a_fold_test_all_its_training_cases_and_no_other(tmp_path):
    sweep = nested_sweep(tmp_path, toy_samples(16, 1, per_subject=2))
    folds = make_folds(toy_samples(16, 1, per_subject=2).subject, 2, 1)
    name = inner_name(1, "slow")
    run_trial(sweep, name, lambda _: None)
    result = finished(sweep, [name])[name]
    assert sorted(np.concatenate([fold.test for fold in result.folds])) == folds[1].train.tolist()
    assert list(sweep.jobs) == [
        "slow", "fast", "inner-000/slow", "inner-000/fast", "inner-001/slow", "inner-001/fast",
    ]  # fmt: skip


def fold_of(number, error):
    return FoldResult(
        fold=number, test=np.array([number]), points=np.full((1, 5, 2), error), sigma=np.full((1, 5), np.nan),
        depth=np.full((1, 5), np.nan), error_px=error, error_mm=np.nan, losses=(1.0,), num_train=1, seconds=1.0,
    )  # fmt: skip


def result_of(schedule, *errors):
    return TrialResult(schedule=schedule, folds=tuple(fold_of(i, error) for i, error in enumerate(errors)))


def test_each_fold_is_reported_by_the_schedule_its_inner_folds_chose():
    slow, fast = SCHEDULES
    outer = {"slow": result_of(slow, 1.0, 5.0), "fast": result_of(fast, 2.0, 3.0)}
    inner = [
        {"slow": result_of(slow, 9.0, 9.0), "fast": result_of(fast, 1.0, 1.0)},
        {"slow": result_of(slow, 1.0, 1.0), "fast": result_of(fast, 9.0, 9.0)},
    ]
    nested = nested_result(outer, inner, fast)
    assert [schedule.name for schedule in nested.by_fold] == ["fast", "slow"]
    assert nested.error_px == (2.0 + 5.0) / 2
    np.testing.assert_array_equal(nested.folds.points[:, 0, 0], [2.0, 5.0])


def test_a_schedule_that_failed_anywhere_competes_nowhere():
    slow, fast = SCHEDULES
    outer = {"slow": result_of(slow, 1.0, 5.0), "fast": result_of(fast, 2.0, 3.0)}
    inner = [{"slow": result_of(slow, 9.0, 9.0)}, outer]
    assert [schedule.name for schedule in nested_result(outer, inner, slow).by_fold] == ["slow", "slow"]
    with pytest.raises(ValueError, match="cannot choose"):
        nested_result(outer, [inner[0], {"fast": outer["fast"]}], slow)
