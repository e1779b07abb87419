"""What a benchmark's figures were measured on."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def surroundings() -> dict[str, object]:
    """Machine, versions of Python and of the packages that make figures, and the commit, as plain JSON types."""
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "machine": f"{platform.machine()} {platform.processor()} {platform.system()}".strip(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "anny")},
        "commit": described.stdout.strip() or "unknown",
    }
