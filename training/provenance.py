"""What a result was made with: the code's commit and the versions of the packages that matter."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("synthmark", "numpy", "pyarrow", "torch", "ray", "mlflow", "anny", "bpy", "SimpleITK")


def versions() -> dict[str, str]:
    """Package name → installed version, with Python's; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str:
    """The commit of the running code, with "-dirty" where tracked files differ, or "unknown" outside a checkout."""
    folder = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--match="],
            cwd=folder, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip() or "unknown"
