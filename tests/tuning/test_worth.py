"""Fewer annotated subjects: nested draws, as many steps, the tested subjects never among them."""

import csv
import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.domain.anatomy import HAND
from tests.tuning.test_ladder import place as place
from tests.tuning.test_ladder import protocol_of, rung_of, with_other_test_annotations
from tests.tuning.toy import toy_cases
from tuning.cases import read_cases
from tuning.folds import make_folds
from tuning.jobs import Job, run_job
from tuning.parts import Part, open_parts, write_part
from tuning.schedule import Schedule
from tuning.subsets import Subset, drawn_rows, stretched
from tuning.worth import DRAWS, measured, subset_jobs, worth_csv, worth_figure


def test_fewer_subjects_are_part_of_more_and_all_cases_of_each_are_taken():
    cases = toy_cases(20, 2)
    train = make_folds(cases.subjects, 2, 1)[0].train
    rows = [drawn_rows(cases.subjects, train, Subset(num_subjects=n, draw=0), [1, 0]) for n in range(1, 6)]
    for n, (few, more) in enumerate(itertools.pairwise(rows), 1):
        assert set(few) < set(more) <= set(train) and len(few) == 2 * n
        assert len({cases.subjects[i] for i in few}) == n
    draws = {tuple(drawn_rows(cases.subjects, train, Subset(num_subjects=2, draw=d), [1, 0])) for d in range(6)}
    assert len(draws) > 1
    with pytest.raises(ValueError, match="a fold has 5"):
        drawn_rows(cases.subjects, train, Subset(num_subjects=6, draw=0), [1, 0])


@given(
    epochs=st.integers(1, 50), batch=st.integers(1, 20), few=st.integers(1, 40), more=st.integers(0, 200),
    unit=st.sampled_from(["epochs", "iterations"]),
)  # fmt: skip
def test_few_cases_are_trained_on_in_as_many_steps_as_all(epochs, batch, few, more, unit):
    schedule = Schedule(epochs=epochs, batch=batch, milestones=(2, 5), unit=unit)
    longer = stretched(schedule, few + more, few)
    steps, steps_of_all = (s.epochs * -(-n // batch) for s, n in ((longer, few), (schedule, few + more)))
    assert abs(steps - steps_of_all) <= -(-few // batch) / 2
    assert longer.milestones[0] >= 2 and stretched(schedule, few, few) == schedule


def test_a_subset_never_holds_the_subjects_it_is_tested_on(place):
    job = Job(kind="CNN(study)", rung=rung_of(place), fold=0, subset=Subset(num_subjects=2, draw=0))
    ours = run_job(protocol_of(place), job)
    others = run_job(protocol_of(place, with_other_test_annotations(place, "other_few")), job)
    np.testing.assert_array_equal(ours.points, others.points)
    assert (
        run_job(protocol_of(place), replace(job, subset=Subset(num_subjects=2, draw=1))).points != ours.points
    ).any()


def test_too_many_subjects_are_refused(place):
    cases = read_cases(str(place / "study"), HAND, depth=False)
    with pytest.raises(ValueError, match="the folds train on 5 subjects"):
        subset_jobs(protocol_of(place), [rung_of(place)], cases, (1, 5))


def test_curves_are_the_means_of_their_draws(place, tmp_path):
    cases = read_cases(str(place / "study"), HAND, depth=False)
    protocol, parts = protocol_of(place), open_parts(str(tmp_path), {})
    folds = make_folds(cases.subjects, 2, 1)
    jobs = subset_jobs(protocol, [rung_of(place)], cases, (1, 2))
    jobs += [Job(kind=kind, rung=rung_of(place), fold=fold) for kind in ("CNN(study)", "CNN(ft)") for fold in (0, 1)]
    for job in jobs:
        off = 4.0 / job.subset.num_subjects + job.subset.draw if job.subset else 0.5
        rows, nothing = folds[job.fold].test, np.full((10, 5), np.nan)
        shifted = cases.points[rows] + [off if job.kind == "CNN(study)" else off / 2, 0.0]
        write_part(parts, job.name, Part(rows=rows, points=shifted, sigma=nothing, depth=nothing))
    curves = measured(jobs, protocol, parts, cases)
    assert [(w.kind, w.num_subjects, w.errors["px"].size) for w in curves] == [
        (kind, size, draws)
        for kind in ("CNN(ft)", "CNN(study)") for size, draws in ((1, DRAWS), (2, DRAWS), (5, 1))
    ]  # fmt: skip
    rows = {(r["method"], r["num_subjects"], r["unit"]): r for r in csv.DictReader(io.StringIO(worth_csv(curves)))}
    assert float(rows["CNN(study)", "1", "px"]["mean"]) == pytest.approx(5.0, abs=1e-3)
    assert float(rows["CNN(study)", "1", "px"]["sd"]) == pytest.approx(1.0, abs=1e-3)
    assert float(rows["CNN(ft)", "2", "mm"]["mean"]) == pytest.approx(3.0, abs=1e-3)
    assert rows["CNN(ft)", "5", "px"]["sd"] == ""
    figure = worth_figure(curves, "mm")
    assert figure == worth_figure(curves, "mm") and b"</svg>" in figure
