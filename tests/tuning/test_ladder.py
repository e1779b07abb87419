"""The ladder: no rung knows whom it is measured on, workers change nothing, and what is finished is not run again."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.domain.anatomy import HAND
from tests.commands import ROOT
from tests.faults.processes import wait_for
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.models import ModelRecipe
from tuning.cases import read_cases
from tuning.folds import folds_text, make_folds, parse_folds
from tuning.forest import ForestRecipe
from tuning.jobs import Job, Protocol, Rung, forest_planes, keep_job, missing_jobs, run_job, run_missing
from tuning.ladder import best_tuned, ladder_jobs, plain_methods, trained_methods
from tuning.parts import Part, check_output, open_parts, read_part, write_part
from tuning.schedule import Schedule
from tuning.trial import Trial, run_fold

QUICK = Schedule(name="quick", epochs=2, batch=4, rate=1e-3)
SMALL = ForestRecipe(trees=3, pixels=60, boxes=30, pairs=20, step=4)
NAMES = ["RF", "CNN(syn) heatmap", "CNN(syn)+offset heatmap", "CNN(syn)+affine heatmap", "CNN(study) heatmap"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a toy study of 10 subjects, two cases each, and a tiny network."""
    folder = tmp_path_factory.mktemp("ladder")
    samples = toy_samples(20, 1, per_subject=2, pixel_mm=2.0, depth=True)
    write_toy(replace(samples, thickness_mm=samples.depth_mm / 4), str(folder / "study"))
    write_network(str(folder / "network"))
    return folder


def rung_of(folder, **changes):
    rung = Rung(name="heatmap", uri=str(folder / "network"), schedule=QUICK, scratch=QUICK)
    return replace(rung, **changes)


def protocol_of(folder, study="study", seeds=(1,)):
    subjects = read_cases(str(folder / study), HAND, depth=False).subjects
    return Protocol(
        anatomy="hand",
        study=str(folder / study),
        folds=tuple(folds_text(subjects, make_folds(subjects, 2, seed)) for seed in seeds),
        fixed=False,
        seeds=seeds,
        forest=SMALL,
    )


def with_other_test_annotations(folder, name):
    """A study as `study`, in which fold 0's test subjects are annotated elsewhere."""
    samples = toy_samples(20, 1, per_subject=2, pixel_mm=2.0, depth=True)
    samples.landmarks[make_folds(samples.subject, 2, 1)[0].test] = 10.0
    write_toy(replace(samples, thickness_mm=samples.depth_mm / 4), str(folder / name))
    return name


def test_what_needs_no_training_leaves_the_tested_subjects_out(place):
    cases = read_cases(str(place / "study"), HAND, depth=False)
    folds = make_folds(cases.subjects, 2, 1)
    before = plain_methods(toy_samples(10, 9), cases, folds)
    cases.samples.landmarks[folds[0].test] += 50.0
    after = plain_methods(toy_samples(10, 9), cases, folds)
    assert [method.name for method in before] == ["mean shape", "NN(syn)", "NN(study)"]
    for name in (0, 2):
        first, second = before[name].points, after[name].points
        np.testing.assert_array_equal(first[folds[0].test], second[folds[0].test])
        assert (first[folds[1].test] != second[folds[1].test]).all()


def test_a_job_trains_as_the_trial_of_a_sweep_does(place):
    protocol = protocol_of(place)
    part = run_job(protocol, Job(kind="CNN(ft)", rung=rung_of(place), fold=1))
    trial = Trial(
        anatomy="hand", study=protocol.study, pretrained=str(place / "network"), schedule=QUICK, num_folds=2, seed=1
    )
    np.testing.assert_array_equal(part.points, run_fold(trial, 1).points)


def test_a_schedule_chosen_for_a_fold_is_used_on_that_fold_alone(place):
    other = replace(QUICK, name="other", rate=3e-3)
    nested, plain = rung_of(place, by_fold=(QUICK, other)), rung_of(place)
    protocol = protocol_of(place)
    parts = {
        (name, fold): run_job(protocol, Job(kind="CNN(ft)", rung=rung, fold=fold)).points
        for name, rung in (("nested", nested), ("plain", plain)) for fold in (0, 1)
    }  # fmt: skip
    np.testing.assert_array_equal(parts["nested", 0], parts["plain", 0])
    assert (parts["nested", 1] != parts["plain", 1]).any()


@pytest.mark.parametrize("kind", ["silhouette", "planes"])
def test_a_forest_never_sees_the_subjects_it_is_tested_on(place, kind):
    network = ModelRecipe(network="heatmap", width=8, inputs=("silhouette", "depth", "thickness", "observed"))
    write_network(str(place / "reads_depth"), model=network)
    rung = None if kind == "silhouette" else rung_of(place, uri=str(place / "reads_depth"))
    job = Job(kind="RF", rung=rung, fold=0)
    ours = run_job(protocol_of(place), job)
    others = run_job(protocol_of(place, with_other_test_annotations(place, f"other_{kind}")), job)
    np.testing.assert_array_equal(ours.points, others.points)
    assert np.isfinite(ours.points).all()


def test_planes_of_a_forest_are_nothing_beside_the_tissue(place):
    cases = read_cases(str(place / "study"), HAND, depth=True)
    planes = forest_planes(cases, ("depth", "thickness", "observed"))
    assert planes.shape == (20, 3, 96, 96)
    beside = planes[:, :1] == 0
    assert (planes[np.broadcast_to(beside, planes.shape)] == 0).all() and (planes[:, 2] > 0).any()


def test_a_network_that_reads_depth_is_measured_beside_a_forest_that_does(place):
    network = ModelRecipe(network="heatmap", width=8, inputs=("silhouette", "depth"))
    write_network(str(place / "deep"), model=network)
    rungs = [rung_of(place), rung_of(place, name="heatmap 2", uri=str(place / "deep"))]
    forests = [job.rung and job.rung.name for job in ladder_jobs(protocol_of(place), rungs) if job.kind == "RF"]
    assert forests == [None, None, "heatmap 2", "heatmap 2"]


def test_a_finished_job_is_not_run_again_and_a_damaged_part_is(place, tmp_path):
    parts = open_parts(str(tmp_path / "out"), {"a": 1})
    jobs = [Job(kind="RF", fold=fold) for fold in (0, 1)]
    keep_job(protocol_of(place), jobs[0], parts)
    assert missing_jobs(jobs, parts) == jobs[1:]
    Path(parts, f"{jobs[0].name}.npz").write_bytes(b"half a file")
    assert missing_jobs(jobs, parts) == jobs


def test_a_part_is_read_back_as_it_was(tmp_path):
    generator = np.random.default_rng([1, 0])
    part = Part(
        rows=np.arange(3), points=generator.normal(size=(3, 5, 2)), sigma=np.full((3, 5), np.nan), depth=np.ones((3, 5))
    )
    write_part(str(tmp_path), "name", part)
    read = read_part(str(tmp_path), "name")
    for name, value in vars(part).items():
        np.testing.assert_array_equal(getattr(read, name), value)
    assert read_part(str(tmp_path), "other") is None


def test_an_output_goes_on_with_the_same_settings_alone(tmp_path):
    out = str(tmp_path / "out")
    assert open_parts(out, {"a": (1, 2)}) == open_parts(out, {"a": [1, 2]})
    with pytest.raises(ValueError, match="other settings"):
        open_parts(out, {"a": [1, 3]})
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").write_text("x")
    with pytest.raises(ValueError, match="already holds files, but no evaluation"):
        check_output(str(tmp_path / "else"))


def test_jobs_have_names_of_their_own(place):
    rungs = [rung_of(place), rung_of(place, name="heatmap 2")]
    jobs = ladder_jobs(protocol_of(place, seeds=(1, 2)), rungs)
    assert len({job.name for job in jobs}) == len(jobs) == 2 * 2 * 2 * 2 + 2 * 2 + 2


@pytest.mark.slow
def test_one_and_two_processes_climb_the_same_ladder(place, tmp_path):
    cases = read_cases(str(place / "study"), HAND, depth=True)
    protocol = protocol_of(place, seeds=(1, 2))
    jobs, folds = ladder_jobs(protocol, [rung_of(place)]), make_folds(cases.subjects, 2, 1)
    ladders, done = [], []
    for workers in (1, 2):
        parts = open_parts(str(tmp_path / str(workers)), {})
        run_missing(protocol, jobs, parts, workers, done.append)
        ladders.append(trained_methods(jobs, parts, cases, folds))
    assert sum(done) == 2 * len(jobs)
    assert [method.label for method in ladders[0]] == [*NAMES, "CNN(ft) heatmap"]
    for one, two in zip(*ladders, strict=True):
        np.testing.assert_array_equal(one.points, two.points)
        assert np.isfinite(one.points).all()
        expected = 0 if one.name.startswith("CNN(syn)") else 1
        assert len(one.repeats) == len(two.repeats) == expected
        if expected:
            np.testing.assert_array_equal(one.repeats[0], two.repeats[0])
            assert (one.repeats[0] != one.points).any()
    network, said = best_tuned(jobs, parts, cases)
    assert network == "heatmap"
    np.testing.assert_array_equal(said.points, ladders[0][-1].points)
    assert protocol.folds[0] != protocol.folds[1] and len(parse_folds(protocol.folds[1], cases.subjects)) == 2


@pytest.mark.slow
def test_processes_end_with_a_killed_driver():
    code = (
        "import os, time\n"
        "from tuning.jobs import processes\n"
        "if __name__ == '__main__':\n"
        "    with processes(1) as pool:\n"
        "        print(pool.submit(os.getpid).result(), flush=True)\n"
        "        pool.submit(time.sleep, 600).result()\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    assert Path(f"/proc/{worker}").exists()
    driver.kill()
    driver.wait()
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), 30, "its worker ends")
