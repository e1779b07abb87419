"""Files with random damage are read or refused in one line; SYNTHMARK_FUZZ=20000 tries that many of each kind.

SYNTHMARK_FUZZ=3000 python -m pytest tests/faults/inputs/test_fuzz.py -s --timeout 3600
"""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.domain.anatomy import HAND
from synth.domain.cloud import read_camera
from synth.domain.cloud_files import read_cloud
from synth.domain.landmarks import Annotation, read_annotations, write_csv
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.reader import Reader
from synth.domain.slicer import write_markups
from tests.dicoms import write_series
from tests.faults.inputs.clouds import ply
from tests.faults.inputs.flat import grey, saved
from tests.faults.inputs.series import compressed, each, enhanced, radiograph, then
from tests.faults.inputs.shapes import voxels
from tests.faults.inputs.volumes import meta, nifti, nrrd
from tests.synth.domain.test_slicer import fcsv

EXAMPLES = int(os.environ.get("SYNTHMARK_FUZZ", "40"))
NUMBERS = (b"0", b"-1", b"1e9", b"nan", b"inf", b"99999999999999999999", b"1e-9", b"", b"x", b"2147483648")
OUTCOMES: Counter[tuple[str, str]] = Counter()

Mutation = tuple[str, float, bytes]
POINTS = np.arange(15.0).reshape(5, 3)


def _marks(folder: Path) -> Path:
    write_markups(folder / "a.mrk.json", POINTS, HAND)
    return folder / "a.mrk.json"


def _table(folder: Path) -> Path:
    write_csv(folder / "a.csv", [Annotation(case="a", subject="s", points=POINTS)], HAND)
    return folder / "a.csv"


SCANS: dict[str, Callable[[Path], Path]] = {
    "nifti": nifti(),
    "nifti gz": nifti(name="a.nii.gz"),
    "nifti float": nifti(values=voxels().astype(np.float32), codes=(1, 1), quaternion=(0, 0, 1, 30, 20, 100)),
    "mha": meta(),
    "nrrd": nrrd(),
    "png": saved(grey),
    "jpeg": saved(grey, "a.jpg"),
    "dicom": lambda folder: write_series(folder / "case", voxels()[:4]),
    "dicom jpeg": then(lambda folder: write_series(folder / "case", voxels()[:4]), each(compressed("JPEG"))),
    "dicom jpeg 2000": then(lambda folder: write_series(folder / "case", voxels()[:4]), each(compressed("JPEG2000"))),
    "dicom frames": enhanced,
    "dicom radiograph": radiograph(),
}
LANDMARKS: dict[str, Callable[[Path], Path]] = {"mrk.json": _marks, "fcsv": lambda f: fcsv(f / "a.fcsv"), "csv": _table}


def _written(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


_CAMERA = b'{"width": 640, "height": 480, "fx": 525.0, "fy": 525.0, "cx": 320, "cy": 240, "depth_scale": 1000}'
_PLY_TEXT = b"ply\nformat ascii 1.0\nelement vertex 200\n" + b"".join(b"property float %c\n" % axis for axis in b"xyz")
_PLY_TEXT += b"end_header\n" + b"1.5 2 1e3\n" * 200
CLOUDS = {
    "ply": _written("a.ply", ply()),
    "ply text": _written("a.ply", _PLY_TEXT),
    "xyz": _written("a.xyz", b"x y z\n" + b"1.5, 2, 1e3\n" * 200),
}


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader(memory_bytes=4 << 30, seconds=20) as made:
        yield made
    for (kind, outcome), count in sorted(OUTCOMES.items()):
        print(f"{kind:18} {outcome:10} {count:7}")


def mutations() -> st.SearchStrategy[list[Mutation]]:
    """A few changes at places given as shares of a file, most of them in its first tenth, where headers are."""
    place = st.one_of(st.floats(0, 0.1), st.floats(0, 1))
    kind = st.sampled_from(["flip", "flip", "set", "number", "number", "insert", "delete", "cut", "swap"])
    return st.lists(st.tuples(kind, place, st.binary(min_size=1, max_size=4)), min_size=1, max_size=3)


def mutated(data: bytes, changes: list[Mutation]) -> bytes:
    """The bytes with the changes."""
    for kind, place, value in changes:
        at = int(place * len(data))
        if kind == "set":
            data = data[:at] + value + data[at + len(value) :]
        elif kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << value[0] % 8)]) + data[at + 1 :]
        elif kind == "insert":
            data = data[:at] + value + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + len(value) :]
        elif kind == "cut":
            data = data[: max(at, len(data) // 8)]
        elif kind == "swap":
            data = data[:at] + data[at : at + 8][::-1] + data[at + 8 :]
        elif found := list(re.finditer(rb"-?[0-9][0-9.]*", data[:2000])):  # in a text header
            one = found[int(place * len(found)) % len(found)]
            data = data[: one.start()] + NUMBERS[value[0] % len(NUMBERS)] + data[one.end() :]
    return data


def outcome_of(act: Callable[[], object]) -> str:
    """ "read", "refused" in one line, or "contained": the library crashed or hung, and that was told in one line."""
    try:
        act()
    except ValueError as error:
        text = str(error)
        assert text.isprintable() and len(text) < 1500, repr(text)
        return "contained" if "crashed" in text or "takes longer" in text or "report it" in text else "refused"
    return "read"


def check_scan(scan: Image | Volume) -> None:
    """What a silhouette is drawn from makes sense."""
    if isinstance(scan, Image):
        assert scan.pixels.ndim == 2 and np.isfinite(scan.pixels).all() and np.isfinite(scan.to_viewer).all()
        assert scan.spacing_mm is None or min(scan.spacing_mm) > 0
        return
    assert scan.voxels.ndim == 3 and np.isfinite(scan.voxels).all() and np.isfinite(scan.index_to_patient).all()
    assert 0.005 <= min(scan.spacing_mm) <= max(scan.spacing_mm) <= 50


def fuzz(kind: str, make: Callable[[Path], Path], use: Callable[[Path], object]) -> None:
    """Try EXAMPLES mutations of what `make` writes."""
    with tempfile.TemporaryDirectory() as scratch:
        path = make(Path(scratch))
        victim = path if path.is_file() else sorted(path.iterdir())[1]
        whole = victim.read_bytes()
        assert outcome_of(lambda: use(path)) == "read"

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES < 100,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(mutations())
        def attempt(changes: list[Mutation]) -> None:
            victim.write_bytes(mutated(whole, changes))
            OUTCOMES[kind, outcome_of(lambda: use(path))] += 1

        attempt()


@pytest.mark.parametrize("kind", list(SCANS))
def test_damaged_scans_are_read_or_refused_in_one_line(reader: Reader, kind: str) -> None:
    fuzz(kind, SCANS[kind], lambda path: check_scan(reader.read(path)))


@pytest.mark.parametrize("kind", list(LANDMARKS))
def test_damaged_landmarks_are_read_or_refused_in_one_line(reader: Reader, kind: str) -> None:
    fuzz(kind, LANDMARKS[kind], lambda path: read_annotations([path], HAND))


@pytest.mark.parametrize("kind", list(CLOUDS))
def test_damaged_clouds_are_read_or_refused_in_one_line(reader: Reader, kind: str) -> None:
    def check(path: Path) -> None:
        points = read_cloud(path, 1.0).points
        assert points.ndim == 2 and len(points) > 0 and np.isfinite(points).all()

    fuzz(kind, CLOUDS[kind], check)


def test_a_damaged_camera_is_read_or_refused_in_one_line(reader: Reader) -> None:
    fuzz("camera", _written("camera.json", _CAMERA), read_camera)
