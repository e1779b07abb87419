"""The benchmark of rendering measures what it says: its stages add up, and its ratios are those of its rates."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_stages_add_up_and_ratios_are_of_this_run() -> None:
    arguments = ["hand", "--count", "32", "--plain", "2", "--repeats", "3", "--memory", "320"]
    command = [sys.executable, "-m", "tests.benchmarks.render", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    rate, stages = report["end_to_end"]["images_per_s"], report["end_to_end"]["ms_per_image"]
    assert rate == sorted(report["images_per_s_of_each_run"])[1]
    assert sum(stages.values()) == pytest.approx(1000 / rate, rel=0.5)  # medians of parts are not parts of a median
    assert all(spent > 0 for spent in stages.values())
    alone = report["alone_images_per_s"]
    assert alone["plain_cycles_loop"] < alone["tuned_cycles_loop"] < alone["raycast"]
    assert report["ratios"]["engine over bare Embree"] == pytest.approx(alone["raycast"] / alone["embree"], rel=0.5)
    assert set(report["memory"]) == {"mib_after_32", "mib_after_320", "growth"}
