"""Files under a URI, on a local disk or in an object store: each becomes visible in one step, whole.

That step is a rename on a local disk, a copy within the store on an object store.
"""

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs as pafs

from synth.domain.uploads import abort_uploads


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """(file system, path) of a URI (file:, s3://) or a local path. Raises ValueError for an unknown scheme."""
    if "://" not in uri:
        return pafs.LocalFileSystem(), str(Path(uri).absolute())
    if uri.startswith("s3://"):  # up to 10 MiB go up in one request; more of it in parts, see uploads.py
        uri += f"{'&' if '?' in uri else '?'}allow_delayed_open=true"
    try:
        return _opened(uri)
    except (pa.ArrowInvalid, ValueError) as error:
        raise ValueError(f"URI {uri!r} cannot be used: {error}; use a local path, file:// or s3://") from error


@lru_cache(maxsize=16)
def _opened(uri: str) -> tuple[pafs.FileSystem, str]:
    return pafs.FileSystem.from_uri(uri)  # type: ignore[no-any-return]  # s3: 13 ms of a core, and a connection


def has_files(uri: str) -> bool:
    """Whether anything lies under `uri`."""
    fs, base = filesystem(uri)
    listing = pafs.FileSelector(base, allow_not_found=True)
    return fs.get_file_info(base).type == pafs.FileType.File or bool(fs.get_file_info(listing))


def read_bytes(uri: str, name: str = "") -> bytes | None:
    """What a file under `uri` holds, or without a name the file at `uri`; None where it is missing."""
    fs, base = filesystem(uri)
    path = f"{base}/{name}" if name else base
    if fs.get_file_info(path).type != pafs.FileType.File:
        return None
    with fs.open_input_stream(path) as stream:
        return bytes(stream.read())


def write_bytes(uri: str, name: str, data: bytes) -> None:
    """Put a file under `uri` in one step: all of it under a temporary name, then a rename (a copy in object stores)."""
    fs, base = filesystem(uri)
    temporary = f"{base}/{name}.{uuid4().hex}.tmp"
    try:
        if isinstance(fs, pafs.LocalFileSystem):
            Path(base).mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        else:  # pyarrow 25 completes an upload that an exception interrupts: half an object, under this name alone
            with fs.open_output_stream(temporary) as stream:
                stream.write(data)
        fs.move(temporary, f"{base}/{name}")
    except BaseException:
        with suppress(OSError):
            fs.delete_file(temporary)
        with suppress(OSError):
            abort_uploads(uri, Path(temporary).name)
        raise
