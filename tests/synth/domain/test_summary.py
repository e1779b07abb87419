"""The summary of a dataset is that of its samples, whatever its shards, and holds few of many."""

import json
from dataclasses import replace

import numpy as np
import pytest

from synth.domain import summary as module
from synth.domain.anatomy import HAND
from synth.domain.schema import pack_silhouettes, unpack_silhouettes
from synth.domain.shards import Manifest, write_manifest, write_shard
from synth.domain.summary import as_json, chosen_shards, histogram, spread, summarise
from tests.synth.domain.test_schema import make_samples


def write(folder, parts, study=False):
    """Shards of these samples, and their manifest."""
    footer = {} if study else {"synthmark.parameters": json.dumps(["mode", *"bcdef"])}
    shards = tuple(write_shard(part, str(folder), i, footer) for i, part in enumerate(parts))
    kind = "study" if study else "renderings"
    manifest = Manifest(kind=kind, anatomy=HAND, recipe={}, seed=None, shards=shards)
    write_manifest(str(folder), manifest)
    return manifest


def rows(count, first_id=0, seed=0):
    made = make_samples(count, first_id=first_id, seed=seed)
    parameters = made.parameters.copy()
    parameters[:, 0] = np.arange(count) % 4 == 0
    return replace(made, parameters=parameters)


def test_measures_are_those_of_the_samples(tmp_path):
    parts = [rows(8), rows(4, first_id=8, seed=1)]
    summary = summarise(str(tmp_path), write(tmp_path, parts))
    masks = unpack_silhouettes(np.concatenate([part.packed for part in parts]), HAND.size)
    depth = np.concatenate([part.depth_mm for part in parts])
    assert len(summary) == summary.total == 12
    np.testing.assert_allclose(summary.foreground, masks.mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(summary.mean, masks.mean(0), rtol=1e-6)
    nearest = np.array([values[mask].min() for values, mask in zip(depth, masks, strict=True)])
    np.testing.assert_allclose(summary.extent_mm, depth.max((1, 2)) - nearest, atol=0.11)
    np.testing.assert_array_equal(summary.parameters, np.concatenate([part.parameters for part in parts]))
    assert summary.codes() == {"mode": {0: 0.75, 1: 0.25}}
    seen = summary.seen(HAND)
    assert list(seen) == list(HAND.names)
    assert all(sum(shares.values()) == pytest.approx(1, abs=0.001) for shares in seen.values())


def test_bytes_by_column_are_nearly_the_file(tmp_path):
    manifest = write(tmp_path, [rows(64)])
    summary = summarise(str(tmp_path), manifest)
    columns = 64 * sum(summary.bytes_by_column.values())
    assert 0.9 * manifest.shards[0].bytes < columns < manifest.shards[0].bytes
    assert set(summary.bytes_by_column) >= {"silhouette", "depth", "landmarks", "parameters"}


def test_of_many_shards_evenly_spaced_ones_are_read(tmp_path, monkeypatch):
    manifest = write(tmp_path, [rows(2, first_id=2 * i, seed=i) for i in range(9)])
    monkeypatch.setattr(module, "SUMMARISED", 6)
    assert [shard.first_id for shard in chosen_shards(manifest)] == [0, 8, 16]
    summary = summarise(str(tmp_path), manifest)
    assert (len(summary), summary.total) == (6, 18)


def test_what_a_study_does_not_know_stays_unknown(tmp_path):
    made = make_samples(5, study=True, depth=False)
    made = replace(made, pixel_mm=np.full((5, 2), np.nan, np.float32))
    summary = summarise(str(tmp_path), write(tmp_path, [made], study=True))
    told = as_json(summary, HAND)
    assert told["pixel_mm"] == told["nearest_to_farthest_mm"] == told["parameters"] == told["codes"] == {}
    json.dumps(told, allow_nan=False)


def test_an_empty_silhouette_has_no_depth(tmp_path):
    made = rows(3)
    nothing = np.zeros((3, *HAND.size), bool)
    made = replace(made, packed=pack_silhouettes(nothing), depth_mm=np.zeros((3, *HAND.size), np.float32))
    summary = summarise(str(tmp_path), write(tmp_path, [made]))
    assert summary.foreground.max() == summary.extent_mm.max() == 0


def test_spread_and_histogram_leave_out_what_is_unknown():
    values = np.array([np.nan, *range(101)], np.float32)
    assert spread(values)["median"] == 50 and spread(values)["max"] == 100
    counted = histogram(values)
    assert (counted["low"], counted["high"], sum(counted["counts"])) == (0, 100, 101)
    assert spread(values[:1]) == histogram(values[:1]) == {}


def test_a_dataset_that_is_quarantined_whole_is_one_clear_line(tmp_path):
    manifest = write(tmp_path, [rows(3)])
    lost = replace(manifest, quarantine=tuple({"sample_id": i} for i in range(3)))
    with pytest.raises(ValueError, match="every sample of its 1 shards looked at is quarantined"):
        summarise(str(tmp_path), lost)
