"""Datasets on disk: round trips, hashes of content alone, and what is damaged or foreign is no data."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.domain.anatomy import BODY, HAND
from synth.domain.schema import to_table
from synth.domain.shards import (
    Manifest,
    content_hash,
    read_manifest,
    read_samples,
    read_shard_entry,
    shard_fault,
    write_manifest,
    write_shard,
)
from synth.domain.storage import has_files
from tests.synth.domain.test_schema import assert_equal, make_samples


def write_study(folder, parts=(4, 3)):
    """A study of several shards; its samples and its manifest."""
    shards, made, first = [], [], 0
    for index, count in enumerate(parts):
        made.append(make_samples(count, study=True, seed=index, first_id=first))
        shards.append(write_shard(made[-1], str(folder), index, {"made": "here"}))
        first += count
    manifest = Manifest(kind="study", anatomy=HAND, recipe={"a": [1, 2]}, seed=None, shards=tuple(shards))
    write_manifest(str(folder), manifest)
    return made, manifest


def test_dataset_round_trip(tmp_path):
    made, manifest = write_study(tmp_path / "d")
    uri = str(tmp_path / "d")
    assert read_manifest(uri) == manifest and manifest.rows == 7
    back = read_samples(uri, HAND, depth=True)
    assert back.case == made[0].case + made[1].case
    np.testing.assert_array_equal(back.packed, np.concatenate([m.packed for m in made]))
    assert_equal(made[1], read_samples(uri, HAND, depth=True, shards=[1]))
    assert len(read_samples(uri, HAND, limit=5)) == 5 and read_samples(uri, HAND, limit=2).depth_mm is None
    entry, footer = read_shard_entry(uri, 1)
    assert entry == manifest.shards[1] and footer["made"] == "here"


def test_file_uri_and_path_are_the_same_place(tmp_path):
    _, manifest = write_study(tmp_path / "d")
    assert read_manifest(f"file://{tmp_path}/d") == manifest


@pytest.mark.parametrize("group", [1, 3, 512])
def test_hash_is_of_content_not_of_row_groups_or_chunks(tmp_path, group):
    table = to_table(make_samples(9, study=True), {})
    want = content_hash(table)
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=group, compression="snappy")
    assert content_hash(pq.read_table(tmp_path / "x.parquet")) == want
    assert content_hash(pa.concat_tables([table.slice(0, 4), table.slice(4)])) == want
    groups = [pq.ParquetFile(tmp_path / "x.parquet").read_row_group(i) for i in range(-(-9 // group))]
    assert content_hash(pa.concat_tables(groups)) == want


@pytest.mark.parametrize("name", ["packed", "landmarks", "visible", "pixel_mm", "depth_mm", "to_patient", "sample_id"])
def test_hash_sees_every_column(name):
    samples = make_samples(3, study=True)
    changed = np.array(getattr(samples, name))
    changed.flat[-1] = changed.flat[-1] + 1
    assert content_hash(to_table(samples, {})) != content_hash(to_table(replace(samples, **{name: changed}), {}))


def test_hash_tells_names_apart_however_they_are_cut():
    samples = make_samples(2, study=True)
    one, other = (content_hash(to_table(replace(samples, case=case), {})) for case in (("ab", "c"), ("a", "bc")))
    assert one != other


def test_exception_while_encoding_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("between row groups")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(RuntimeError):
        write_shard(make_samples(3), str(tmp_path / "d"), 0, {})
    assert not has_files(str(tmp_path / "d"))


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_truncated_shard_is_missing_work_not_data(tmp_path, keep):
    _, manifest = write_study(tmp_path)
    path = tmp_path / "shard-00001.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    assert read_shard_entry(str(tmp_path), 1) is None
    assert "unreadable" in shard_fault(str(tmp_path), manifest.shards[1])
    with pytest.raises(ValueError, match="missing or damaged"):
        read_samples(str(tmp_path), HAND)


def test_foreign_parquet_file_is_no_shard(tmp_path):
    pq.write_table(pa.table({"other": [1, 2]}), tmp_path / "shard-00000.parquet")
    pq.write_table(pa.table({"sample_id": pa.array([], pa.int64())}), tmp_path / "shard-00001.parquet")
    assert read_shard_entry(str(tmp_path), 0) is None
    assert read_shard_entry(str(tmp_path), 1) is None


def test_changed_content_is_found(tmp_path):
    made, manifest = write_study(tmp_path)
    assert shard_fault(str(tmp_path), manifest.shards[0]) is None
    other = replace(made[0], pixel_mm=made[0].pixel_mm + 1)
    write_shard(other, str(tmp_path), 0, {})
    assert "other content" in shard_fault(str(tmp_path), manifest.shards[0])
    (tmp_path / "shard-00000.parquet").unlink()
    assert shard_fault(str(tmp_path), manifest.shards[0]) == "missing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "holds no dataset"),
        ("{", "not readable"),
        ("[1]", "not a synthmark manifest"),
        ('{"format": "other"}', "not a synthmark manifest"),
        ('{"format": "synthmark", "schema_version": 99}', "schema version 99"),
        ('{"format": "synthmark", "schema_version": 1}', "damaged"),
    ],
)
def test_manifest_that_is_none_is_one_clear_line(tmp_path, text, words):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_manifest(str(tmp_path))


def test_wrong_anatomy_and_row_counts_are_refused(tmp_path):
    _, manifest = write_study(tmp_path)
    with pytest.raises(ValueError, match="holds hand data; body is needed"):
        read_samples(str(tmp_path), BODY)
    wrong = replace(manifest, shards=(replace(manifest.shards[0], rows=9), manifest.shards[1]))
    write_manifest(str(tmp_path), wrong)
    with pytest.raises(ValueError, match="has 4 rows; its manifest says 9"):
        read_samples(str(tmp_path), HAND)


def test_manifest_never_reads_outside_its_folder(tmp_path):
    write_study(tmp_path / "d")
    path = tmp_path / "d" / "manifest.json"
    payload = json.loads(path.read_text())
    (tmp_path / "d" / payload["shards"][0]["name"]).rename(tmp_path / "shard-00000.parquet")
    payload["shards"][0]["name"] = "../shard-00000.parquet"
    path.write_text(json.dumps(payload))
    with pytest.raises(ValueError, match="missing or damaged"):
        read_samples(str(tmp_path / "d"), HAND)


def test_digest_depends_on_every_shard(tmp_path):
    _, manifest = write_study(tmp_path)
    other = replace(manifest.shards[1], content_hash="0" * 64)
    assert replace(manifest, shards=(manifest.shards[0], other)).digest != manifest.digest


def test_version_1_is_still_read(tmp_path):
    """It had no points, and its manifest holds the anatomy's name alone."""
    made, _ = write_study(tmp_path)
    payload = json.loads((tmp_path / "manifest.json").read_text())
    del payload["source"]
    (tmp_path / "manifest.json").write_text(json.dumps({**payload, "schema_version": 1, "anatomy": "hand"}))
    manifest = read_manifest(str(tmp_path))
    assert manifest.anatomy == HAND and manifest.source is None
    back = read_samples(str(tmp_path), HAND, points=True)
    assert back.points is None and np.array_equal(back.landmarks[:4], made[0].landmarks, equal_nan=True)
