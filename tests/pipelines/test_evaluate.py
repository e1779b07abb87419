"""evaluate.py goes on where it was killed, and takes a nested choice on the folds of that choice alone."""

import csv
from dataclasses import replace

import pytest

from pipelines.evaluate import arguments, main, plan_of, sizes, words
from pipelines.recipes import hand_smoke
from synth.domain.anatomy import HAND
from tests.tuning.toy import toy_samples, write_network, write_toy
from tuning.cases import read_cases
from tuning.folds import folds_text, make_folds
from tuning.refit import ChosenSchedule, as_json
from tuning.schedule import Schedule, SweepRecipe

QUICK = Schedule(name="quick", epochs=1, batch=4, rate=1e-3)
SETTINGS = ("--set", "sweep.folds=2", "--set", 'sweep.schedules=[{"name": "quick", "epochs": 1, "batch": 4}]')
SCRATCH = ("--set", "sweep.scratch=null", "--workers", "1")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a toy study of 10 subjects, a tiny network, renderings, and what a nested sweep chose."""
    folder = tmp_path_factory.mktemp("evaluate")
    samples = toy_samples(20, 1, per_subject=2, pixel_mm=2.0, depth=True)
    study = write_toy(replace(samples, thickness_mm=samples.depth_mm / 4), str(folder / "study"))
    write_toy(toy_samples(12, 9), str(folder / "data"))
    write_network(str(folder / "network"))
    cases = read_cases(study, HAND, depth=False)
    chosen = ChosenSchedule(
        schedule=QUICK, anatomy="hand", network="heatmap", study_digest=cases.digest, num_schedules=2, num_folds=2,
        seed=7, error_px=1.0, by_fold=(QUICK, replace(QUICK, name="other")),
    )  # fmt: skip
    (folder / "sweep").mkdir()
    (folder / "sweep" / "schedule.json").write_bytes(as_json(chosen))
    (folder / "sweep" / "folds.csv").write_text(folds_text(cases.subjects, make_folds(cases.subjects, 2, 7)))
    return folder


def command(place, *more, out="out"):
    given = ["hand_smoke", "--out", str(place / out), *SETTINGS, *SCRATCH]
    for name in ("study", "data"):
        given += [f"--{name}", str(place / name)]
    return [*given, "--pretrained", str(place / "network"), *map(str, more)]


def planned(place, *more):
    recipe = replace(hand_smoke(), sweep=SweepRecipe(schedules=(QUICK,), folds=2))
    return plan_of(recipe, arguments().parse_args(command(place, *more)))


def test_a_nested_choice_needs_the_folds_it_was_made_on(place):
    schedule, folds = place / "sweep" / "schedule.json", place / "sweep" / "folds.csv"
    with pytest.raises(ValueError, match=r"chosen on other folds than these; give --folds .*folds\.csv"):
        planned(place, "--schedule", schedule)
    plan = planned(place, "--schedule", schedule, "--folds", folds, "--seeds", 3)
    assert [plan.rungs[0].tuned(fold).name for fold in (0, 1)] == ["quick", "other"]
    assert set(plan.protocol.folds) == {folds.read_text()} and len(set(plan.protocol.seeds)) == 3


def test_repeats_have_folds_and_seeds_of_their_own(place):
    one, three = planned(place).protocol, planned(place, "--seeds", 3).protocol
    assert len(set(three.folds)) == len(set(three.seeds)) == 3
    assert (one.folds, one.seeds) == (three.folds[:1], three.seeds[:1])


def test_a_schedule_is_told_in_few_words():
    slow = Schedule(name="slow", epochs=3, rate=1e-4)
    assert words(slow) == "slow, 3 epochs of adamw at 0.0001 after the labels' convention"
    assert words(Schedule(name="least", freeze="all")) == "least, the labels' convention alone"
    assert words(QUICK.fresh()) == "quick, 1 epochs of adamw at 0.001"


def test_numbers_of_subjects_are_read_rising_and_all_needs_no_word():
    assert sizes("5,1,2,all") == sizes("1,2,5") == (1, 2, 5)
    with pytest.raises(ValueError, match="some"):
        sizes("1,some")


@pytest.mark.slow
def test_what_is_finished_is_kept_and_more_may_be_asked_for(place):
    out, parts = place / "out", place / "out" / "parts"
    main(command(place))
    first = {path.name: path.stat().st_mtime_ns for path in parts.iterdir()}
    report = (out / "ladder.csv").read_bytes()
    (parts / "tuned-heatmap-repeat0-fold001.npz").unlink()
    main(command(place, "--worth", "1,all"))
    now = {path.name: path.stat().st_mtime_ns for path in parts.iterdir()}
    again = {name for name in first if now[name] != first[name]}
    assert again == {"tuned-heatmap-repeat0-fold001.npz"} and len(now) == len(first) + 2 * 2 * 3
    assert (out / "ladder.csv").read_bytes() == report
    with (out / "worth.csv").open() as stream:
        assert {row["num_subjects"] for row in csv.DictReader(stream)} == {"1", "5"}
    assert (out / "worth.svg").exists() and 'id="worth"' in (out / "report.html").read_text()
    with pytest.raises(ValueError, match="other settings"):
        main(command(place, "--set", "sweep.seed=2"))
