"""How long Blender is waited for: a hang costs seconds, and no figure is blamed for a slow machine."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from synth import supervisor
from synth.supervisor import NOWHERE, Blender, BlenderFailed, BlenderLate
from tests.synth import sluggish

pytestmark = [pytest.mark.slow, pytest.mark.alone]
FIGURES = np.ones((4, 3, 3), np.float32)
NOTHING = np.full_like(FIGURES, NOWHERE)
Pace = Callable[[float, float], None]


@pytest.fixture
def pace(tmp_path: Path) -> Pace:
    """Sets how long the child takes for a figure and for nothing, in seconds."""

    def set_pace(figure_s: float, nothing_s: float) -> None:
        (tmp_path / "new").write_text(f"{figure_s} {nothing_s}")
        (tmp_path / "new").rename(tmp_path / "seconds")

    set_pace(0.0, 0.0)
    return set_pace


@pytest.fixture
def blender(pace: Pace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blender]:
    """One that waits a second at least, five at most, else for ten times the slowest answer."""
    monkeypatch.setattr(supervisor, "serve", sluggish.serve)
    monkeypatch.setattr(supervisor, "LEAST_PATIENCE_S", 1.0)
    monkeypatch.setattr(supervisor, "MOST_PATIENCE_S", 5.0)
    monkeypatch.setattr(supervisor, "PATIENCE", 10)
    made = Blender(str(tmp_path), (2, 2), 3, np.zeros((1, 3), np.int32))
    yield made
    made.close()


def test_a_figure_that_hangs_costs_six_times_the_least_patience(blender: Blender, tmp_path: Path) -> None:
    figures = FIGURES.copy()
    figures[2, 0, 0] = sluggish.HANGS
    assert blender.patience_s == 5, "nothing is known yet"
    depth_mm, reasons = blender.isolate(figures)
    assert reasons == {2: "Blender gave no answer in 1 s, 3 times"} and depth_mm.shape == (4, 2, 2)
    assert len((tmp_path / "starts").read_text().split()) == 7, (
        "three times in its group, three times alone, and one more"
    )


def test_the_limit_follows_what_answers_take(blender: Blender, pace: Pace) -> None:
    pace(0.2, 0.0)
    blender.render(FIGURES)
    assert 2 <= blender.patience_s <= 5
    pace(0.6, 0.0)
    blender.render(FIGURES)
    assert blender.patience_s == 5, "never more"
    for _ in range(supervisor.KNOWN):
        blender.render(NOTHING)
    assert blender.patience_s < 2, "what was slow long ago is forgotten"


def test_a_figure_is_not_blamed_for_a_machine_that_became_slow(blender: Blender, pace: Pace) -> None:
    """Everything takes a hundred times as long from one moment to the next: more than was waited for."""
    blender._took_s.append(0.001)
    pace(2.0, 0.4)
    with pytest.raises(BlenderLate, match=r"no answer in 1 s, 3 times"):
        blender.insist(FIGURES)
    assert isinstance(blender._judge(FIGURES, NOTHING), np.ndarray)
    assert blender.isolate(FIGURES)[1] == {}


def test_a_machine_that_stands_still_blames_no_figure(
    blender: Blender, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "MOST_PATIENCE_S", 0.5)
    blender.render(NOTHING)
    pace(3600, 3600)
    started = time.monotonic()
    with pytest.raises(BlenderFailed, match="no answer"):
        blender.isolate(FIGURES)
    assert time.monotonic() - started < 60
