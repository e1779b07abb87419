"""docs/paper.md: every open point of the paper that it calls an option is one, and the paper recipes take the first."""

import json
import re

import pytest

from pipelines.cli import as_dict, resolve
from tests.commands import ROOT

TEXT = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
# `a.b` = `first` \| `second`
OPTIONS = re.findall(r"`([a-z_]+(?:\.[a-z0-9_]+)+)` = `(\w+)` \\\| `(\w+)`", TEXT)


def value(recipe: str, path: str, *overrides: str) -> object:
    """The field of a resolved recipe, as JSON has it."""
    found = as_dict(resolve(recipe, overrides))
    for key in path.split("."):
        found = found[key]
    return found


def plain(text: str) -> object:
    return json.loads(text) if text in ("true", "false") else text


def test_the_open_points_are_there():
    named = {path for path, _, _ in OPTIONS}
    assert {"model.eq1", "model.last_layer", "model.padding", "model.regress_depth", "render.crop.fit"} <= named
    assert {"train.loss_scale"} <= named


@pytest.mark.parametrize("recipe", ["hand_paper", "body_paper"])
@pytest.mark.parametrize(("path", "first", "second"), OPTIONS)
def test_each_option_is_at_its_first_value_and_takes_the_second(recipe, path, first, second):
    assert value(recipe, path) == plain(first)
    assert value(recipe, path, f"{path}={second}") == plain(second)
