"""Running a verb in the process of its test: the same words and files, without Python, torch and Ray started anew."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from tests.mlflow_stores import new_store


def perform(name: str, *arguments: object, home: Path) -> str:
    """The last line of pipelines/NAME.py with ARGUMENTS, its working folder and its MLflow store at `home`.

    It uses the Ray of the fixture `local_ray`. Its exit status and umask are those of a process: tests/commands.py.
    Raises: what the verb raises, where it would exit 1 or 2.
    """
    with open(os.dup(2), "w", encoding="utf-8") as plain, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", plain)  # Ray Tune pickles the progress line, and pytest's stream cannot be pickled
        patch.chdir(home)
        patch.setenv("SYNTHMARK_MLFLOW", new_store(home))
        said: str = importlib.import_module(f"pipelines.{name}").main([*map(str, arguments)])
    return said.splitlines()[-1]
