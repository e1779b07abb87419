"""What projecting a whole-body CT costs beside reading it and beside one bare pass over it; prints JSON.

  python -m tests.benchmarks.projection [--folder FOLDER] [--repeats 3] [--slices 1000] [--methods NAME ...]

A virtual patient on a couch of two plates, 512 x 512 x 1000 int16 with noise, made once in the folder (2.4 GB with
its files; by default it goes away afterwards). Each method runs `repeats` times in a process of its own, one thread;
seconds are the median, `processor` those of the processor alone, which grow less with other work on the machine.
`memory`: its peak resident memory, less that of the same process before the volume is there, over the volume's bytes.

read nii, read nii.gz, read mha, read dicom: SimpleITK to an array, nothing else, from the page cache
floor: the sum of the int16 volume, what memory bandwidth allows; bare: for each slice `mask = slice > -400`,
`mask.any(0)`, `mask.argmax(0)`, `mask.sum(0)`: silhouette, depth and thickness by plain numpy, and nothing else
none, fit: projection.project with this couch mode
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage
from threadpoolctl import threadpool_limits

from synth.domain.projection import CT_THRESHOLD_HU, Volume, project
from synth.domain.volume import write_volume
from synth.phantom import body_phantoms, make_patient, scan
from synth.template import load_template
from tests.benchmarks.surroundings import surroundings
from tests.dicoms import write_series

WIDTH = 512
FILES = {"read nii": "body.nii", "read nii.gz": "body.nii.gz", "read mha": "body.mha", "read dicom": "series"}
METHODS = (*FILES, "floor", "bare", "none", "fit")


def make_body(slices: int) -> Volume:
    """A virtual patient on a couch in (slices, 512, 512) int16: a coarse scan, interpolated, with noise of its own."""
    recipe, template = replace(body_phantoms(), couch="plates", noise=0.0), load_template("body")
    coarse = scan(recipe, template, make_patient(recipe, template, 3, 6), 3, 6)  # 594 mm wide
    depth, _, width = coarse.voxels.shape
    step = width / WIDTH  # in coarse voxels
    grid = np.meshgrid(np.arange(WIDTH) * step, np.arange(WIDTH) * step, indexing="ij")
    rng = np.random.default_rng([5, 1])
    noise = rng.normal(0, 20, (2 * WIDTH, WIDTH)).astype(np.int16)
    voxels = np.full((slices, WIDTH, WIDTH), -1000, np.int16)
    for k, place in enumerate(np.linspace(0, depth - 1, slices)):
        first = min(int(place), depth - 2)
        part = coarse.voxels[first] + (coarse.voxels[first + 1] - coarse.voxels[first]) * np.float32(place - first)
        fine = ndimage.map_coordinates(part.astype(np.float32), grid, order=1, cval=-1000)
        start = int(rng.integers(WIDTH))
        voxels[k] = fine.astype(np.int16) + noise[start : start + WIDTH]
    sx, sy, sz = coarse.spacing_mm
    affine = np.column_stack([np.diag([sx * step, sy * step, sz * depth / slices]), np.zeros(3)])
    return Volume(voxels=voxels, index_to_patient=affine)


def write(folder: Path, slices: int) -> None:
    """All files of the benchmark, where they are not there yet."""
    if (folder / "affine.json").exists():
        return
    volume = make_body(slices)
    np.save(folder / "body.npy", volume.voxels)
    for name in ("body.nii", "body.nii.gz", "body.mha"):
        write_volume(volume, folder / name)
    x, _, z = volume.spacing_mm
    write_series(folder / "series", volume.voxels, spacing=(x, x), step=(0.0, 0.0, z))
    (folder / "affine.json").write_text(json.dumps(volume.index_to_patient.tolist()))


def read_alone(path: Path) -> NDArray[np.generic]:
    """The array in a file or series by SimpleITK alone."""
    if path.is_dir():
        return sitk.GetArrayFromImage(sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))))
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def bare_pass(voxels: NDArray[np.int16]) -> tuple[NDArray[np.generic], ...]:
    """Silhouette, first crossing and count of tissue (Z, X), by plain numpy."""
    shape = voxels.shape[0], voxels.shape[2]
    seen, first, count = np.zeros(shape, bool), np.zeros(shape, np.intp), np.zeros(shape, np.intp)
    for k, part in enumerate(voxels):
        mask = part > int(CT_THRESHOLD_HU)  # a float would cost four times as much
        seen[k], first[k], count[k] = mask.any(0), mask.argmax(0), mask.sum(0)
    return seen, first, count


def act_of(method: str, folder: Path) -> tuple[Callable[[], object], int]:
    """(what to time, bytes of the volume)."""
    if method in FILES:
        return lambda: read_alone(folder / FILES[method]), np.load(folder / "body.npy", mmap_mode="r").nbytes
    voxels = np.load(folder / "body.npy")
    volume = Volume(voxels=voxels, index_to_patient=np.array(json.loads((folder / "affine.json").read_text())))
    acts: dict[str, Callable[[], object]] = {
        "floor": lambda: voxels.sum(dtype=np.int64),
        "bare": lambda: bare_pass(voxels),
        "none": lambda: project(volume, couch="none"),
        "fit": lambda: project(volume, couch="fit"),
    }
    return acts[method], voxels.nbytes


def measure(method: str, folder: Path, repeats: int) -> dict[str, object]:
    """The figures of one method, in this process."""
    before = peak()
    act, size = act_of(method, folder)
    seconds, busy = [], []
    with threadpool_limits(1):
        for _ in range(repeats):
            start, start_busy = time.perf_counter(), time.process_time()
            act()
            seconds.append(time.perf_counter() - start)
            busy.append(time.process_time() - start_busy)
    spread = {"seconds": statistics.median(seconds), "from": min(seconds), "to": max(seconds)}
    spread["processor"] = statistics.median(busy)
    return {name: round(value, 3) for name, value in spread.items()} | {"memory": round((peak() - before) / size, 2)}


def peak() -> int:
    """The process's peak resident memory, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(folder: Path, given: argparse.Namespace) -> dict[str, object]:
    """The figures by method."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        pool.apply(write, (folder, given.slices))  # not here: the peak of a child starts at that of its parent
        return {name: pool.apply(measure, (name, folder, given.repeats)) for name in given.methods}


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--folder", type=Path, help="where the files are kept; default: a temporary one")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--slices", type=int, default=1000)
    options.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    given = options.parse_args()
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
        found = run(given.folder, given)
    else:
        with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as scratch:
            found = run(Path(scratch), given)
    print(json.dumps({"slices": given.slices, "methods": found, **surroundings()}, indent=1))


if __name__ == "__main__":
    main()
