"""MLflow stores for tests: making an empty one takes seconds, copying one a moment."""

import tempfile
from functools import cache
from pathlib import Path

from mlflow import MlflowClient


def new_store(folder: Path, name: str = "mlflow.db") -> str:
    """The URI of a store in a folder: one that is there already, else a copy of an empty one."""
    path = folder / name
    if not path.exists():
        path.write_bytes(_empty())
    return f"sqlite:///{path}"


@cache
def _empty() -> bytes:
    """The SQLite file of a store as MLflow makes it, once a process: more than sixty migrations."""
    with tempfile.TemporaryDirectory() as folder:
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()  # it is made when it is first asked
        return (Path(folder) / "mlflow.db").read_bytes()
