"""Running a verb the way a person does: as a script, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def verb(name: str, *arguments: object, home: Path, timeout: float = 240) -> "subprocess.CompletedProcess[str]":
    """The finished process of `python pipelines/NAME.py ARGUMENTS`, its MLflow store and results under `home`."""
    environment = {
        **os.environ,
        "SYNTHMARK_MLFLOW": f"sqlite:///{home}/mlflow.db",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [sys.executable, str(ROOT / "pipelines" / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(
        command, cwd=home, env=environment, capture_output=True, encoding="utf-8", timeout=timeout, check=False
    )


def succeed(name: str, *arguments: object, home: Path) -> str:
    """The last line a verb prints; fails the test with its output where it does not exit 0."""
    done = verb(name, *arguments, home=home)
    assert done.returncode == 0, f"{name} exited {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout.strip().splitlines()[-1]
