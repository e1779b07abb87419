"""What the documents tell people to type is understood, and the tutorial really runs."""

import argparse
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.cli import resolve
from pipelines.command import verbs
from tests.commands import ROOT
from tests.docs.commands import PAGES, Command, commands_of, examples_of, mentioned
from tests.in_process import perform
from tests.training.rays import quiet_ray

# What no test runs, and why.
NOT_RUN = {
    "ray": "needs a cluster; tests/cluster submits jobs to a head of its own",
    "pip": "changes the environment",
    "git": "fetches the repository",
    "export": "sets a variable of the shell",
    "cd": "is the shell's",
    "python -m": "a benchmark, or a script of the tests",
    "python tests/": "a benchmark",
}
# Verbs whose commands are understood but not run as they stand, by page, and why; every other page's are run below.
PAGES_NOT_RUN = {
    "CARD.md": "hours each; they make the weights that ship",
    "README.md": "the tutorial's chain with other paths; test_what_the_readme_shows_first runs what is its own",
    "operations.md": "a cluster and a bucket; tests/cluster submits jobs to a head of its own",
    "public_ct.md": "scans that each user must ask for",
    "results.md": "minutes to hours each; the figures stand there with the commit",
}
RUN = ("tutorial.md",)
# The tutorial at a size for a test: command begins so -> (what is replaced, what is added).
SMALL = {
    "phantoms": ({"hand": "hand_smoke", "24": "12"}, ()),
    "render": ({"8000": "64"}, ()),
    "sweep": ({}, ('--set=sweep.schedules=[{"name": "quick", "epochs": 1}]', "--set=sweep.folds=2")),
    "evaluate": ({}, ("--set=sweep.scratch.epochs=1", "--set=sweep.folds=2")),
    "pretrain": ({}, ("--set=train.epochs=1", "--set=model.size=tiny")),
}
EVERY = [command for page in PAGES for command in (*commands_of(page), *mentioned(page))]
EXAMPLES = [command for name in verbs() for command in examples_of(ROOT / "pipelines" / f"{name}.py")]


class Parsed(Exception):
    pass


def parsed(verb: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """The options as the verb's own parser takes them."""
    original = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *given: object, **named: object) -> None:
        raise Parsed(original(self, *given, **named))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Parsed) as found:
        importlib.import_module(f"pipelines.{verb}").main(arguments)
    return found.value.args[0]


@pytest.mark.parametrize(
    "command", [*EVERY, *EXAMPLES], ids=lambda command: f"{command.page.name}: {command.text[:60]}"
)
def test_every_command_is_understood(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    if command.verb is None:
        if command.words[0] == "make":
            targets = re.findall(r"^([\w$()/.-]+):", (ROOT / "Makefile").read_text(), re.M)
            assert command.words[1] in [target.replace("$(VENV)", ".venv") for target in targets]
        else:
            assert any(command.text.startswith(start) for start in NOT_RUN), "neither run nor listed as not run"
            assert command.module is None or importlib.util.find_spec(command.module), "there is no such module"
        return
    name, arguments = command.verb
    assert name in verbs()
    given = parsed(name, arguments, monkeypatch)
    if "recipe" in given:
        resolve(given.recipe, given.overrides)


def test_the_documents_have_commands_and_each_verb_has_an_example() -> None:
    assert len(EVERY) > 30
    assert {command.verb[0] for command in EXAMPLES if command.verb} == set(verbs())


def test_every_page_with_commands_is_run_or_listed_as_not_run() -> None:
    pages = {command.page.name for command in EVERY if command.verb}
    assert pages == {*PAGES_NOT_RUN, *RUN}


@pytest.fixture
def ray_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray whose workers take relative paths from `tmp_path`, as those do that a verb starts there."""
    monkeypatch.chdir(tmp_path)
    with quiet_ray(3):
        yield


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("ray_here")
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    """At a size for a test. Two of twelve virtual patients may be refused by a network that saw renderings alone."""
    for command in commands_of(ROOT / "docs" / "tutorial.md"):
        assert command.verb is not None, command.text
        name, arguments = command.verb
        replaced, added = SMALL.get(name, ({}, ()))
        try:
            perform(name, *(replaced.get(word, word) for word in arguments), *added, home=tmp_path)
        except ValueError as error:
            refused = re.match(r"(\d+) of 12 cases failed: .* looks like neither", str(error))
            assert name == "predict" and "--model" not in arguments, command.text
            assert refused and int(refused[1]) <= 2, error


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_the_readme_shows_first(tmp_path: Path) -> None:
    """The first landmark, on a virtual body for the scan; then the pictures of what was seen."""
    perform("phantoms", "body_smoke", "--count", 1, "--seed", 1, "--out", "one", home=tmp_path)
    (scan,) = (tmp_path / "one" / "images").iterdir()
    scan.rename(tmp_path / "scan.nii.gz")
    own = [
        command.verb
        for command in commands_of(ROOT / "README.md")
        if re.search("predict.py scan|data.bodies", command.text)
    ]
    assert [verb[0] for verb in own if verb] == ["predict", "phantoms", "study"]
    for name, arguments in filter(None, own):
        matched = [sorted(map(str, tmp_path.glob(word))) if "*" in word else [word] for word in arguments]
        perform(name, *(word for words in matched for word in words), home=tmp_path)
    assert (
        list((tmp_path / "predicted").glob("*.mrk.json")) and (tmp_path / "data" / "seen" / "body-0001.png").is_file()
    )
