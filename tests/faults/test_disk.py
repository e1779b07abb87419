"""A disk that fills up, a write that is interrupted: no half shard under its name, and the rerun has the same bits."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pytest

import synth.domain.shards
from synth.corpus import collect
from synth.domain.schema import to_table
from synth.domain.shards import stray_files, write_table
from synth.domain.storage import has_files, write_bytes
from synth.worker import plan_shards
from tests.faults.undisturbed import SEED, check_dataset, recipe, render_plainly, undisturbed

pytestmark = pytest.mark.slow
COUNT = 40


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that has room for a shard, not for three."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_resumed(small_disk: Path) -> None:
    undisturbed(COUNT)
    out = small_disk / "out"
    errors = render_plainly(str(out), COUNT)
    assert errors and all("No space left on device" in error for error in errors), errors
    assert not list(out.glob("*.tmp")), "what does not fit is removed"
    jobs = plan_shards(COUNT, recipe().shard_rows)
    with pytest.raises(ValueError, match="lacks shard"):
        collect(recipe(), SEED, jobs, str(out), tolerance=0)
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert render_plainly(str(out), COUNT) == []
    collect(recipe(), SEED, jobs, str(out), tolerance=0)
    check_dataset(str(out), COUNT)


class _Interrupted:
    """A file in memory whose write fails after `room` bytes: somewhere between row groups."""

    closed = False

    def __init__(self, room: int) -> None:
        self._room = room

    def write(self, data: Any) -> int:
        self._room -= len(memoryview(data))
        if self._room < 0:
            raise KeyboardInterrupt
        return len(memoryview(data))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("room", [0, 50_000, 100_000])
def test_an_exception_between_row_groups_leaves_nothing(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = to_table(undisturbed(COUNT)[1], {})
    monkeypatch.setattr(synth.domain.shards, "ROW_GROUP", 8)
    monkeypatch.setattr(pa, "BufferOutputStream", lambda: pa.PythonFile(_Interrupted(room), mode="w"))
    with pytest.raises((KeyboardInterrupt, OSError)):
        write_table(table, str(tmp_path / "out"), 0, {})
    assert not has_files(str(tmp_path / "out"))


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (pafs.LocalFileSystem, "move")])
def test_an_interrupt_while_writing_keeps_what_was_there(
    owner: Any, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    write_bytes(str(tmp_path), "shard-00000.parquet", b"old")
    if owner is os:
        monkeypatch.setattr(os, step, interrupt)
    else:  # a class of C, whose methods cannot be replaced

        class Broken(pafs.LocalFileSystem):
            move = interrupt

        monkeypatch.setattr(pafs, "LocalFileSystem", Broken)
    for name in ("shard-00000.parquet", "shard-00001.parquet"):
        with pytest.raises(KeyboardInterrupt):
            write_bytes(str(tmp_path), name, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"shard-00000.parquet": b"old"}


def test_what_a_killed_write_left_is_ignored_and_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    left = [f"{name}.{'0' * 32}.tmp" for name in ("shard-00001.parquet", "ledger-00001.json", "manifest.json")]
    for name in left:
        (out / name).write_bytes(b"half")
    assert stray_files(str(out), {0, 1, 2}) == []
    assert render_plainly(str(out), COUNT) == []
    collect(recipe(), SEED, plan_shards(COUNT, recipe().shard_rows), str(out), tolerance=0)
    check_dataset(str(out), COUNT)
