"""The commands in README.md, docs/*.md, the cards of shipped models and the help of the verbs, as lists of words."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.commands import ROOT

STARTS = ("python", ".venv/bin/python", "synthmark", "make", "ray", "pip", "export", "git", "cd", "mlflow")
FENCED = re.compile(r"^```(?:bash|sh|console)?\n(.*?)^```", re.M | re.S)
CARDS = sorted((ROOT / "training" / "weights").glob("*/CARD.md"))
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *CARDS)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of a page. text: as it stands there, on one line, without its comment; words: as a shell splits it"""

    page: Path
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    @property
    def verb(self) -> tuple[str, list[str]] | None:
        """(verb, its arguments) of ours, also where ray submits it; None for any other program."""
        words = self.words
        if words[:3] == ["ray", "job", "submit"] and "--" in words:
            words = words[words.index("--") + 1 :]
        if words[0] == "synthmark":
            return words[1], words[2:]
        if words[0].endswith("python") and len(words) > 1 and (found := re.fullmatch(r"pipelines/(\w+)\.py", words[1])):
            return found[1], words[2:]
        return None

    @property
    def module(self) -> str | None:
        """The module of ours that `python -m MODULE` or `python tests/MODULE.py` runs; None for any other command."""
        found = re.match(r"\S*python (?:-m )?(tests[./][\w./]+?)(?:\.py)?(?: |$)", self.text)
        return found[1].replace("/", ".") if found else None


def commands_of(page: Path) -> Iterator[Command]:
    """Every command in the fenced blocks of a page that begin with one."""
    for block in FENCED.findall(page.read_text(encoding="utf-8")):
        if block.split()[0] in STARTS:
            yield from (Command(page=page, text=text) for text in _lines(block))


def mentioned(page: Path) -> Iterator[Command]:
    """Every whole command within a page's text: `python ...`, `synthmark ...`; none that leaves something out."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for found in re.findall(r"`((?:python|synthmark) [^`]+)`", text):
        if "…" not in found:
            yield from (Command(page=page, text=text) for text in " ".join(found.split()).split("; "))


def examples_of(script: Path) -> Iterator[Command]:
    """Every example in a verb's help; those that leave something out ("...") are not among them."""
    doc = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    indented = "\n".join(line[2:] for line in doc.splitlines() if line.startswith("  "))
    yield from (Command(page=script, text=text) for text in _lines(indented) if " ... " not in f"{text} ")


def _lines(block: str) -> Iterator[str]:
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        if text := re.sub(r"\s+#.*", "", line).strip():
            yield from (part.strip() for part in text.split(" && "))
