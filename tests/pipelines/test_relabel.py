"""relabel: the same anatomy gives the same bits, another one other landmarks, and nothing else changes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_limits

from pipelines import relabel
from pipelines.cli import UsageError
from synth.domain.anatomy import BODY, HAND, Anatomy, anatomy_from, visibility
from synth.domain.schema import Samples, pack_silhouettes, stored_depth
from synth.domain.shards import Manifest, read_manifest, read_samples, write_manifest, write_shard
from synth.figure import BodyRange, HandRange, RenderRecipe, draw, parameter_names, template_of
from tests.in_process import perform
from training.checkpoint import read_card

pytestmark = pytest.mark.slow

RECIPES = {
    "hand": RenderRecipe(anatomy="hand", hand=HandRange()),
    "body": RenderRecipe(anatomy="body", body=BodyRange()),
}
OWN = """
name = "pelvis"
base = "body"
landmarks = ["left_hip", "right_hip", "navel_side"]
[points.navel_side]
kind = "vertex"
vertices = [4099]
"""


def _dataset(uri: Path, anatomy: Anatomy, shards: int = 2, rows: int = 8) -> str:
    """Figures as a worker stores them, with a disc for a silhouette: labels need no Blender."""
    recipe, entries = RECIPES[anatomy.name], []
    template = template_of(recipe)
    grid = np.indices(anatomy.size) + 0.5
    disc = np.hypot(grid[0] - anatomy.height / 2, grid[1] - anatomy.width / 2) < anatomy.width / 2.2
    depth = stored_depth(np.where(np.stack([disc] * rows), 40 + grid[0], 0).astype(np.float32))
    for index in range(shards):
        ids = np.arange(index * rows, (index + 1) * rows)
        with threadpool_limits(1):
            framed = [draw(recipe, template, 3, int(i)) for i in ids]
        samples = Samples(
            sample_id=ids,
            packed=pack_silhouettes(np.stack([disc] * rows)),
            depth_mm=depth,
            landmarks=np.stack([f.landmarks for f in framed]),
            visible=np.stack([visibility(f.landmarks, disc, depth[0], anatomy) for f in framed]),
            pixel_mm=np.stack([f.pixel_mm for f in framed]),
            points=np.stack([f.points for f in framed]),
            parameters=np.array([list(f.figure.parameters.values()) for f in framed], np.float32),
            joints=np.stack([f.figure.joints for f in framed]),
        )
        footer = {"synthmark.parameters": json.dumps(parameter_names(recipe, template))}
        entries.append(write_shard(samples, str(uri), index, footer))
    manifest = Manifest(kind="renderings", anatomy=anatomy, recipe=recipe.as_dict(), seed=3, shards=tuple(entries))
    write_manifest(str(uri), manifest)
    return str(uri)


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _dataset(tmp_path_factory.mktemp("relabel") / "bodies", BODY)


def _run(uri: str, anatomy: str, out: Path) -> str:
    return relabel.main([uri, "--anatomy", anatomy, "--out", str(out), "--workers", "1"])


def test_the_same_anatomy_gives_the_very_same_bits(bodies: str, tmp_path: Path) -> None:
    _run(bodies, "body", tmp_path / "again")
    old, new = read_manifest(bodies), read_manifest(str(tmp_path / "again"))
    assert new.digest == old.digest and new.anatomy == old.anatomy
    assert new.source == {"uri": bodies, "digest": old.digest, "anatomy": "body"}
    assert read_samples(str(tmp_path / "again"), BODY, points=True).points.shape == (16, len(BODY.points), 3)


@pytest.mark.alone
@pytest.mark.usefixtures("local_ray")
def test_landmarks_of_ones_own_are_found_and_trained_on(bodies: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    _run(bodies, str(tmp_path / "own.toml"), tmp_path / "own")
    manifest = read_manifest(str(tmp_path / "own"))
    assert manifest.anatomy.names == ("left_hip", "right_hip", "navel_side") and manifest.anatomy.base == "body"
    new = read_samples(str(tmp_path / "own"), manifest.anatomy, depth=True)
    old = read_samples(bodies, BODY, depth=True, points=True)
    assert old.points is not None
    for k, name in enumerate(("left_hip", "right_hip", "navel")):
        assert np.array_equal(new.landmarks[:, k], old.points[:, BODY.point_names.index(name)])
    for name in ("shard-00000.parquet", "shard-00001.parquet"):
        one, other = (pq.read_table(Path(folder) / name) for folder in (bodies, tmp_path / "own"))
        for column in ("sample_id", "silhouette", "depth", "pixel_mm", "parameters", "joints"):
            assert one[column].equals(other[column]), column
    (tmp_path / "own.toml").unlink()  # from here on the dataset says what its landmarks are
    few = ("--workers", 1, "--set", "train.epochs=1", "--set", "train.batch=4")
    perform("pretrain", "body_smoke", "--data", tmp_path / "own", "--out", tmp_path / "model", *few, home=tmp_path)
    assert anatomy_from(read_card(str(tmp_path / "model" / "model")).anatomy) == manifest.anatomy


def test_it_resumes_and_never_overwrites(bodies: str, tmp_path: Path) -> None:
    out = tmp_path / "hands"
    hands = _dataset(tmp_path / "source", HAND)
    _run(hands, "hand_bone_tips", out)
    first = read_manifest(str(out))
    (out / "shard-00001.parquet").unlink()
    kept = (out / "shard-00000.parquet").stat().st_mtime_ns
    _run(hands, "hand_bone_tips", out)
    assert read_manifest(str(out)) == first and (out / "shard-00000.parquet").stat().st_mtime_ns == kept
    with pytest.raises(ValueError, match="of another run"):
        _run(hands, "hand", out)
    with pytest.raises(ValueError, match="shows a hand; body is for a body"):
        _run(hands, "body", tmp_path / "new")
    with pytest.raises(ValueError, match="holds something else"):
        _run(bodies, "body", tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        _run(bodies, "foot", tmp_path / "new")


def test_another_body_template_is_found_out(tmp_path: Path) -> None:
    uri = _dataset(tmp_path / "hands", HAND, shards=1)
    samples = read_samples(uri, HAND, depth=True, points=True)
    manifest = read_manifest(uri)
    names = json.dumps(parameter_names(RECIPES["hand"], template_of(RECIPES["hand"])))
    for moved, stored, says in ((1.0, names, "computed anew, lie up to 1.00 from"), (0.0, '["age"]', "age")):
        shown = replace(samples, landmarks=samples.landmarks + np.float32(moved))
        if moved == 0:
            shown = replace(shown, parameters=shown.parameters[:, :1])
        entry = write_shard(shown, uri, 0, {"synthmark.parameters": stored})
        write_manifest(uri, replace(manifest, shards=(entry,)))
        with pytest.raises(ValueError, match=says if moved else "stores no parameter"):
            _run(uri, "hand", tmp_path / f"new{moved}")
