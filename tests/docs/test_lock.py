"""The three lists of packages agree: pyproject.toml's, the lock file's, and the hashes'."""

import re
import tomllib

from tests.commands import ROOT


def pins(lines: list[str]) -> dict[str, str]:
    """Version by package, of lines that begin with `package==version`; names as an index writes them."""
    found = (re.match(r"([\w.-]+)(?:\[[\w,]+\])?==(\S+)", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in found if match}


LOCKED = pins((ROOT / "requirements.lock").read_text().splitlines())


def test_the_lock_file_has_every_package_of_the_project_at_its_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wanted = pins(named)
    assert len(wanted) == len(named), "a dependency without =="
    assert {name: LOCKED.get(name) for name in wanted} == wanted
    assert "setuptools" in LOCKED, "`make verified` builds the project with it"


def test_every_locked_package_has_hashes():
    """Else run `make hashes`."""
    entries = (ROOT / "requirements.hashes").read_text().replace("\\\n", " ").splitlines()
    entries = [entry for entry in entries if not entry.startswith("#")]
    hashed = pins(entries)
    assert LOCKED.items() <= hashed.items()
    assert [
        entry for entry in entries if not re.fullmatch(r"\S+==\S+ (?:\s+--hash=sha256:[0-9a-f]{64} ?)+", entry)
    ] == []
