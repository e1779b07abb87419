"""An S3-compatible store on loopback: no half object under a final name, no unfinished upload, the same bits."""

import multiprocessing
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
from synth.domain.uploads import _client, abort_uploads
from synth.worker import plan_shards
from tests.commands import ROOT
from tests.faults.processes import answers, free_port, kill, wait_for
from tests.faults.undisturbed import SEED, check_dataset, recipe, render_plainly, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.alone]
COUNT = 80  # 5 shards
LARGE = bytes(25 << 20)  # goes up in three parts


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(host:port, log of the requests) of a server that lives as long as these tests."""
    port = free_port()
    log = tmp_path_factory.mktemp("store") / "requests"
    command = [sys.executable, "-m", "tests.faults.store", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as stream:
        running = subprocess.Popen(command, stderr=stream, stdout=stream, cwd=ROOT)
    try:
        wait_for(lambda: running.poll() is not None or answers(port), 30, "the store starts")
        assert running.poll() is None, log.read_text()
        yield f"127.0.0.1:{port}", log
    finally:
        running.kill()
        running.wait()


@pytest.fixture
def store(
    server: tuple[str, Path], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Path]:
    """(URI under an empty bucket of the test's own, log of the requests)."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    endpoint, log = server
    bucket = request.node.originalname.replace("_", "-")[:63].strip("-")
    uri = f"s3://{bucket}/hands?scheme=http&endpoint_override={endpoint}&allow_bucket_creation=true"
    filesystem(uri)[0].create_dir(bucket)
    return uri, log


def _path(uri: str) -> str:
    return "/" + filesystem(uri)[1]


def _bucket(uri: str) -> str:
    return _path(uri).split("/")[1]


def _unfinished(uri: str) -> list[str]:
    """Keys of the uploads that were begun and neither completed nor aborted."""
    found = _client(uri).list_multipart_uploads(Bucket=_bucket(uri))
    return [upload["Key"] for upload in found.get("Uploads", ())]


def _names(uri: str) -> set[str]:
    import pyarrow.fs as pafs

    fs, base = filesystem(uri)
    return {info.base_name for info in fs.get_file_info(pafs.FileSelector(base, allow_not_found=True))}


def test_a_killed_run_is_resumed_and_nothing_half_is_seen_or_left(store: tuple[str, Path]) -> None:
    undisturbed(COUNT)
    uri, log = store
    jobs = plan_shards(COUNT, recipe().shard_rows)
    context = multiprocessing.get_context("spawn")
    run = context.Process(target=render_plainly, args=(uri, COUNT))
    run.start()
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
        for name in _names(uri) - seen:
            if name.endswith(".parquet"):
                assert read_shard_entry(uri, int(name[6:11])) is not None, f"{name} is seen and is not whole"
                seen.add(name)
    assert run.pid is not None and run.is_alive() and len(seen) == 2
    kill(run.pid)
    run.join()
    for key in ("hands/shard-00004.parquet.5f.tmp", "hands/someone-elses"):  # as one leaves it that dies between parts
        _client(uri).create_multipart_upload(Bucket=_bucket(uri), Key=key)
    assert 0 < len(missing_jobs(recipe(), SEED, jobs, uri)) < len(jobs)
    assert render_plainly(uri, COUNT) == []
    collect(recipe(), SEED, jobs, uri, tolerance=0)
    check_dataset(uri, COUNT)
    assert _names(uri) == {"manifest.json", *(f"shard-{job.index:05d}.parquet" for job in jobs)}
    assert _unfinished(uri) == ["hands/someone-elses"]
    assert f"PUT {_path(uri)}/shard-00003.parquet" in log.read_text()
    assert log.read_text().count(f"POST {_path(uri)}/") == 2, "our own objects take one request each"


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
    assert f"PUT {_path(uri)}/shard-00001.parquet." in log.read_text(), "half of it went up, under another name"
    assert _names(uri) == {"shard-00000.parquet"}
    with fs.open_input_stream(f"{base}/shard-00000.parquet") as stream:
        assert stream.read() == b"old and whole"


def test_a_shard_of_several_parts_is_whole_or_not_there(store: tuple[str, Path]) -> None:
    uri, log = store
    write_bytes(uri, "shard-00000.parquet", LARGE)
    assert f"POST {_path(uri)}/shard-00000.parquet." in log.read_text(), "it went up in parts"
    with pytest.raises(OSError, match="UploadPart"):
        write_bytes(uri, "refused.parquet", LARGE)
    assert _names(uri) == {"shard-00000.parquet"} and _unfinished(uri) == []
    assert f"DELETE {_path(uri)}/refused.parquet." in log.read_text(), "what had gone up was removed"


def test_a_store_that_does_not_list_uploads_is_said(store: tuple[str, Path]) -> None:
    uri, _ = store
    with pytest.raises(OSError, match="unfinished uploads under hands/ of bucket nothing-here cannot be removed"):
        abort_uploads(uri.replace(_bucket(uri), "nothing-here"))
