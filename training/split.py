"""Which renderings are trained on and which are held out, and how both are read."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.rows import read_rows
from synth.domain.shards import read_manifest
from training.data import Patches, Source
from training.job import PretrainJob

HELD_OUT_SHARE = 20  # one in so many renderings, the last by id, is never trained on
MOST_HELD_OUT = 1000


class Split(NamedTuple):
    """Samples to train on and patches held out."""

    train: Source
    held_out: Patches


def num_held_out(rows: int) -> int:
    """How many of `rows` samples, the last by id, are held out for validation."""
    return min(MOST_HELD_OUT, max(1, rows // HELD_OUT_SHARE))


def columns_for(job: PretrainJob, anatomy: Anatomy) -> tuple[str, ...]:
    """The columns that the job's network learns from."""
    own = anatomy.names != anatomy_named(anatomy.base).names
    shown = [name for name in ("depth", "thickness") if name in job.model.reads]
    return ("sample_id", "silhouette", "observed", "landmarks", "visible", "pixel_mm", *shown, *["points"] * own)


def read_split(job: PretrainJob, device: torch.device | str = "cpu") -> Split:
    """All patches of the job's data on `device`, the last by id held out."""
    rows = read_manifest(job.data_uri).rows
    trained_on = rows - num_held_out(rows)
    return Split(_read(job, np.arange(trained_on), device), read_held_out(job, device))


def read_held_out(job: PretrainJob, device: torch.device | str = "cpu") -> Patches:
    """The patches that are held out, on `device`."""
    rows = read_manifest(job.data_uri).rows
    return _read(job, np.arange(rows - num_held_out(rows), rows), device)


def read_trained_on(job: PretrainJob, count: int, device: torch.device | str = "cpu") -> Patches:
    """The first `count` patches that are trained on, or all of them, on `device`."""
    rows = read_manifest(job.data_uri).rows
    return _read(job, np.arange(min(count, rows - num_held_out(rows))), device)


def _read(job: PretrainJob, rows: NDArray[np.int64], device: torch.device | str) -> Patches:
    manifest = read_manifest(job.data_uri)
    table = read_rows(job.data_uri, manifest, rows, columns_for(job, manifest.anatomy))
    return Patches.from_table(table, manifest.anatomy, device, inputs=job.model.reads, crop=job.crop)
