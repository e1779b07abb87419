"""The house rules: dependencies run one way, imports have no effects, scripts can be run."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("synth", "training", "tuning", "pipelines")
ALLOWED = {
    "synth": {"synth"},
    "training": {"training", "synth.domain"},
    "tuning": {"tuning", "training", "synth.domain"},
    "pipelines": {"pipelines", "tuning", "training", "synth"},
}
# Where a heavy library may be imported, by file.
HOMES = {
    "bpy": {"synth/blender.py"},
    "anny": {"synth/template.py"},
    "SimpleITK": {"synth/domain/volume.py"},
    "pydicom": {
        "synth/domain/dicom.py",
        "synth/domain/dicom_header.py",
        "synth/domain/dicom_write.py",
        "synth/domain/plain_slices.py",
        "synth/domain/structured_report.py",
    },
    "mlflow": {"training/tracking.py", "training/registry.py"},
    "boto3": {"synth/domain/uploads.py"},
}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module)
    return names


def _modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_dependencies_run_one_way(path: Path) -> None:
    place = path.relative_to(ROOT)
    for name in _imports(path):
        package = name.split(".")[0]
        if package in PACKAGES:
            allowed = ALLOWED[place.parts[0]]
            assert any(name == root or name.startswith(f"{root}.") for root in allowed), f"{place} imports {name}"
            if place.parts[:2] == ("synth", "domain"):
                assert name.startswith("synth.domain"), f"{place} imports {name}"
        homes = HOMES.get(package)
        assert homes is None or str(place) in homes, f"{place} imports {package}"
        if package == "ray":
            homes = {"synth/worker.py", "tuning/sweep.py"} | {
                f"training/{n}.py" for n in ("board", "distributed", "stream")
            }
            assert place.parts[0] == "pipelines" or str(place) in homes, f"{place} imports ray"


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("synth", "bpy ray torch numpy"),
        ("synth.domain", "numpy pyarrow SimpleITK"),
        ("synth.blender", "bpy ray torch SimpleITK anny"),
        ("synth.worker", "bpy ray torch SimpleITK anny boto3"),
        ("synth.domain.reader", "SimpleITK pydicom PIL torch ray"),
        ("pipelines.recipes", "bpy ray SimpleITK anny mlflow matplotlib"),
    ],
)
def test_importing_stays_light(module: str, forbidden: str) -> None:
    """In a fresh interpreter; synth.worker is what a Blender child imports."""
    code = f"import sys, {module}; print(*(set(sys.modules) & set({forbidden.split()!r})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.split() == []


def test_no_script_is_named_like_a_standard_module() -> None:
    """A script's folder is first on sys.path: a file called inspect.py there breaks numpy and Ray."""
    for path in (ROOT / "pipelines").glob("*.py"):
        assert path.stem not in sys.stdlib_module_names


def test_every_verb_can_be_run_and_says_how() -> None:
    verbs = [
        path
        for path in (ROOT / "pipelines").glob("*.py")
        if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
    ]
    assert {path.stem for path in verbs} >= {
        "render", "relabel", "check", "phantoms", "study", "pretrain", "sweep", "evaluate", "predict", "demo",
    }  # fmt: skip
    for path in verbs:
        assert os.access(path, os.X_OK), f"{path.name} is not executable"
        assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
        assert f"python pipelines/{path.name}" in (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
