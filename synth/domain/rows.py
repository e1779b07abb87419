"""Single rows of a dataset, read where they lie: what training streams."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synth.domain.shards import UNREADABLE, Manifest
from synth.domain.storage import filesystem


def read_rows(uri: str, manifest: Manifest, rows: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
    """The given rows (counted over all shards, any order, none twice), the columns of these that are there.

    Reads the shards that hold them, and of those the row groups that do. Raises: ValueError where one is damaged.
    """
    fs, base = filesystem(uri)
    ends = np.cumsum([shard.rows for shard in manifest.shards])
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    tables = []
    for index in np.unique(np.searchsorted(ends, ascending, side="right")):
        first = int(ends[index]) - manifest.shards[index].rows
        inside = ascending[np.searchsorted(ascending, first) : np.searchsorted(ascending, ends[index])] - first
        tables.append(_read_groups(fs, f"{base}/{Path(manifest.shards[index].name).name}", columns, inside))
    return pa.concat_tables(tables).take(pa.array(np.argsort(order, kind="stable")))


def _read_groups(fs: pafs.FileSystem, path: str, columns: Sequence[str], rows: NDArray[np.int64]) -> pa.Table:
    """The given rows of a shard, ascending, from the row groups that hold them."""
    try:
        with pq.ParquetFile(path, filesystem=fs) as file:
            ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
            groups = np.unique(np.searchsorted(ends, rows, side="right"))
            starts = (ends - np.diff(ends, prepend=0))[groups]
            kept = np.concatenate([[0], np.cumsum(ends[groups] - starts)])
            present = [name for name in columns if name in file.schema_arrow.names]
            table = file.read_row_groups(groups.tolist(), columns=present)
            inside = np.searchsorted(ends[groups], rows, side="right")
            return table.take(pa.array(rows - starts[inside] + kept[inside]))
    except UNREADABLE as error:
        raise ValueError(f"shard {path} is missing or damaged: {error}; rerun the command that made it") from error
