"""A report as a browser shows it: offline, on a phone and a desk, with whatever a case is called."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.domain.anatomy import HAND
from tests.tuning.test_findings import noisy
from tests.tuning.toy import toy_samples
from tuning.cases import Cases
from tuning.folds import make_folds
from tuning.report import Ladder, write_report
from tuning.table import METHOD_NAMES

CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><a href=https://example.org>" + "long_name_" * 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The address of a report of every method, with a hostile name wherever a name from outside is shown."""
    samples = toy_samples(14, 1, per_subject=2, pixel_mm=2.0, depth=True)
    samples = replace(samples, case=(HOSTILE, *samples.case[1:]), subject=(HOSTILE, HOSTILE, *samples.subject[2:]))
    cases = Cases(anatomy=HAND, samples=samples, digest="toy", virtual=True)
    methods = [noisy(cases, name, "heatmap" * name.startswith("CNN"), 4.0) for name in METHOD_NAMES]
    tuned = methods[-1]
    ladder = Ladder(
        title=f"Landmarks of {HOSTILE}",
        cases=cases,
        folds=make_folds(cases.subjects, 2, 1),
        methods=[*methods[:-1], replace(tuned, repeats=(tuned.points + np.array([1.0, 0.0]),))],
        synthetic=toy_samples(12, 9),
        depths={name: np.full((14, 5), mm) for name, mm in (("mean depth", 3.0), (HOSTILE, 1.0))},
        num_schedules=3,
        facts=[("study", HOSTILE)],
        settings={"note": HOSTILE},
    )
    folder = tmp_path_factory.mktemp("report")
    write_report(ladder, str(folder))
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = opened.new_context()
        context.set_default_timeout(120_000)  # ms: a busy machine may take half a minute for one page
        yield context
        opened.close()


@pytest.fixture(params=[(390, 844), (1280, 900)], ids=["phone", "desk"])
def page(request, browser, report):
    """The report in a window of that size; `said` has every error and message of its console."""
    width, height = request.param
    opened = browser.new_page()
    opened.set_viewport_size({"width": width, "height": height})
    opened.said = []
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.goto(report)
    yield opened
    opened.close()


def test_nothing_leaves_the_page(browser, report):
    page, asked = browser.new_page(), []

    def refuse(route):
        if route.request.url == report:
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    page.route("**/*", refuse)
    page.goto(report, wait_until="networkidle")
    assert asked == []
    page.close()


def test_every_picture_is_shown_and_nothing_is_wider_than_the_window(page):
    assert page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)") == []
    assert page.evaluate("document.images.length") >= 7
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.closest('.wide'))")


def test_hostile_names_are_text(page):
    assert page.title() != "owned" and page.said == []
    assert page.locator("script, a[href^='http'], img[src='x'], [onerror]").count() == 0
    assert "<img src=x onerror=" in page.inner_text("h1")


def test_the_contents_lead_to_every_part(page):
    links = page.locator("nav a")
    targets = links.evaluate_all("all => all.map(a => a.getAttribute('href').slice(1))")
    headings = page.locator("h2").evaluate_all("all => all.map(h => h.id)")
    assert targets == headings and len(set(targets)) == len(targets)
    links.last.click()
    assert page.evaluate("location.hash") == f"#{targets[-1]}"
    assert page.locator("h2").last.is_visible()
    assert page.evaluate("window.scrollY") > 1000


def test_the_primary_comparison_comes_first(page):
    first = page.evaluate("document.querySelector('h1').nextElementSibling.nextElementSibling.className")
    assert first == "headline"  # after the note that the cases are virtual
    box = page.locator(".headline").bounding_box()
    assert box["y"] + box["height"] < page.viewport_size["height"]
    assert "95 % interval" in page.inner_text(".headline")
