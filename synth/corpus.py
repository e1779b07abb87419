"""A dataset of renderings as a whole: what of it is still to be made, and its manifest once all of it is there."""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow.fs as pafs

from synth.domain.anatomy import anatomy_named
from synth.domain.shards import Manifest, Shard, file_names, read_shard_entry, shard_name, stray_files, write_manifest
from synth.domain.storage import filesystem
from synth.domain.uploads import abort_uploads
from synth.figure import RenderRecipe
from synth.ledger import close, ledger_name, read_ledger
from synth.worker import ShardJob, footer_of, is_done

READERS = (
    64  # shards of an object store whose entries are read at once: each waits for several answers, one after another
)
Entry = tuple[Shard, dict[str, str]]


def missing_jobs(recipe: RenderRecipe, seed: int, jobs: list[ShardJob], uri: str) -> list[ShardJob]:
    """The jobs whose shard is not there yet. Raises ValueError where `uri` holds something else."""
    strays = stray_files(uri, {job.index for job in jobs})
    if strays:
        raise ValueError(f"output {uri} holds something else ({strays[0]}); choose another --out")
    footer = footer_of(recipe, seed)
    there = file_names(uri)
    entries = _entries(uri, [job for job in jobs if shard_name(job.index) in there])
    return [job for job in jobs if (found := entries.get(job.index)) is None or not is_done(found, job, footer)]


def collect(recipe: RenderRecipe, seed: int, jobs: list[ShardJob], uri: str, tolerance: int) -> Manifest:
    """The manifest, rebuilt from what lies on disk, checked against the plan and written; what killed runs left goes.

    Raises: ValueError where a shard is missing, or more samples than `tolerance` are quarantined: then there is no
    manifest, and so no dataset.
    """
    footer = footer_of(recipe, seed)
    shards = []
    entries = _entries(uri, jobs)
    for job in jobs:
        found = entries[job.index]
        if found is None or not is_done(found, job, footer):
            raise ValueError(f"{uri} lacks shard {job.index} after rendering; run the command again")
        shards.append(found[0])
    manifest = Manifest(
        kind="renderings",
        anatomy=anatomy_named(recipe.anatomy),
        recipe=recipe.as_dict(),
        seed=seed,
        shards=tuple(shards),
        quarantine=tuple(_tidy(uri)),
    )
    _check(manifest, uri, tolerance)
    write_manifest(uri, manifest)
    return manifest


def _entries(uri: str, jobs: list[ShardJob]) -> dict[int, Entry | None]:
    """What read_shard_entry says of each job's shard, by its index; READERS are asked about at a time."""
    indices = [job.index for job in jobs]
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(indices, pool.map(partial(read_shard_entry, uri), indices), strict=True))


def _check(manifest: Manifest, uri: str, tolerance: int) -> None:
    """Raise ValueError where more than `tolerance` samples are quarantined."""
    count = len(manifest.quarantine)
    if count <= tolerance:
        return
    ids = manifest.quarantined
    places = [i for i, shard in enumerate(manifest.shards) if any(0 <= n - shard.first_id < shard.rows for n in ids)]
    ledgers, shards = ([name(place) for place in places] for name in (ledger_name, shard_name))
    named = [f"sample {entry['sample_id']}: {entry['reason']}" for entry in manifest.quarantine]
    raise ValueError(
        f"{count} of {manifest.rows} samples are quarantined, {tolerance} are allowed: {_some(named, '; ')}; their "
        f"parameters are on record in {_some(ledgers)} under {uri}; give --tolerance {count} to go on without them, or "
        f"delete {_some(shards)} to try them again, and run the command again"
    )


def _some(names: list[str], between: str = ", ") -> str:
    return between.join(names[:3]) + (f"{between}… ({len(names)} in all)" if len(names) > 3 else "")


def _tidy(uri: str) -> list[dict[str, object]]:
    """The records of all quarantined samples, by id. What killed runs left, and ledgers without records, goes."""
    fs, base = filesystem(uri)
    try:
        abort_uploads(uri)
    except OSError as error:  # they cost storage and nothing else: no reason to refuse a dataset that is whole
        logging.getLogger(__name__).warning("%s; give the bucket a rule that ends unfinished uploads", error)
    records: list[dict[str, object]] = []
    for name in sorted(info.base_name for info in fs.get_file_info(pafs.FileSelector(base))):
        if name.endswith(".tmp"):
            fs.delete_file(f"{base}/{name}")
        elif name.startswith("ledger-"):
            index = int(name.removeprefix("ledger-").removesuffix(".json"))
            ledger = read_ledger(uri, index)
            records += ledger.quarantine if ledger is not None else ()
            close(uri, index)
    return records
