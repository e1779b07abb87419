"""What the samples of a dataset are like: distributions over evenly spaced shards, few numbers a sample in memory."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synth.domain.anatomy import VISIBILITY_NAMES, Anatomy
from synth.domain.schema import Samples, from_table, unpack_silhouettes
from synth.domain.shards import VERSIONS, Manifest, Shard, read_table
from synth.domain.storage import filesystem

Floats = NDArray[np.float32]
SUMMARISED = 16384  # samples: shares are then known to ± 0.4 % (one deviation), quantiles of 0.5 % to ± 0.06 %
BINS = 40
MOST_CODES = 12  # a parameter with at most so many values, all of them whole numbers, says which of several modes


@dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
    """Measures of N samples of a dataset; quarantined ones, whose rows show nothing, are left out.

    total: rows of the dataset, of which `quarantined` show nothing
    mean: (H, W) share of samples whose silhouette covers a pixel; foreground: (N,) share of the patch
    pixel_mm: (N,), NaN where unknown; extent_mm: (N,) depth from the nearest surface to the farthest, NaN where unknown
    landmarks: (N, K, 2) px; visible: (N, K) codes
    parameters: (N, P), named by `names`; bytes_by_column: compressed, per sample; footer: of the first shard; versions:
    what rendered most of these shards, as their footers say it
    """

    total: int
    quarantined: int
    mean: Floats
    foreground: Floats
    pixel_mm: Floats
    extent_mm: Floats
    landmarks: Floats
    visible: NDArray[np.uint8]
    parameters: Floats
    names: tuple[str, ...]
    bytes_by_column: dict[str, float]
    footer: dict[str, str]
    versions: str

    def __len__(self) -> int:
        return len(self.foreground)

    def codes(self) -> dict[str, dict[int, float]]:
        """Of each parameter that says which mode a sample is of: share of samples by code."""
        found = {}
        for name, values in zip(self.names, self.parameters.T, strict=True):
            kinds, counts = np.unique(values, return_counts=True)
            if 1 < len(kinds) <= MOST_CODES and np.all(kinds == np.rint(kinds)):
                found[name] = {int(kind): int(count) / len(self) for kind, count in zip(kinds, counts, strict=True)}
        return found

    def seen(self, anatomy: Anatomy) -> dict[str, dict[str, float]]:
        """Of each landmark: share of samples by how it is seen."""
        return {
            name: {
                VISIBILITY_NAMES[code]: round(float((self.visible[:, k] == code).mean()), 4)
                for code in np.unique(self.visible[:, k])
            }
            for k, name in enumerate(anatomy.names)
        }


def summarise(uri: str, manifest: Manifest) -> Summary:
    """The summary of evenly spaced shards that hold about SUMMARISED samples, or of all where there are fewer."""
    shards = chosen_shards(manifest)
    covered = np.zeros(manifest.anatomy.size, np.int64)
    parts = [_measure(samples, manifest.anatomy, covered) for samples in _read(uri, manifest, shards)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    _, footer = read_footer(uri, shards[0])
    names = json.loads(footer.get("synthmark.parameters", "[]"))
    count = len(columns["foreground"])
    if count == 0:
        raise ValueError(f"{uri}: every sample of its {len(shards)} shards looked at is quarantined; render it again")
    if len(names) != columns["parameters"].shape[1]:
        names = [f"parameter {i}" for i in range(columns["parameters"].shape[1])]
    return Summary(
        total=manifest.rows,
        quarantined=len(manifest.quarantine),
        mean=np.asarray(covered / count, np.float32),
        names=tuple(names),
        bytes_by_column=column_bytes(uri, shards),
        footer=footer,
        versions=Counter(read_footer(uri, shard)[1].get(VERSIONS, "") for shard in shards).most_common(1)[0][0],
        **columns,
    )


def chosen_shards(manifest: Manifest) -> list[Shard]:
    """Shards, evenly spaced and in order, that hold about SUMMARISED samples."""
    shards = manifest.shards
    rows = max(shard.rows for shard in shards)
    count = min(len(shards), max(1, SUMMARISED // rows))
    places = np.linspace(0, len(shards) - 1, count).round().astype(int)
    return [shards[place] for place in places]


def _read(uri: str, manifest: Manifest, shards: Iterable[Shard]) -> Iterator[Samples]:
    """The samples of each shard that show something."""
    for shard in shards:
        samples = from_table(read_table(uri, shard)[0], manifest.anatomy)
        yield shown(samples, manifest)


def shown(samples: Samples, manifest: Manifest) -> Samples:
    """The samples that show something: those that are not quarantined."""
    if not manifest.quarantine:
        return samples
    return samples.at(np.flatnonzero(~np.isin(samples.sample_id, manifest.quarantined)))


def _measure(samples: Samples, anatomy: Anatomy, covered: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The measures of one shard; the number of silhouettes over each pixel is added to `covered`."""
    masks = unpack_silhouettes(samples.packed, anatomy.size)
    covered += masks.sum(0)
    extent = np.full(len(samples), np.nan, np.float32)
    if samples.depth_mm is not None:
        near = np.where(masks, samples.depth_mm, np.inf).min((1, 2))
        extent = np.asarray(samples.depth_mm.max((1, 2)) - np.where(np.isfinite(near), near, 0), np.float32)
    return {
        "foreground": masks.mean((1, 2), dtype=np.float32),
        "pixel_mm": samples.pixel_mm[:, 0],
        "extent_mm": extent,
        "landmarks": samples.landmarks[..., :2],
        "visible": samples.visible,
        "parameters": samples.parameters,
    }


def read_footer(uri: str, shard: Shard) -> tuple[pq.FileMetaData, dict[str, str]]:
    """(Parquet's metadata, footer) of a shard; none of its columns is read."""
    fs, base = filesystem(uri)
    with pq.ParquetFile(f"{base}/{shard.name}", filesystem=fs) as file:
        metadata = file.metadata
    return metadata, {key.decode(): value.decode() for key, value in (metadata.metadata or {}).items()}


def column_bytes(uri: str, shards: Sequence[Shard]) -> dict[str, float]:
    """Compressed bytes per sample of each column, over these shards."""
    total: dict[str, float] = {}
    for shard in shards:
        metadata, _ = read_footer(uri, shard)
        for group in range(metadata.num_row_groups):
            for place in range(metadata.num_columns):
                column = metadata.row_group(group).column(place)
                name = column.path_in_schema.split(".")[0]
                total[name] = total.get(name, 0) + column.total_compressed_size
    rows = sum(shard.rows for shard in shards)
    return {name: round(size / rows, 1) for name, size in total.items()}


def as_json(summary: Summary, anatomy: Anatomy) -> dict[str, Any]:
    """The summary as JSON types; `parameters` holds a histogram of each."""
    return {
        "samples": summary.total,
        "quarantined": summary.quarantined,
        "summarised": len(summary),
        "bytes_by_column": summary.bytes_by_column,
        "foreground_share": spread(summary.foreground),
        "pixel_mm": spread(summary.pixel_mm),
        "nearest_to_farthest_mm": spread(summary.extent_mm),
        "visible": summary.seen(anatomy),
        "landmarks_px": {
            name: {axis: spread(summary.landmarks[:, k, i]) for i, axis in enumerate("xy")}
            for k, name in enumerate(anatomy.names)
        },
        "codes": {
            name: {str(code): round(share, 4) for code, share in shares.items()}
            for name, shares in summary.codes().items()
        },
        "parameters": {
            name: {**spread(values), **histogram(values)}
            for name, values in zip(summary.names, summary.parameters.T, strict=True)
        },
    }


def spread(values: Floats) -> dict[str, float]:
    """Mean, deviation and quantiles of the finite values; empty where there are none."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return {}
    named = zip(("min", "p0.5", "median", "p99.5", "max"), np.percentile(finite, [0, 0.5, 50, 99.5, 100]), strict=True)
    made = {"mean": finite.mean(), "sd": finite.std(), **dict(named)}
    return {name: round(float(value), 4) for name, value in made.items()}


def histogram(values: Floats) -> dict[str, Any]:
    """Counts of the finite values in BINS bins from `low` to `high`, their smallest and largest."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return {}
    counts, edges = np.histogram(finite, BINS)
    return {"low": float(edges[0]), "high": float(edges[-1]), "counts": counts.tolist()}
