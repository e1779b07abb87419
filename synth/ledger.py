"""The ledger of a shard in the making: how often it was begun, on record before it begins, and what is quarantined.

`ledger-00003.json` lies beside shard 3 while it is being made, and stays only where samples of it are quarantined.
A worker that dies says nothing; whoever is given its shard next reads here that it was begun before.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow.fs as pafs

from synth.domain.storage import filesystem, write_bytes

ATTEMPTS = 3


class GivenUp(Exception):
    """Work that ended its worker as often as it was begun; the text says which."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What is on record of one shard.

    run: the run of the driver that counts; the attempts of an earlier run, stopped by a person perhaps, do not
    begun: how often that run began the shard
    quarantine: for each sample that Blender failed on ATTEMPTS times, alone: sample_id, seed, recipe_hash, reason and
    parameters (name → value), from which figure.figure_of makes the same figure again
    """

    run: str
    begun: int = 0
    quarantine: tuple[dict[str, Any], ...] = ()


def begin(uri: str, index: int, run: str) -> Ledger:
    """The ledger of shard `index` with one more attempt, which is on record when this returns.

    Raises: GivenUp where this run has begun the shard ATTEMPTS times already.
    """
    known = read_ledger(uri, index)
    begun = known.begun if known is not None and known.run == run else 0
    if begun >= ATTEMPTS:
        raise GivenUp(f"its worker died {begun} times over it, mostly for want of memory; give fewer --workers")
    ledger = Ledger(run=run, begun=begun + 1)
    _write(uri, index, ledger)
    return ledger


def record(uri: str, index: int, ledger: Ledger, quarantine: list[dict[str, Any]]) -> None:
    """Put the quarantined samples of a shard on record; to be called before the shard is written."""
    if quarantine:
        _write(uri, index, replace(ledger, quarantine=tuple(quarantine)))


def close(uri: str, index: int) -> None:
    """Forget the attempts at a shard that is written, unless samples of it are quarantined."""
    ledger = read_ledger(uri, index)
    if ledger is not None and not ledger.quarantine:
        fs, base = filesystem(uri)
        fs.delete_file(f"{base}/{ledger_name(index)}")


def read_ledger(uri: str, index: int) -> Ledger | None:
    """The ledger of a shard; None where there is none. Raises ValueError where it is not readable."""
    fs, base = filesystem(uri)
    path = f"{base}/{ledger_name(index)}"
    if fs.get_file_info(path).type != pafs.FileType.File:
        return None
    try:
        with fs.open_input_stream(path) as stream:
            payload = json.loads(stream.read())
        return Ledger(**{**payload, "quarantine": tuple(payload["quarantine"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{uri}/{ledger_name(index)} is damaged: {error}; delete it and {index=}'s shard") from error


def ledger_name(index: int) -> str:
    """File name of the ledger of shard `index`."""
    return f"ledger-{index:05d}.json"


def _write(uri: str, index: int, ledger: Ledger) -> None:
    write_bytes(uri, ledger_name(index), (json.dumps(asdict(ledger), indent=1) + "\n").encode())
