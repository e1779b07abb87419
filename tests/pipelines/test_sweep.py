"""`sweep.py`: nested beside plain on given folds; a search in batches; a GPU that is not there."""

import json
import re

import pytest

from synth.domain.anatomy import HAND
from tests.in_process import perform
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.tracking import find_runs, open_experiment
from tuning.cases import read_cases
from tuning.folds import folds_text, make_folds
from tuning.record import KIND_TAG
from tuning.refit import read_chosen

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.usefixtures("local_ray")]

SCHEDULES = [{"name": "slow", "epochs": 1, "rate": 1e-4}, {"name": "fast", "epochs": 1, "rate": 1e-2}]


@pytest.fixture
def sweep(tmp_path):
    """A call of the verb on a toy study of 6 people, with overrides of the sweep's recipe and further options."""
    write_toy(toy_samples(12, 1, per_subject=2, pixel_mm=2.0), str(tmp_path / "study"))
    write_network(str(tmp_path / "network"))

    def call(recipe, *options):
        overrides = [f"--set=sweep.{field}={json.dumps(value)}" for field, value in recipe.items()]
        paths = [f"--study={tmp_path / 'study'}", f"--pretrained={tmp_path / 'network'}", f"--out={tmp_path / 'out'}"]
        return perform("sweep", "hand", *paths, "--workers=1", *overrides, *options, home=tmp_path)

    return call


def test_nested_and_plain_figures_stand_side_by_side_on_the_given_folds(sweep, tmp_path, capsys):
    subjects = read_cases(str(tmp_path / "study"), HAND, depth=False).subjects
    text = folds_text(subjects, make_folds(subjects, 2, 7))
    (tmp_path / "folds.csv").write_text(text)
    last = sweep({"schedules": SCHEDULES, "inner_folds": 2}, f"--folds={tmp_path / 'folds.csv'}")
    shown = capsys.readouterr().out
    assert (tmp_path / "out" / "folds.csv").read_text() == text
    chosen = read_chosen(str(tmp_path / "out" / "schedule.json"))
    assert chosen.num_folds == len(chosen.by_fold) == 2
    printed = [float(re.search(rf"^{name} \(.*: ([\d.]+)", shown, re.M)[1]) for name in ("plain", "nested")]
    assert printed == pytest.approx([chosen.error_px, chosen.nested_error_px], abs=1e-3)
    assert "nested; plain: " in last
    by_fold = {f"synthmark.nested.{fold}": schedule.name for fold, schedule in enumerate(chosen.by_fold)}
    assert len(find_runs(open_experiment("sweep", f"sqlite:///{tmp_path}/mlflow.db"), by_fold)) == 1
    assert sorted(path.name for path in (tmp_path / "out" / "trials" / "inner-001").iterdir()) == [
        "fast.json", "slow.json",
    ]  # fmt: skip


def test_a_search_goes_on_where_a_missing_gpu_stopped_it(sweep, tmp_path):
    search = {"num_trials": 3, "at_a_time": 2, "epochs": [1, 1]}
    recipe = {"schedules": SCHEDULES[:1], "folds": 2, "search": search}
    with pytest.raises(ValueError, match="Ray sees no such GPU"):
        sweep(recipe, "--gpus-per-trial=0.5")
    sweep(recipe, "--cpus-per-trial=0.5")
    names = ["slow", "trial-000", "trial-001", "trial-002"]
    assert sorted(path.stem for path in (tmp_path / "out" / "trials").glob("*.json")) == names
    assert read_chosen(str(tmp_path / "out" / "schedule.json")).num_schedules == 4
    experiment = open_experiment("sweep", f"sqlite:///{tmp_path}/mlflow.db")
    assert [status for _, status in find_runs(experiment, {KIND_TAG: "sweep"})] == ["FINISHED"]
