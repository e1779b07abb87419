"""A sweep whose processes are all killed goes on: every trial once, every MLflow run once, none running for ever."""

from pathlib import Path

import pytest

from tests.faults.sweeps import SmallSweep

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]


def test_a_killed_sweep_loses_and_repeats_nothing(tmp_path: Path) -> None:
    sweep = SmallSweep(home=tmp_path, num_trials=4, num_folds=4)
    sweep.prepare()
    sweep.kill_midway(sweep.start(workers=1))
    trials, folds = sweep.trials(), sweep.folds()
    assert 2 <= len(trials) < 4
    sweep.finish(sweep.start(workers=1))
    ended = sweep.trials()
    assert sorted(ended) == [f"s{i:02d}" for i in range(4)] and not sweep.folds()
    # with the seconds that each took: what was there is not trained again
    assert {name: ended[name] for name in trials} == trials
    assert {(name, number): ended[name]["folds"][number] for name, number in folds} == folds
    assert sweep.runs() == {"sweep FINISHED": 1, "schedule FINISHED": 4, "fold FINISHED": 16}
