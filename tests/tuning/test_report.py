"""The report loads nothing from anywhere, and names of cases are text in it, whatever they are."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.tuning.test_table import whole_ladder
from tests.tuning.toy import toy_cases, toy_samples
from tuning.baselines import mean_depth_errors_mm
from tuning.folds import make_folds
from tuning.pictures import pictures_of
from tuning.report import Ladder, render_page, results, write_report

HOSTILE = '<script>alert("x")</script>$\\frac{1}{0$ & "手"'


def toy_ladder(cases):
    folds = make_folds(cases.subjects, 2, 1)
    return Ladder(
        title="Landmarks of " + HOSTILE,
        cases=cases,
        folds=folds,
        methods=whole_ladder(cases),
        synthetic=toy_samples(12, 9),
        depths={"mean depth": mean_depth_errors_mm(cases, folds)},
        num_schedules=1,
        facts=[("study", HOSTILE)],
        settings={"note": HOSTILE},
    )


def hostile_cases(**options):
    cases = toy_cases(8, 2, **options)
    names = (HOSTILE, *cases.names[1:])
    return replace(cases, samples=replace(cases.samples, case=names, subject=(HOSTILE, *cases.subjects[1:])))


class Loads(HTMLParser):
    """Collects tags and everything a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


@pytest.fixture(scope="module")
def page():
    return page_of(toy_ladder(hostile_cases(pixel_mm=2.0, depth=True)))


def page_of(ladder):
    return render_page(ladder, pictures_of(ladder.cases, ladder.ordered, ladder.synthetic))


def test_the_report_is_self_contained(page):
    loads = Loads()
    loads.feed(page)
    assert len(loads.addresses) >= 4
    assert all(address.startswith(("data:image/", "#")) for address in loads.addresses)
    assert not loads.tags & {"script", "link", "iframe", "object", "embed"}
    assert not re.search(r"@import|url\(", page)


def test_hostile_names_are_escaped(page):
    assert "<script" not in page.lower()
    assert "&lt;script&gt;" in page


def test_the_report_fits_a_phone_and_shows_every_part(page):
    assert 'name="viewport"' in page
    for heading in ("What it shows", "The ladder of methods", "Both domains side by side", "All cases", "Settings"):
        assert heading in page
    assert "mm in the image plane" in page and "mean depth" in page and "paper (private data)" in page


def test_virtual_cases_are_called_so(page):
    assert "These cases are virtual" not in page
    assert "These cases are virtual" in render_page(toy_ladder(replace(toy_cases(8, 2), virtual=True)), [])


def test_results_are_json_without_nan():
    cases = toy_cases(8, 2)
    cases.samples.landmarks[:, 4] = np.nan
    found = json.loads(json.dumps(results(toy_ladder(cases)), allow_nan=False))
    assert found["ladder"][0]["px"]["landmarks"]["little_tip"]["mean"] is None
    assert found["depth_mm"] == {} and found["num_subjects"] == 4


def test_writing_puts_the_report_last_and_the_same_bytes_twice(tmp_path):
    ladder = toy_ladder(toy_cases(8, 2))
    for folder in ("a", "b"):
        write_report(ladder, str(tmp_path / folder))
    names = [path.name for path in (tmp_path / "a").iterdir()]
    assert {"errors.csv", "folds.csv", "ladder.csv", "ladder.svg", "report.html", "results.json"} <= set(names)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
