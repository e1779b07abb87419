"""Reading in a child process: the same scans, and limits that hold."""

import gzip
import os
import resource
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest

from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.reader import Reader
from synth.domain.volume import read, write_image, write_volume


@pytest.fixture(scope="module")
def reader():
    with Reader() as made:
        yield made


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_a_volume_is_the_same_as_read_in_this_process(reader, tmp_path, dtype):
    voxels = np.random.default_rng([6, 1]).integers(0, 200, (5, 6, 7)).astype(dtype)
    affine = np.column_stack([np.diag([2.0, 3, 4]), [5.0, 6, 7]])
    write_volume(Volume(voxels=voxels, index_to_patient=affine), tmp_path / "a.nii.gz")
    one, other = read(tmp_path / "a.nii.gz"), reader.read(tmp_path / "a.nii.gz")
    assert isinstance(other, Volume) and other.voxels.dtype == dtype and other.notes == one.notes != ()
    np.testing.assert_array_equal(other.voxels, one.voxels)
    np.testing.assert_array_equal(other.index_to_patient, one.index_to_patient)
    other.voxels[:] = 0  # its own memory, not the next one's
    np.testing.assert_array_equal(reader.read(tmp_path / "a.nii.gz").voxels, one.voxels)


@pytest.mark.parametrize("spacing", [None, 0.5])
def test_an_image_is_the_same_as_read_in_this_process(reader, tmp_path, spacing):
    write_image(np.arange(600, dtype=np.uint16).reshape(20, 30), tmp_path / "a.png")
    one, other = (f(tmp_path / "a.png", spacing_mm=spacing) for f in (read, reader.read))
    assert isinstance(other, Image) and other.spacing_mm == one.spacing_mm
    np.testing.assert_array_equal(other.pixels, one.pixels)
    np.testing.assert_array_equal(other.to_viewer, one.to_viewer)


def test_what_cannot_be_read_is_told_with_the_path_that_was_given(reader, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_text("no image")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^image a\.png cannot be read") as caught:
        reader.read(type(tmp_path)("a.png"))
    assert "\n" not in str(caught.value)


def test_a_crash_or_a_hang_costs_one_file(tmp_path):
    write_image(np.eye(9, dtype=np.uint8), tmp_path / "a.png")
    with Reader(seconds=2) as reader:
        for sent, words in ((signal.SIGSEGV, "crashed"), (signal.SIGSTOP, "takes longer than 2 s")):
            assert reader.read(tmp_path / "a.png").pixels.sum() == 9
            os.kill(reader._child.pid, sent)
            with pytest.raises(ValueError, match=words):
                reader.read(tmp_path / "a.png")
        assert reader.read(tmp_path / "a.png").pixels.sum() == 9


BOMB = """
import resource, sys
from pathlib import Path
from synth.domain.reader import Reader
with Reader(memory_bytes=1 << 30) as reader:
    try:
        reader.read(Path(sys.argv[1]))
    except ValueError as error:
        print(error)
own = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_stays_bounded_where_a_small_file_unfolds_into_a_large_one(tmp_path):
    """One gigabyte of zeros in one megabyte, true to its header: neither process may grow by it."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 500, 1000, 1000, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    member = gzip.compress(bytes(10_000_000), 9)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bytes(header)) + 100 * member)
    assert (tmp_path / "bomb.nii.gz").stat().st_size < 2 << 20
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(tmp_path / "bomb.nii.gz")], capture_output=True, text=True, check=True
    )
    said, peaks = done.stdout.splitlines()
    assert "needs more memory than a scan may" in said
    parent, child = (int(value) / 1024 for value in peaks.split())
    assert parent < 250 and child < 400, "MiB; the file speaks of 954"


def test_limits_are_the_childs_alone(reader, tmp_path):
    write_image(np.eye(9, dtype=np.uint8), tmp_path / "a.png")
    before = resource.getrlimit(resource.RLIMIT_AS)
    reader.read(tmp_path / "a.png")
    assert resource.getrlimit(resource.RLIMIT_AS) == before
