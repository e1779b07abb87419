"""Samples that do not fit into memory: Ray Data reads them window by window, in the order of the plan.

Every worker reads every window, for it needs the labels of whole batches, and unpacks the images of its own slice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import ray
import torch
from numpy.typing import NDArray
from ray.data import DataContext

from synth.domain.patch import Crop
from synth.domain.rows import read_rows
from synth.domain.shards import Manifest, read_manifest
from training.data import Patches
from training.job import PretrainJob
from training.models import Inputs
from training.plan import windows
from training.split import Split, columns_for, num_held_out, read_held_out

READERS = 2  # windows that are read at a time, for each worker


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The first `count` rows of the dataset at `uri`, never all in memory. See data.Source.

    device: where patches arrive; inputs: the planes that are read; crop: how patches were cut
    columns: what is read of each row
    """

    uri: str
    manifest: Manifest
    count: int
    columns: tuple[str, ...]
    inputs: Inputs
    crop: Crop
    device: torch.device

    def __len__(self) -> int:
        return self.count

    def batches(self, seed: int, epoch: int, size: int, start: int = 0) -> Iterator[Patches]:
        """The global batches of an epoch by the plan, from step `start`. Ray must be running."""
        windows_left = list(_from(windows(seed, epoch, self.count), start * size))
        for table in _whole_batches(self.tables(windows_left), size):
            # unpacked from Arrow a window at a time: batch by batch costs four times as much
            patches = Patches.from_table(table, self.manifest.anatomy, self.device, inputs=self.inputs, crop=self.crop)
            for rows in torch.arange(len(patches)).split(size):
                yield patches.select(rows)

    def tables(self, wanted: list[NDArray[np.int64]]) -> Iterator[pa.Table]:
        """The rows of each window, a table a window, read ahead of who asks for them."""
        uri, manifest, columns = self.uri, self.manifest, self.columns

        def read(items: pa.Table) -> pa.Table:
            rows = np.frombuffer(items["rows"][0].as_py(), np.int64)
            return read_rows(uri, manifest, rows, columns)

        DataContext.get_current().execution_options.preserve_order = True
        DataContext.get_current().enable_progress_bars = False
        items = ray.data.from_items([{"rows": rows.tobytes()} for rows in wanted], override_num_blocks=len(wanted))
        # the workers hold every CPU: readers that asked for one would wait for ever
        read_ahead = items.map_batches(read, batch_size=1, batch_format="pyarrow", num_cpus=0, concurrency=READERS)
        yield from read_ahead.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)


def _whole_batches(tables: Iterator[pa.Table], size: int) -> Iterator[pa.Table]:
    """The same rows in tables whose lengths are multiples of `size`, but for the last."""
    rest: pa.Table | None = None
    for table in tables:
        table = table if rest is None else pa.concat_tables([rest, table])
        whole = len(table) // size * size
        if whole:
            yield table.slice(0, whole)
        rest = table.slice(whole)
    if rest is not None and len(rest):
        yield rest


def stream_split(job: PretrainJob, device: torch.device) -> Split:
    """The job's samples as a stream, those held out in memory."""
    manifest = read_manifest(job.data_uri)
    stream = Stream(
        uri=job.data_uri,
        manifest=manifest,
        count=manifest.rows - num_held_out(manifest.rows),
        columns=columns_for(job, manifest.anatomy),
        inputs=job.model.reads,
        crop=job.crop,
        device=device,
    )
    return Split(stream, read_held_out(job, device))


def _from(wanted: Iterator[NDArray[np.int64]], first: int) -> Iterator[NDArray[np.int64]]:
    """The windows without the first `first` rows of all."""
    for rows in wanted:
        if first < len(rows):
            yield rows[first:]
        first = max(0, first - len(rows))
