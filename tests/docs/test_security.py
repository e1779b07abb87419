"""docs/security.md names tests that exist."""

import re

from tests.commands import ROOT


def test_every_test_that_the_threat_table_names_exists():
    text = (ROOT / "docs" / "security.md").read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", text))
    assert len(named) > 8
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []
    files = set(re.findall(r"`(?:tests/\S+/)?(test_\w+\.py)`", text))
    assert files and all(list((ROOT / "tests").rglob(name)) for name in files)
