"""MLflow's pages on a sweep, in headless Chromium: what synthmark records is readable there and compares at once."""

import pytest

from tests.mlflow_pages import CHROMIUM, browser, served
from tests.mlflow_stores import new_store
from tests.tuning.toy import made_up_result, toy_cases
from training.mlflow_ui import LOCAL, MODE, compare_address, run_address
from training.tracking import open_experiment, recorded
from tuning.record import open_sweep_run, record_choice, record_trial
from tuning.schedule import Schedule

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM} (Debian: apt-get install chromium)"),
]
SCHEDULES = {
    Schedule(name="gentle", epochs=4, rate=1e-4): 1.5,
    Schedule(name="brisk", epochs=8, rate=1e-3): 1.25,
    Schedule(name="hasty", epochs=4, rate=1e-2): 4.0,
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """(MLflow URI, the sweep's run, its schedules' runs) of three schedules with made-up errors in px."""
    cases = toy_cases(12, 1, pixel_mm=2.0)
    results = [made_up_result(cases, schedule, 3, error) for schedule, error in SCHEDULES.items()]
    experiment = open_experiment("sweep", new_store(tmp_path_factory.mktemp("mlflow")))
    with recorded(open_sweep_run(experiment, "one", "/out", "toy sweep", {"folds": 3})) as run:
        for result in results:
            record_trial(run, cases, result)
        runs = record_choice(run, cases, results, results[1].schedule, "/out/model")
    return experiment.uri, run, runs


@pytest.fixture(scope="module")
def window(sweep, tmp_path_factory):
    with served(sweep[0], tmp_path_factory.mktemp("server")) as base, browser(base) as opened:
        yield opened
    assert opened.foreign == [], "MLflow's pages ask others than the server"


def test_the_printed_address_compares_schedules_along_parallel_coordinates(sweep, window, tmp_path):
    page = window.open(compare_address(sweep[2]))
    page.get_by_text("Comparing 3 Runs from 1 Experiment").wait_for()
    page.get_by_text("Parallel Coordinates Plot").wait_for()
    plot = page.locator(".js-plotly-plot")
    for axis in ("schedule", "rate", "epochs", "error_px"):
        plot.get_by_text(axis, exact=True).wait_for()
    for name in ("gentle", "brisk", "hasty"):
        plot.get_by_text(name, exact=True).wait_for()
    plot.get_by_text("0.01000", exact=True).first.wait_for()  # the end of a scale of numbers; a text would be 0.01
    page.screenshot(path=tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 20_000


def test_runs_are_chosen_on_the_experiments_page_and_compared(window):
    page = window.open(f"{LOCAL}/#/experiments/1/runs?{MODE}")
    page.locator(".ag-row", has_text="toy sweep").locator("button").first.click()
    for name in ("gentle", "brisk"):
        page.locator(".ag-row", has_text=name).locator(".ag-checkbox-input").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    page.get_by_text("error_px_thumb_tip").wait_for()


def test_charts_of_a_sweep_show_each_metric_of_its_schedules(window):
    page = window.open(f"{LOCAL}/#/experiments/1/runs?compareRunsMode=CHART&{MODE}")
    page.locator(".ag-row", has_text="toy sweep").locator("button").first.click()
    for metric in ("error_px", "error_mm", "error_px_index_tip"):
        page.get_by_text(metric, exact=True).first.wait_for()
    for error in ("1.50", "1.25", "4.00"):  # the bars of error_px
        page.locator(".js-plotly-plot").get_by_text(error, exact=True).first.wait_for()


def test_the_sweeps_page_shows_its_table_and_figures(sweep, window):
    page = window.open(run_address(sweep[1]))
    table = page.get_by_role("table").filter(has_text="schedule")
    table.get_by_text("1.250 ± 0.000").wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    for name in ("errors.png", "learning_curves.png", "landmarks.png"):
        page.get_by_text(name, exact=True).first.click()
        image = page.get_by_alt_text(name).first
        image.wait_for()
        assert image.evaluate("image => image.complete && image.naturalWidth > 300")
