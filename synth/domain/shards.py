"""Datasets on disk or in an object store: shards, their manifest, and reading them back.

A dataset is a folder (URI) with `shard-00000.parquet` … and `manifest.json`. A shard is built wholly in memory and
becomes visible in one step (storage.py).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from synth.domain.anatomy import Anatomy, anatomy_from
from synth.domain.schema import (
    READABLE_VERSIONS,
    SCHEMA_VERSION,
    Samples,
    columns_of,
    content_hash,
    from_table,
    to_table,
)
from synth.domain.storage import filesystem, write_bytes

MANIFEST = "manifest.json"
ROW_GROUP = 512
VERSIONS = "synthmark.versions"  # footer key: what rendered the shard, as JSON; absent in older shards and in studies
UNREADABLE = (
    pa.ArrowException,
    ValueError,
    LookupError,
    TypeError,
    OSError,
    MemoryError,
)  # what damaged Parquet raises
_OWN = re.compile(r"ledger-\d+\.json|(shard-\d+\.parquet|ledger-\d+\.json|manifest\.json)\.\w+\.tmp")
Kind = Literal["renderings", "study"]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One entry of a manifest. content_hash: SHA-256 over column names and raw little-endian values."""

    name: str
    first_id: int
    rows: int
    bytes: int
    content_hash: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a dataset holds. `recipe` is the resolved configuration that made it; `digest` covers every shard.

    source: the dataset whose labels were computed anew for this one (uri, digest, anatomy); None if there is none
    quarantine: a record (ledger.py) of each sample that could not be rendered; its row shows nothing
    """

    kind: Kind
    anatomy: Anatomy
    recipe: dict[str, Any]
    seed: int | None
    shards: tuple[Shard, ...]
    source: dict[str, str] | None = None
    quarantine: tuple[dict[str, Any], ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def quarantined(self) -> list[int]:
        """Ids of the samples whose rows show nothing, ascending."""
        return sorted(int(record["sample_id"]) for record in self.quarantine)

    @property
    def digest(self) -> str:
        """SHA-256 over the shards' ids and content hashes, in order: equal digests mean equal data."""
        text = "".join(f"{shard.first_id}:{shard.rows}:{shard.content_hash}\n" for shard in self.shards)
        return hashlib.sha256(text.encode()).hexdigest()


def recipe_hash(recipe: dict[str, Any]) -> str:
    """16 hex digits that name a resolved recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def shard_name(index: int) -> str:
    """File name of shard `index`."""
    return f"shard-{index:05d}.parquet"


def write_shard(samples: Samples, uri: str, index: int, footer: dict[str, str]) -> Shard:
    """Write one shard and return its manifest entry. Nothing is visible under its name until all of it is there."""
    return write_table(to_table(samples, {}), uri, index, footer)


def write_table(table: pa.Table, uri: str, index: int, footer: dict[str, str]) -> Shard:
    """Write one shard of rows that are a table already, as write_shard does."""
    digest = content_hash(table)
    metadata = {**footer, "synthmark.schema_version": str(SCHEMA_VERSION), "synthmark.content_hash": digest}
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=False,  # floats that never repeat: dictionaries made a body's shard an eighth larger
    )
    data = sink.getvalue().to_pybytes()
    name = shard_name(index)
    write_bytes(uri, name, data)
    first_id = table["sample_id"][0].as_py()
    return Shard(name=name, first_id=first_id, rows=len(table), bytes=len(data), content_hash=digest)


def read_shard_entry(uri: str, index: int) -> tuple[Shard, dict[str, str]] | None:
    """(manifest entry, footer) of a shard as it lies on disk, or None where it is missing or unreadable.

    Reads the footer and the ids alone; the content hash is the one recorded there (check.py recomputes it).
    """
    fs, base = filesystem(uri)
    info = fs.get_file_info(path := f"{base}/{shard_name(index)}")
    if info.type != pafs.FileType.File:
        return None
    try:
        with pq.ParquetFile(path, filesystem=fs) as file:
            footer = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
            ids = file.read(columns=["sample_id"])["sample_id"]
    except UNREADABLE:
        return None
    if len(ids) == 0:
        return None
    entry = Shard(
        name=shard_name(index),
        first_id=ids[0].as_py(),
        rows=len(ids),
        bytes=info.size,
        content_hash=footer.get("synthmark.content_hash", ""),
    )
    return entry, footer


def shard_fault(uri: str, shard: Shard) -> str | None:
    """What is wrong with a shard against its manifest entry, its whole content read and hashed; None if sound."""
    fs, base = filesystem(uri)
    try:
        with pq.ParquetFile(f"{base}/{Path(shard.name).name}", filesystem=fs) as file:
            table = file.read()
    except FileNotFoundError:
        return "missing"
    except UNREADABLE as error:
        return f"unreadable ({error})"
    version = (table.schema.metadata or {}).get(b"synthmark.schema_version", b"none").decode()
    if version not in map(str, READABLE_VERSIONS):
        return f"has schema version {version}, not {' or '.join(map(str, READABLE_VERSIONS))}"
    if len(table) != shard.rows:
        return f"has {len(table)} rows, not {shard.rows}"
    ids = table["sample_id"].to_numpy()
    if not np.array_equal(ids, np.arange(shard.first_id, shard.first_id + shard.rows)):
        return "has ids out of order, missing or twice"
    return None if content_hash(table) == shard.content_hash else "has other content than when it was written"


def write_manifest(uri: str, manifest: Manifest) -> None:
    """Write manifest.json, the last step of making a dataset."""
    payload = {
        "format": "synthmark",
        "schema_version": SCHEMA_VERSION,
        "kind": manifest.kind,
        "anatomy": manifest.anatomy.as_dict(),
        "rows": manifest.rows,
        "seed": manifest.seed,
        "digest": manifest.digest,
        "recipe_hash": recipe_hash(manifest.recipe),
        "recipe": manifest.recipe,
        "source": manifest.source,
        "quarantine": manifest.quarantine,
        "shards": [vars(shard) for shard in manifest.shards],
    }
    write_bytes(uri, MANIFEST, (json.dumps(payload, indent=1) + "\n").encode())


def stray_files(uri: str, shards: set[int]) -> list[str]:
    """Names under `uri` that are neither these shards, the manifest, a ledger nor temporary files of ours."""
    fs, base = filesystem(uri)
    if fs.get_file_info(base).type == pafs.FileType.File:
        return [base]
    return sorted(name for name in file_names(uri) - {MANIFEST, *map(shard_name, shards)} if not _OWN.fullmatch(name))


def file_names(uri: str) -> set[str]:
    """What lies under `uri`, by one listing."""
    fs, base = filesystem(uri)
    return {info.base_name for info in fs.get_file_info(pafs.FileSelector(base, allow_not_found=True))}


def read_manifest(uri: str) -> Manifest:
    """The manifest of a dataset. Raises ValueError where there is none or it is not ours."""
    fs, base = filesystem(uri)
    try:
        with fs.open_input_stream(f"{base}/{MANIFEST}") as stream:
            payload = json.loads(stream.read())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"{uri} holds no dataset ({MANIFEST} is missing); render.py or study.py make one") from error
    except ValueError as error:
        raise ValueError(f"{uri}/{MANIFEST} is not readable: {error}") from error
    if not isinstance(payload, dict) or payload.get("format") != "synthmark":
        raise ValueError(f"{uri}/{MANIFEST} is not a synthmark manifest")
    if payload.get("schema_version") not in READABLE_VERSIONS:
        version, readable = payload.get("schema_version"), " and ".join(map(str, READABLE_VERSIONS))
        raise ValueError(f"{uri} has schema version {version}; this synthmark reads {readable}")
    try:
        return Manifest(
            kind=payload["kind"],
            anatomy=anatomy_from(payload["anatomy"]),
            recipe=payload["recipe"],
            seed=payload["seed"],
            shards=tuple(Shard(**entry) for entry in payload["shards"]),
            source=payload.get("source"),
            quarantine=tuple(payload.get("quarantine", ())),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{uri}/{MANIFEST} is damaged: {error!r}") from error


def read_samples(
    uri: str,
    anatomy: Anatomy,
    *,
    depth: bool = False,
    thickness: bool = False,
    points: bool = False,
    shards: Sequence[int] | None = None,
    limit: int | None = None,
) -> Samples:
    """Rows of a dataset in id order: all, or those of the given shard indices, or the first `limit`.

    Raises: ValueError where the dataset is missing, of another anatomy, or a shard is missing or damaged.
    """
    manifest = read_manifest(uri)
    if not manifest.anatomy.has_landmarks_of(anatomy):
        raise ValueError(f"{uri} holds {manifest.anatomy.name} data; {anatomy.name} is needed")
    fs, base = filesystem(uri)
    chosen = manifest.shards if shards is None else [manifest.shards[i] for i in shards]
    tables: list[pa.Table] = []
    rows = 0
    for shard in chosen:
        if limit is not None and rows >= limit:
            break
        wanted = columns_of(depth=depth, thickness=thickness, study=manifest.kind == "study", points=points)
        tables.append(_read_table(fs, f"{base}/{Path(shard.name).name}", wanted))
        if len(tables[-1]) != shard.rows:
            raise ValueError(f"{uri}/{shard.name} has {len(tables[-1])} rows; its manifest says {shard.rows}")
        rows += shard.rows
    if not tables:
        raise ValueError(f"{uri} holds no rows")
    table = pa.concat_tables(tables)
    return from_table(table if limit is None else table.slice(0, limit), anatomy)


def read_table(uri: str, shard: Shard) -> tuple[pa.Table, dict[str, str]]:
    """(every column, footer) of a shard. Raises ValueError where it is missing or damaged."""
    fs, base = filesystem(uri)
    table = _read_table(fs, f"{base}/{Path(shard.name).name}", None)
    return table, {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}


def _read_table(fs: pafs.FileSystem, path: str, wanted: Sequence[str] | None) -> pa.Table:
    """The wanted columns that are there; all of them for None."""
    try:
        with pq.ParquetFile(path, filesystem=fs) as file:
            present = file.schema_arrow.names
            return file.read(columns=None if wanted is None else [name for name in wanted if name in present])
    except UNREADABLE as error:
        raise ValueError(f"shard {path} is missing or damaged: {error}; rerun the command that made it") from error
