"""The audit names every bad shard of a dataset in one run, whatever is wrong with it, and no other."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from synth.domain.anatomy import HAND
from synth.domain.audit import Fault, audit
from synth.domain.schema import from_table, to_table
from synth.domain.shards import (
    MANIFEST,
    VERSIONS,
    Manifest,
    read_manifest,
    read_table,
    recipe_hash,
    write_manifest,
    write_shard,
)
from synth.domain.storage import write_bytes
from tests.synth.domain.test_schema import assert_equal, make_samples

RECIPE = {"anatomy": "hand", "crop": {"margin": 0.04}}


def footer(**other: str) -> dict[str, str]:
    made = {"anatomy": "hand", "anatomy_hash": recipe_hash(HAND.as_dict()), "recipe_hash": recipe_hash(RECIPE)}
    rendered = {"versions": json.dumps({"bpy": "4.5.15", "template": "0a"})}
    named = {"seed": "1", "parameters": json.dumps(list("abcdef")), **rendered, **other}
    return {f"synthmark.{key}": value for key, value in (made | named).items()}


def write_renderings(folder: Path, count: int = 4, rows: int = 3) -> Manifest:
    """`count` shards of random rows, as a renderer would leave them."""
    shards = [
        write_shard(make_samples(rows, seed=index, first_id=rows * index), str(folder), index, footer())
        for index in range(count)
    ]
    manifest = Manifest(kind="renderings", anatomy=HAND, recipe=RECIPE, seed=1, shards=tuple(shards))
    write_manifest(str(folder), manifest)
    return manifest


def found(folder: Path) -> list[Fault]:
    return audit(str(folder), read_manifest(str(folder)), lambda shard: None)


def flip(path: Path, place: int, mask: int = 0xFF) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= mask
    path.write_bytes(data)


def first_value(path: Path) -> int:
    """Place of a byte of the first column's values."""
    column = pq.read_metadata(path).row_group(0).column(0)
    return int(column.data_page_offset + column.total_compressed_size - 2)


def test_a_sound_dataset_has_no_faults_and_every_shard_is_told(tmp_path):
    manifest = write_renderings(tmp_path)
    told = []
    assert audit(str(tmp_path), manifest, told.append) == []
    assert told == list(manifest.shards)


def _flipped(folder: Path) -> None:
    path = folder / "shard-00001.parquet"
    flip(path, first_value(path))


def _missing(folder: Path) -> None:
    (folder / "shard-00001.parquet").unlink()


def _truncated(folder: Path) -> None:
    path = folder / "shard-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def _empty(folder: Path) -> None:
    (folder / "shard-00001.parquet").write_bytes(b"")


def _duplicated(folder: Path) -> None:
    (folder / "shard-00001.parquet").write_bytes((folder / "shard-00002.parquet").read_bytes())


def _changed(folder: Path) -> None:
    write_shard(make_samples(3, seed=9, first_id=3), str(folder), 1, footer())


def _of_recipe(folder: Path) -> None:
    write_shard(make_samples(3, seed=1, first_id=3), str(folder), 1, footer(recipe_hash="0123456789abcdef"))


def _of_seed(folder: Path) -> None:
    write_shard(make_samples(3, seed=1, first_id=3), str(folder), 1, footer(seed="2"))


def _of_anatomy(folder: Path) -> None:
    write_shard(make_samples(3, seed=1, first_id=3), str(folder), 1, footer(anatomy="hand_bone_tips"))


def _of_names(folder: Path) -> None:
    write_shard(make_samples(3, seed=1, first_id=3), str(folder), 1, footer(parameters=json.dumps(list("abcdeg"))))


def _of_versions(folder: Path) -> None:
    versions = json.dumps({"bpy": "4.5.14", "template": "0a"})
    write_shard(make_samples(3, seed=1, first_id=3), str(folder), 1, footer(versions=versions))


def _of_no_versions(folder: Path) -> None:
    older = {key: value for key, value in footer().items() if key != VERSIONS}
    write_shard(make_samples(3, seed=1, first_id=3), str(folder), 1, older)


def _of_half_versions(folder: Path) -> None:
    """One of the two copies of the footer is damaged."""
    path = folder / "shard-00001.parquet"
    flip(path, path.read_bytes().rindex(b"4.5.15"), mask=1)


def _of_schema(folder: Path) -> None:
    path = folder / "shard-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"synthmark.schema_version": b"99"}), path)


def _foreign(folder: Path) -> None:
    pq.write_table(to_table(make_samples(3), {}).drop_columns(["sample_id"]), folder / "shard-00001.parquet")


@pytest.mark.parametrize(
    ("damage", "reason", "kind"),
    [
        (_flipped, "content|unreadable", "bad"),
        (_missing, "is missing", "missing"),
        (_truncated, "truncated, .* bytes", "bad"),
        (_empty, "truncated, 0 of", "bad"),
        (_duplicated, "^is a duplicate of shard-00002.parquet: it holds ids 6 to 8", "bad"),
        (_changed, "holds other content, ids 3 to 5", "bad"),
        (_of_recipe, "another recipe: its recipe_hash is '0123456789abcdef'", "bad"),
        (_of_seed, "another seed: its seed is '2', not 1", "bad"),
        (_of_anatomy, "another anatomy: its anatomy is 'hand_bone_tips', not hand", "bad"),
        (_of_names, "another footer than most shards: synthmark.parameters", "bad"),
        (
            _of_versions,
            "^was rendered with bpy 4.5.14, template 0a, most shards with bpy 4.5.15, ",
            "versions",
        ),
        (_of_no_versions, "^was rendered with versions that are not named, most", "versions"),
        (_of_half_versions, "another footer than most shards: synthmark.versions", "bad"),
        (_of_schema, "another schema version: its schema_version is '99', not 2", "bad"),
        (_foreign, "unreadable .*sample_id|holds no samples", "bad"),
    ],
)
def test_each_damage_is_named_for_what_it_is(tmp_path, damage, reason, kind):
    write_renderings(tmp_path)
    damage(tmp_path)
    [fault] = found(tmp_path)
    assert (fault.name, fault.kind) == ("shard-00001.parquet", kind)
    assert re.search(reason, fault.reason), fault.reason


def test_shards_that_the_manifest_does_not_list_are_named(tmp_path):
    write_renderings(tmp_path, count=2)
    data = (tmp_path / "shard-00000.parquet").read_bytes()
    write_bytes(str(tmp_path), "shard-00000 (copy).parquet", data)
    write_shard(make_samples(3, seed=7, first_id=6), str(tmp_path), 2, footer())
    write_bytes(str(tmp_path), "shard-00003.parquet", b"nothing")
    write_bytes(str(tmp_path), "notes.txt", b"of a person")
    reasons = {fault.name: fault.reason for fault in found(tmp_path)}
    assert reasons == {
        "shard-00000 (copy).parquet": "is not in the manifest; it is a duplicate of shard-00000.parquet",
        "shard-00002.parquet": "is not in the manifest",
        "shard-00003.parquet": "is not in the manifest",
    }
    assert {fault.kind for fault in found(tmp_path)} == {"extra"}


def test_all_bad_shards_are_named_in_one_run(tmp_path):
    write_renderings(tmp_path, count=6)
    flip(tmp_path / "shard-00000.parquet", first_value(tmp_path / "shard-00000.parquet"))
    (tmp_path / "shard-00002.parquet").unlink()
    (tmp_path / "shard-00005.parquet").write_bytes((tmp_path / "shard-00004.parquet").read_bytes())
    assert [fault.name[6:11] for fault in found(tmp_path)] == ["00000", "00002", "00005"]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("rows", 7, "says rows 7"),
        ("digest", "0" * 64, "says digest 0000"),
        ("recipe", {**RECIPE, "crop": {"margin": 0.05}}, "says recipe_hash"),
    ],
)
def test_an_altered_manifest_is_to_blame_and_not_its_shards(tmp_path, key, value, reason):
    write_renderings(tmp_path)
    payload = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**payload, key: value}))
    [fault] = found(tmp_path)
    assert (fault.name, fault.kind) == (MANIFEST, "manifest") and reason in fault.reason


def test_ids_that_leave_a_gap_or_overlap_are_named(tmp_path):
    manifest = write_renderings(tmp_path)
    shards = manifest.shards
    for listed in (shards[:1] + shards[2:], (*shards, shards[-1])):
        write_manifest(str(tmp_path), replace(manifest, shards=listed))
        assert any(fault.name == MANIFEST and "expected shard-0000" in fault.reason for fault in found(tmp_path))


def test_any_flipped_byte_is_named_or_changes_nothing_that_is_read(tmp_path):
    """Parquet files have bytes that nobody reads (statistics, indices); every other one counts."""
    manifest = write_renderings(tmp_path, count=3)
    shard = manifest.shards[1]
    path = tmp_path / shard.name
    whole = path.read_bytes()
    table, ours = read_table(str(tmp_path), shard)
    places = [*range(0, len(whole) - 6000, 1999), *range(len(whole) - 6000, len(whole), 23)]
    named = 0
    for place in places:
        flip(path, place, mask=1 << (place % 8))
        faults = found(tmp_path)
        assert {fault.name for fault in faults} <= {shard.name}
        named += bool(faults)
        if not faults:
            again, footers = read_table(str(tmp_path), shard)
            assert_equal(from_table(again, HAND), from_table(table, HAND))
            assert {k: v for k, v in footers.items() if k in footer()} == {k: ours[k] for k in footer()}, place
        path.write_bytes(whole)
    assert named > len(places) / 4
