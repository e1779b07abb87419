"""The one command of an installed synthmark: `synthmark VERB …` does what `python pipelines/VERB.py …` does."""

import ast
import importlib
import sys
from importlib.metadata import version
from pathlib import Path

from pipelines.cli import run

FOLDER = Path(__file__).parent


def verbs() -> dict[str, str]:
    """Every verb and what it does in one line, in the order of the alphabet."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if text.startswith("#!"):
            found[path.stem] = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]
    return found


def main() -> None:
    """Run a verb; without one, say which there are. Exits as the verb does, with 2 where there is no such verb."""
    known, given = verbs(), sys.argv[1:]
    if given and given[0] in known:
        sys.argv = [f"synthmark {given[0]}", *given[1:]]
        run(importlib.import_module(f"pipelines.{given[0]}").main)
    if given == ["--version"]:
        print(f"synthmark {version('synthmark')}")
        return
    lines = [f"  {verb.ljust(max(map(len, known)))}  {what}" for verb, what in known.items()]
    text = "usage: synthmark VERB …; synthmark VERB --help says more\n\n" + "\n".join(lines)
    if given and given[0] not in ("-h", "--help"):
        print(f"error: there is no verb {given[0]!r}\n{text}", file=sys.stderr)
        sys.exit(2)
    print(text)
