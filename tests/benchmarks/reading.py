"""What reading a DICOM series costs beside SimpleITK alone; prints JSON.

  python -m tests.benchmarks.reading [--slices 300] [--repeats 5]

A series of 512 x 512 int16 slices, uncompressed, in the page cache. `decode`: ImageSeriesReader with the names in
order; `find and decode`: the names from GDCM too, and the array; `read`: volume.read, which checks every header;
`child`: reader.Reader, once it runs; `cold child`: its first scan, Python and SimpleITK loaded. Seconds, each method in
turn, so that other work on the machine meets all of them; medians and extremes.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from synth.domain.reader import Reader
from synth.domain.volume import read
from tests.benchmarks.surroundings import surroundings
from tests.dicoms import write_series


def seconds_of(act: Callable[[], object]) -> float:
    """Seconds that an act takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def decode(names: tuple[str, ...]) -> sitk.Image:
    """The series by SimpleITK alone."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    return reader.Execute()


def find_and_decode(folder: Path) -> np.ndarray:
    """The array of the series, found and sorted by GDCM."""
    return sitk.GetArrayFromImage(decode(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))))


def cold(folder: Path) -> None:
    """The first scan of a new child."""
    with Reader() as reader:
        reader.read(folder)


def measure(folder: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds by method."""
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    with Reader() as reader:
        methods: dict[str, Callable[[], object]] = {
            "decode": lambda: decode(names),
            "find and decode": lambda: find_and_decode(folder),
            "read": lambda: read(folder),
            "child": lambda: reader.read(folder),
            "cold child": lambda: cold(folder),
        }
        for act in methods.values():
            act()
        found: dict[str, list[float]] = {name: [] for name in methods}
        for _ in range(repeats):
            for name, act in methods.items():
                found[name].append(seconds_of(act))
    return found


def medians(found: dict[str, list[float]], base: str) -> dict[str, dict[str, float]]:
    """Of seconds by method: median, extremes, and the median as a multiple of that of the method `base`."""
    unit = statistics.median(found[base])
    return {
        name: {
            "seconds": round(statistics.median(values), 3),
            "from": round(min(values), 3),
            "to": round(max(values), 3),
            f"times {base}": round(statistics.median(values) / unit, 2),
        }
        for name, values in found.items()
    }


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--slices", type=int, default=300)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    voxels = np.random.default_rng([31, 1]).integers(-1000, 1000, (given.slices, 512, 512), np.int16)
    with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as scratch:
        found = measure(write_series(Path(scratch) / "case", voxels, spacing=(0.9, 0.9)), given.repeats)
    methods = medians(found, "find and decode")
    print(json.dumps({"slices": given.slices, "methods": methods, **surroundings()}, indent=1))


if __name__ == "__main__":
    main()
