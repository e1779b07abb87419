"""The wheel: all that a verb needs, no tests, and one command that does what the scripts do."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipelines.command import verbs
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
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def command(installed: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`synthmark ARGUMENTS` of the installed wheel, far from the checkout."""
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); from pipelines.command import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=installed, capture_output=True, text=True)


def test_the_wheel_holds_packages_and_their_data_but_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"synth", "training", "tuning", "pipelines"}
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "synth" / "domain" / "anatomies").glob("*.toml")}
    assert data and data <= set(names)
    assert {f"pipelines/{verb}.py" for verb in verbs()} <= set(names)


def test_the_command_runs_verbs_and_names_them(installed, tmp_path):
    listing = command(installed)
    assert listing.returncode == 0 and all(f"  {verb} " in listing.stdout for verb in verbs())
    helped = command(installed, "render", "--help")
    assert helped.returncode == 0 and "usage: synthmark render" in helped.stdout
    wrong = command(installed, "rendr")
    assert wrong.returncode == 2 and "no verb 'rendr'" in wrong.stderr
    checked = command(installed, "check", str(tmp_path / "nothing"))
    assert checked.returncode == 1 and checked.stderr.startswith("error: ")
    assert command(installed, "--version").stdout.startswith("synthmark 0.")


def test_the_command_uses_the_wheel_alone(installed):
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); import pipelines.command, synth, training, tuning;"
        "print({module.__file__ for module in (pipelines.command, synth, training, tuning)})"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=installed, capture_output=True, text=True, check=True)
    assert str(ROOT) not in said.stdout
