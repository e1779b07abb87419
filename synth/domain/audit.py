"""What is wrong with a dataset: every shard read and hashed, held against the manifest, and each bad one named."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from synth.domain.shards import (
    MANIFEST,
    UNREADABLE,
    VERSIONS,
    Manifest,
    Shard,
    read_shard_entry,
    read_table,
    recipe_hash,
    shard_fault,
    shard_name,
    stray_files,
)
from synth.domain.storage import filesystem

_PREFIX, _OWN = "synthmark.", "synthmark.content_hash"  # of footer keys; the one that differs between sound shards


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A bad file: its name under the dataset, what is wrong, and what kind of thing that is.

    kind: `bad` goes and is made again, `missing` is made again, `extra` goes, `manifest` is written again;
    `versions` is sound, but rendered by other versions than most are.
    """

    name: str
    reason: str
    kind: Literal["bad", "missing", "extra", "manifest", "versions"]


def audit(uri: str, manifest: Manifest, on_shard: Callable[[Shard], object]) -> list[Fault]:
    """Every fault of the dataset, by name; `on_shard` is called after each shard. One shard is in memory at a time."""
    payload = _payload(uri)
    stated = _stated(payload, manifest)
    faults = _manifest_faults(payload, manifest)
    footers: dict[str, str] = {}
    for index, shard in enumerate(manifest.shards):
        if fault := _fault_of(uri, manifest, index, stated, footers):
            faults.append(fault)
        on_shard(shard)
    parts = {name: _without_versions(text) for name, text in footers.items()}
    odd = _outvoted({name: rest for name, (rest, _) in parts.items()})
    blamed = {fault.name for fault in odd}
    mixed = _mixed({name: versions for name, (_, versions) in parts.items() if name not in blamed})
    return sorted(faults + odd + mixed + _extra(uri, manifest), key=lambda fault: fault.name)


def _payload(uri: str) -> dict[str, Any]:
    fs, base = filesystem(uri)
    with fs.open_input_stream(f"{base}/{MANIFEST}") as stream:
        payload: dict[str, Any] = json.loads(stream.read())
    return payload


def _stated(payload: dict[str, Any], manifest: Manifest) -> dict[str, str]:
    """What the manifest says of every shard's footer, by key. A study's footers hold the schema version alone."""
    stated = {"schema_version": str(payload["schema_version"])}
    if manifest.kind == "renderings":
        # the recipe's hash as it was written: where the recipe itself was altered, the manifest is to blame
        stated |= {"recipe_hash": str(payload.get("recipe_hash")), "seed": str(manifest.seed)}
        stated["anatomy"] = manifest.anatomy.name
        if isinstance(payload["anatomy"], dict):  # version 1: a name alone
            stated["anatomy_hash"] = recipe_hash(payload["anatomy"])
    if manifest.source is not None:
        stated["source_digest"] = manifest.source["digest"]
    return stated


def _manifest_faults(payload: dict[str, Any], manifest: Manifest) -> list[Fault]:
    """Where the manifest's sums are not those of its entries, or its entries are not one run of ids."""
    reasons = [
        f"says {key} {payload.get(key)}, but what it lists gives {value}"
        for key, value in (
            ("rows", manifest.rows),
            ("digest", manifest.digest),
            ("recipe_hash", recipe_hash(manifest.recipe)),
        )
        if payload.get(key) != value
    ]
    next_id = 0
    for index, shard in enumerate(manifest.shards):
        if (shard.name, shard.first_id) != (shard_name(index), next_id):
            wanted = f"{shard_name(index)} from id {next_id}"
            reasons.append(f"entry {index} is {shard.name} from id {shard.first_id}; expected {wanted}")
        next_id = shard.first_id + shard.rows
    return [Fault(name=MANIFEST, reason=reason, kind="manifest") for reason in reasons]


def _fault_of(
    uri: str, manifest: Manifest, index: int, stated: dict[str, str], footers: dict[str, str]
) -> Fault | None:
    """What is wrong with a shard, its whole content read. A sound one's footer is added to `footers`."""
    shard = manifest.shards[index]
    fs, base = filesystem(uri)
    info = fs.get_file_info(f"{base}/{shard_name(index)}")
    if info.type != pafs.FileType.File:
        return Fault(name=shard.name, reason="is missing", kind="missing")
    try:
        reason = _reason(uri, manifest, index, stated, footers)
    except UNREADABLE as error:
        reason = f"unreadable ({error})"
    if reason and reason.startswith("unreadable") and info.size < shard.bytes:
        reason = f"truncated, {info.size:,} of {shard.bytes:,} bytes: {reason}"
    return Fault(name=shard.name, reason=reason, kind="bad") if reason else None


def _reason(uri: str, manifest: Manifest, index: int, stated: dict[str, str], footers: dict[str, str]) -> str | None:
    """The first of a shard's faults that says why the later ones are there."""
    shard = manifest.shards[index]
    present = read_shard_entry(uri, index)
    if present is None:
        return shard_fault(uri, shard) or "holds no samples"
    found, footer = present
    for key, value in stated.items():
        other = footer.get(_PREFIX + key, value)  # older versions wrote fewer keys
        if other != value:
            return f"is of another {key.removesuffix('_hash').replace('_', ' ')}: its {key} is {other!r}, not {value}"
    if found.content_hash != shard.content_hash:
        ids = f"ids {found.first_id} to {found.first_id + found.rows - 1}"
        twins = [entry.name for entry in manifest.shards if entry.content_hash == found.content_hash]
        return f"is a duplicate of {twins[0]}: it holds {ids}" if twins else f"holds other content, {ids}, than listed"
    reason = shard_fault(uri, shard)
    if reason is None:
        second = _second_footer(uri, shard)
        keys = (key for key in footer.keys() | second.keys() if key.startswith(_PREFIX) and key != _OWN)
        both = {key: (footer.get(key), second.get(key)) for key in keys}
        footers[shard.name] = sys.intern(json.dumps(both, sort_keys=True))
    return reason


def _second_footer(uri: str, shard: Shard) -> dict[str, str]:
    """The footer as read_table gives it: Parquet files by Arrow hold it twice, and one copy may be damaged."""
    fs, base = filesystem(uri)
    with pq.ParquetFile(f"{base}/{shard.name}", filesystem=fs) as file:
        return {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items()}


def _without_versions(text: str) -> tuple[str, str]:
    """(the footer of a shard without what rendered it, that as JSON): "" where it does not say, or says two things."""
    both = json.loads(text)
    first, second = both.pop(VERSIONS, ("", None))
    return (sys.intern(json.dumps(both, sort_keys=True)), first) if first == second else (text, "")


def _outvoted(footers: dict[str, str]) -> list[Fault]:
    """Shards whose footers (the names of parameters, …) are not what most have; no content hash covers them."""
    if not footers:
        return []
    usual = Counter(footers.values()).most_common(1)[0][0]
    return [
        Fault(name=name, reason=f"has another footer than most shards: {_differing(text, usual)}", kind="bad")
        for name, text in footers.items()
        if text != usual
    ]


def _mixed(versions: dict[str, str]) -> list[Fault]:
    """Shards that other versions rendered than most."""
    if len(set(versions.values())) < 2:
        return []
    usual = Counter(versions.values()).most_common(1)[0][0]
    return [
        Fault(
            name=name,
            reason=f"was rendered with {told_versions(text)}, most shards with {told_versions(usual)}: a run with one "
            "set of versions may give other bits",
            kind="versions",
        )
        for name, text in versions.items()
        if text != usual
    ]


def told_versions(text: str) -> str:
    """What a shard's footer says of the versions that rendered it, for people."""
    if not text:
        return "versions that are not named"
    return ", ".join(f"{name} {version}" for name, version in json.loads(text).items())


def _differing(text: str, usual: str) -> str:
    one, other = json.loads(text), json.loads(usual)
    return ", ".join(sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key)))


def _extra(uri: str, manifest: Manifest) -> list[Fault]:
    """Shards that lie there and are not in the manifest."""
    hashes = {shard.content_hash: shard.name for shard in manifest.shards}
    faults = []
    for name in stray_files(uri, set(range(len(manifest.shards)))):
        if name.startswith("shard-") and name.endswith(".parquet"):
            twin = hashes.get(_content_hash(uri, name))
            reason = "is not in the manifest" + (f"; it is a duplicate of {twin}" if twin else "")
            faults.append(Fault(name=name, reason=reason, kind="extra"))
    return faults


def _content_hash(uri: str, name: str) -> str:
    """The content hash that a shard of any name says it has."""
    try:
        _, footer = read_table(uri, Shard(name=name, first_id=0, rows=0, bytes=0, content_hash=""))
    except UNREADABLE:
        return ""
    return footer.get(_OWN, "")
