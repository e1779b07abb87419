"""A picture of MLflow comparing the schedules of a sweep, as in the README. Needs Chromium.

python -m tests.benchmarks.mlflow_picture --experiment sweep --out docs/images/mlflow.png
"""

import argparse
import tempfile
from pathlib import Path

from tests.mlflow_pages import browser, served
from training.mlflow_ui import compare_address
from training.tracking import children_of, find_runs, open_experiment


def main() -> None:
    """Write the picture of the newest sweep of an experiment."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--experiment", default="sweep")
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    experiment = open_experiment(given.experiment)
    sweep, _ = find_runs(experiment, {"synthmark.kind": "sweep"})[-1]
    address = compare_address([run for run, _ in children_of(sweep)])
    with tempfile.TemporaryDirectory() as folder, served(experiment.uri, Path(folder)) as base, browser(base) as window:
        page = window.open(address)
        page.locator(".js-plotly-plot .axis-title").last.wait_for()
        page.wait_for_timeout(1000)  # the lines are drawn after their axes
        page.screenshot(path=given.out)
    print(f"{given.out}: {given.out.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
