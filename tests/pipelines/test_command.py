"""The wheel: all that a verb needs, no tests, and one command that does what the scripts do."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from pipelines.command import verbs
from pipelines.demo import plan
from tests.commands import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, listed):
        if (path := ROOT / name.decode()).is_file():
            (source / name.decode()).parent.mkdir(parents=True, exist_ok=True)
            (source / name.decode()).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "-w", str(folder), str(source)], check=True, capture_output=True)
    (made,) = folder.glob("synthmark-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


def command(installed: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`synthmark ARGUMENTS` of the installed wheel, far from the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "SYNTHMARK_MLFLOW": f"sqlite:///{installed}/mlflow.db"}
    program = [sys.executable, str(installed / "bin" / "synthmark"), *arguments]
    return subprocess.run(program, cwd=installed, env=environment, capture_output=True, text=True)


def test_the_wheel_holds_packages_and_their_data_but_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"synth", "training", "tuning", "pipelines"}
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "synth" / "domain" / "anatomies").glob("*.toml")}
    assert data and data <= set(names)
    assert {f"pipelines/{verb}.py" for verb in verbs()} <= set(names)
    weights = {path.relative_to(ROOT).as_posix() for path in (ROOT / "training" / "weights").glob("*/*")}
    assert weights <= set(names)


def test_the_command_runs_verbs_and_names_them(installed, tmp_path):
    listing = command(installed)
    assert listing.returncode == 0 and all(f"  {verb} " in listing.stdout for verb in verbs())
    helped = command(installed, "render", "--help")
    assert helped.returncode == 0 and "usage: synthmark render" in helped.stdout
    wrong = command(installed, "rendr")
    assert wrong.returncode == 2 and "no verb 'rendr'" in wrong.stderr
    checked = command(installed, "check", str(tmp_path / "nothing"))
    assert checked.returncode == 1 and checked.stderr.startswith("error: ")
    written = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert command(installed, "--version").stdout == f"synthmark {written}\n"
    assert f"\nversion: {written}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_command_uses_the_wheel_alone(installed):
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); import pipelines.command, synth, training, tuning;"
        "print({module.__file__ for module in (pipelines.command, synth, training, tuning)})"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=installed, capture_output=True, text=True, check=True)
    assert str(ROOT) not in said.stdout


@pytest.mark.alone
def test_the_demo_starts_outside_the_checkout(installed, tmp_path):
    """Its first two steps, a render and its contact sheet; the others are marked as done."""
    out = tmp_path / "demo"
    first, second, *others = plan(out, 32, 4, 1)
    for step in others:
        step.made.parent.mkdir(parents=True, exist_ok=True)
        step.made.touch()
    done = command(installed, "demo", "--out", str(out), "--count", "32", "--cases", "4", "--epochs", "1")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert first.made.is_file() and second.made.is_file()
    assert done.stdout.count("already there") == len(others)
