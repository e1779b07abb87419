"""Files under a URI: whole or not there, and the same place by path and by URI."""

import os

import pytest

from synth.domain.shards import stray_files
from synth.domain.storage import filesystem, has_files, write_bytes


def test_a_written_file_is_there_whole_and_alone(tmp_path):
    uri = f"file://{tmp_path}/new/folder"
    assert not has_files(uri)
    for data in (b"one", b"another"):
        write_bytes(uri, "a", data)
        assert [(path.name, path.read_bytes()) for path in (tmp_path / "new" / "folder").iterdir()] == [("a", data)]
    assert has_files(uri) and has_files(f"{tmp_path}/new/folder")


def test_failed_write_leaves_neither_a_new_nor_a_damaged_file(tmp_path, monkeypatch):
    uri = str(tmp_path)
    write_bytes(uri, "shard-00000.parquet", b"old")

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    for name in ("shard-00000.parquet", "shard-00001.parquet"):
        with pytest.raises(OSError, match="disk full"):
            write_bytes(uri, name, b"new and longer")
    assert (tmp_path / "shard-00000.parquet").read_bytes() == b"old"
    assert not (tmp_path / "shard-00001.parquet").exists()
    assert stray_files(uri, {0}) == []


def test_an_unknown_scheme_is_one_clear_line():
    with pytest.raises(ValueError, match=r"'wrong://a/b' cannot be used: .*; use a local path, file:// or s3://"):
        filesystem("wrong://a/b")
