"""The benchmark of rendering measures what it says: its stages add up, and its ratios are those of its rates."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_stages_add_up_and_ratios_are_of_this_run() -> None:
    arguments = ["hand", "--count", "32", "--plain", "2", "--memory", "320"]
    command = [sys.executable, "-m", "tests.benchmarks.render", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    rate, stages = report["end_to_end"]["images_per_s"], report["end_to_end"]["ms_per_image"]
    assert sum(stages.values()) == pytest.approx(1000 / rate)
    assert all(spent > 0 for stage, spent in stages.items() if stage != "other")
    assert 0 <= stages["other"] < 0.5 * 1000 / rate
    alone = report["alone_images_per_s"]
    assert report["ratios"]["engine over bare Embree"] == pytest.approx(alone["raycast"] / alone["embree"])
    assert set(report["memory"]) == {"mib_after_32", "mib_after_320", "growth"}
