"""An S3-compatible store on loopback: no half object under a final name, no unfinished upload, the same bits.

Needs moto, here or in the Python that SYNTHMARK_MOTO_PYTHON names (its server runs in a process of its own).
"""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import synth.domain.storage
from synth.corpus import collect, missing_jobs
from synth.domain.shards import read_shard_entry
from synth.domain.storage import filesystem, write_bytes
from synth.worker import plan_shards
from tests.faults.processes import kill, wait_for
from tests.faults.undisturbed import SEED, check_dataset, recipe, render_plainly, undisturbed

pytestmark = pytest.mark.slow
COUNT = 160


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """(URI under an empty bucket, log of the requests) of a server that lives as long as the test."""
    python = os.environ.get("SYNTHMARK_MOTO_PYTHON", sys.executable)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if subprocess.run([python, "-c", "import moto.server"], capture_output=True, env=plain).returncode:
        pytest.skip("moto's server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    log = tmp_path / "requests"
    with log.open("wb") as stream:
        command = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stderr=stream, stdout=stream, env=plain)
    try:
        wait_for(lambda: _answers(port), 20, "the store starts")
        uri = f"s3://bucket/hands?scheme=http&endpoint_override=127.0.0.1:{port}&allow_bucket_creation=true"
        filesystem(uri)[0].create_dir("bucket")
        yield uri, log
    finally:
        server.kill()
        server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _names(uri: str) -> set[str]:
    import pyarrow.fs as pafs

    fs, base = filesystem(uri)
    return {info.base_name for info in fs.get_file_info(pafs.FileSelector(base, allow_not_found=True))}


def test_a_killed_run_is_resumed_and_no_half_shard_is_seen(store: tuple[str, Path]) -> None:
    undisturbed(COUNT)
    uri, log = store
    jobs = plan_shards(COUNT, recipe().shard_rows)
    context = multiprocessing.get_context("spawn")
    run = context.Process(target=render_plainly, args=(uri, COUNT))
    run.start()
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while len(seen) < 3 and time.monotonic() < deadline:
        for name in _names(uri) - seen:
            if name.endswith(".parquet"):
                assert read_shard_entry(uri, int(name[6:11])) is not None, f"{name} is seen and is not whole"
                seen.add(name)
    assert run.pid is not None and run.is_alive() and len(seen) == 3
    kill(run.pid)
    run.join()
    assert 0 < len(missing_jobs(recipe(), SEED, jobs, uri)) < len(jobs)
    assert render_plainly(uri, COUNT) == []
    collect(recipe(), SEED, jobs, uri, tolerance=0)
    check_dataset(uri, COUNT)
    assert _names(uri) == {"manifest.json", *(f"shard-{job.index:05d}.parquet" for job in jobs)}
    assert "PUT /bucket/hands/shard-00003.parquet" in log.read_text()
    assert "uploads" not in log.read_text(), "no upload in parts, so none is left unfinished"


class _Cut:
    """A file system whose uploads are interrupted after half of the data: pyarrow then commits that half."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def open_output_stream(self, path: str) -> "_CutStream":
        return _CutStream(self._fs.open_output_stream(path))


class _CutStream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> "_CutStream":
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.__exit__(*error)

    def write(self, data: bytes) -> None:
        self._stream.write(data[: len(data) // 2])
        raise KeyboardInterrupt


def test_an_interrupted_upload_keeps_what_was_there(store: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    uri, log = store
    write_bytes(uri, "shard-00000.parquet", b"old and whole")
    fs, base = filesystem(uri)
    with monkeypatch.context() as patched:
        patched.setattr(synth.domain.storage, "filesystem", lambda _: (_Cut(fs), base))
        for name in ("shard-00000.parquet", "shard-00001.parquet"):
            with pytest.raises(KeyboardInterrupt):
                write_bytes(uri, name, b"new and longer")
    assert "PUT /bucket/hands/shard-00001.parquet." in log.read_text(), "half of it went up, under another name"
    assert _names(uri) == {"shard-00000.parquet"}
    with fs.open_input_stream(f"{base}/shard-00000.parquet") as stream:
        assert stream.read() == b"old and whole"
