"""The benchmark of rendering measures what it says: its stages add up, and its ratios are those of its rates."""

import json
import subprocess
import sys

import pytest

from tests.benchmarks.render import medians


@pytest.mark.slow
@pytest.mark.alone
def test_stages_add_up_and_ratios_are_of_this_run() -> None:
    arguments = ["hand", "--count", "32", "--plain", "2", "--repeats", "1", "--memory", "320"]
    command = [sys.executable, "-m", "tests.benchmarks.render", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    rate, stages = report["end_to_end"]["images_per_s"], report["end_to_end"]["ms_per_image"]
    assert sum(stages.values()) == pytest.approx(1000 / rate)
    assert all(spent > 0 for spent in stages.values())
    alone = report["alone_images_per_s"]
    assert all(rate > 0 for rate in alone.values())
    assert report["ratios"]["engine over bare Embree"] == pytest.approx(alone["raycast"] / alone["embree"])
    assert set(report["memory"]) == {"mib_after_32", "mib_after_320", "growth"}


def test_medians_are_taken_figure_by_figure() -> None:
    runs = [
        {"rate": 3.0, "stages": {"pose": 1.0}},
        {"rate": 9.0, "stages": {"pose": 7.0}},
        {"rate": 4.0, "stages": {"pose": 0.0}},
    ]
    assert medians(runs) == {"rate": 4.0, "stages": {"pose": 1.0}}
