"""check.py: bad shards are named with what mends them; the card is whole; the sheet shows the labels."""

import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipelines import check
from pipelines.cli import resolve
from pipelines.figures import mode_name
from pipelines.origin import command_of, preset_of
from pipelines.recipes import RECIPES
from pipelines.sheet import COLOURS, GAP, LINE, WIDTH, ZOOM, shade, sheet_of
from synth.domain.anatomy import BODY, HAND, HIDDEN, INSIDE, OUTSIDE
from synth.domain.schema import pack_silhouettes
from synth.domain.shards import (
    VERSIONS,
    Manifest,
    read_manifest,
    read_samples,
    read_shard_entry,
    read_table,
    recipe_hash,
    write_manifest,
    write_shard,
    write_table,
)
from synth.domain.summary import summarise
from synth.worker import masked
from tests.commands import verb
from tests.synth.domain.test_audit import first_value, flip
from tests.synth.domain.test_schema import make_samples

RENDER = RECIPES["hand"]().render.as_dict()
NAMES = {"synthmark.parameters": json.dumps(["arm_place.L", *"bcdef"])}


def write(folder, kind="renderings", recipe=RENDER):
    """Three shards of random hands."""
    footer = {**NAMES, "synthmark.recipe_hash": recipe_hash(recipe), "synthmark.seed": "5"}
    shards = []
    for i in range(3):
        made = make_samples(4, study=kind == "study", seed=i, first_id=4 * i)
        if kind == "renderings":
            made.parameters[:, 0] = np.arange(4) % 3
        shards.append(write_shard(made, str(folder), i, footer if kind == "renderings" else {}))
    seed = 5 if kind == "renderings" else None
    write_manifest(str(folder), Manifest(kind=kind, anatomy=HAND, recipe=recipe, seed=seed, shards=tuple(shards)))
    return str(folder)


def test_each_fault_is_printed_with_what_mends_it(tmp_path, capsys):
    uri = write(tmp_path / "d")
    (tmp_path / "d" / "shard-00000.parquet").unlink()
    path = tmp_path / "d" / "shard-00001.parquet"
    path.write_bytes(path.read_bytes()[:1000])
    (tmp_path / "d" / "shard-00007.parquet").write_bytes((tmp_path / "d" / "shard-00002.parquet").read_bytes())
    with pytest.raises(ValueError, match=r"3 faults, in shard-00000.parquet, shard-00001.parquet, shard-00007"):
        check.main([uri])
    missing, truncated, extra = [line for line in capsys.readouterr().out.splitlines() if line.startswith("bad: ")]
    rerun = f"rerun python pipelines/render.py hand --count 12 --seed 5 --out {uri}"
    assert missing.endswith(f"is missing; to mend: {rerun}")
    assert truncated.endswith(f"; to mend: delete {uri}/shard-00001.parquet and {rerun}")
    assert f"duplicate of shard-00002.parquet; to mend: delete {uri}/shard-00007.parquet" in extra


def test_a_bad_dataset_ends_the_verb_with_exit_1_and_one_line(tmp_path):
    uri = write(tmp_path / "d")
    path = tmp_path / "d" / "shard-00001.parquet"
    flip(path, first_value(path), mask=4)
    done = verb("check", uri, "--stats", tmp_path / "card", home=tmp_path)
    assert done.returncode == 1 and "bad: shard-00001.parquet: " in done.stdout
    assert re.search(r"^error: .*1 faults, in shard-00001.parquet", done.stderr, re.MULTILINE)
    assert not (tmp_path / "card").exists()


def test_a_card_never_lies_in_its_dataset_where_it_would_stop_a_renderer(tmp_path):
    uri = write(tmp_path / "d")
    with pytest.raises(ValueError, match="lies in the dataset; choose a folder beside it"):
        check.main([uri, "--stats", f"{uri}/card"])
    assert not (tmp_path / "d" / "card").exists()


def test_the_command_is_that_which_made_the_dataset(tmp_path):
    manifest = read_manifest(write(tmp_path / "d"))
    assert command_of("d", manifest) == "python pipelines/render.py hand --count 12 --seed 5 --out d"
    older = replace(manifest, recipe={"anatomy": "hand"})
    assert "render.py RECIPE [--set" in command_of("d", older)
    source = {"uri": "old", "digest": "0", "anatomy": "hand"}
    relabelled = replace(manifest, source=source)
    assert command_of("d", relabelled) == "python pipelines/relabel.py old --anatomy hand --out d"
    study = read_manifest(write(tmp_path / "s", kind="study", recipe={}))
    assert command_of("s", study).startswith("python pipelines/study.py hand")


@pytest.mark.parametrize("name", RECIPES)
def test_the_preset_with_its_changes_resolves_to_the_same_recipe(name):
    changes = ["render.shard_rows=16", "render.crop.pixel_mm=2.5", "render.crop.fit=stretch"]
    base = RECIPES[name]().anatomy
    part = "hand.pose.flexion" if base == "hand" else "body.pose.head_turn"
    for overrides in ([], changes, [*changes, f"render.{part}=[-1.5,2.0]"]):
        made = resolve(name, overrides).render.as_dict()
        said, *options = shlex.split(preset_of(made))
        assert options[::2] == ["--set"] * len(overrides)
        assert resolve(said, options[1::2]).render.as_dict() == made


@pytest.mark.parametrize("kind", ["renderings", "study"])
def test_the_card_says_what_there_is_and_links_only_what_lies_beside_it(tmp_path, kind):
    uri = write(tmp_path / "d", kind=kind, recipe=RENDER if kind == "renderings" else {"side": "left"})
    out = tmp_path / "card"
    assert check.main([uri, "--stats", str(out)]).endswith(f"card in {out}/README.md")
    page = (out / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w.]+)\)", page))
    assert linked | {"README.md"} == {path.name for path in out.iterdir()}
    manifest = read_manifest(uri)
    for said in (manifest.digest, recipe_hash(manifest.recipe), "12 hand samples", "GPL-3.0-or-later", "Riegler"):
        assert said in page, said
    assert ("CC0" in page) is (kind == "renderings") and ("consent" in page) is (kind == "study")
    for name in linked - {"statistics.json"}:
        assert min(Image.open(out / name).size) > 100
    told = json.loads((out / "statistics.json").read_text())
    assert told["samples"] == 12 and set(told["visible"]) == set(HAND.names)
    if kind == "renderings":
        assert "down 50.0 %, at or under the hip 25.0 %, on the belly 25.0 %" in page
        assert list(told["parameters"]) == ["arm_place.L", *"bcdef"]
        assert sum(told["parameters"]["b"]["counts"]) == 12
    with pytest.raises(ValueError, match="already holds files"):
        check.main([uri, "--stats", str(out)])


def test_quarantined_samples_are_named_and_counted_and_nothing_else(tmp_path, monkeypatch):
    """Statistics and sheet are those of the dataset without them."""
    whole = write(tmp_path / "d")
    manifest = read_manifest(whole)
    calm = summarise(whole, manifest)
    lost = [1, 6]
    for index, shard in enumerate(manifest.shards):
        rows = [i - shard.first_id for i in lost if 0 <= i - shard.first_id < shard.rows]
        made = read_samples(whole, HAND, depth=True, shards=[index])
        write_shard(
            masked(replace(made, points=made.landmarks), rows), str(tmp_path / "q"), index, read_table(whole, shard)[1]
        )
    entries = [read_shard_entry(str(tmp_path / "q"), index)[0] for index in range(3)]
    records = tuple({"sample_id": i, "reason": "Blender died", "parameters": {}} for i in lost)
    made = replace(manifest, shards=tuple(entries), quarantine=records)
    write_manifest(str(tmp_path / "q"), made)
    drawn = []
    monkeypatch.setattr(check, "sheet_of", lambda samples, anatomy: drawn.append(samples) or sheet_of(samples, anatomy))
    said = check.main([str(tmp_path / "q"), "--stats", str(tmp_path / "card")])
    assert "12 hand samples in 3 shards are sound, 2 of them quarantined; card" in said
    told = json.loads((tmp_path / "card" / "statistics.json").read_text())
    assert (told["samples"], told["quarantined"], told["summarised"]) == (12, 2, 10)
    page = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert "2 of them (ids 1, 6): Blender failed on them" in page and "--tolerance 2" in page
    summary, kept = summarise(str(tmp_path / "q"), made), np.delete(np.arange(12), lost)
    np.testing.assert_array_equal(drawn[0].sample_id, kept)
    for name in ("foreground", "extent_mm", "pixel_mm", "landmarks", "visible", "parameters"):
        np.testing.assert_array_equal(getattr(summary, name), getattr(calm, name)[kept], err_msg=name)


def test_the_card_names_the_versions_that_rendered_and_the_shards_of_others(tmp_path, capsys):
    uri = write(tmp_path / "d")
    manifest = read_manifest(uri)
    for index, version in enumerate(("4.5.15", "4.4.1", "4.5.15")):
        table, footer = read_table(uri, manifest.shards[index])
        footer[VERSIONS] = json.dumps({"synthmark": "0.1", "bpy": version})
        write_table(table, uri, index, footer)
    said = check.main([uri, "--stats", str(tmp_path / "card")])
    assert "sound; rendered by other versions than most shards: 1; card" in said
    printed = capsys.readouterr().out
    assert "other versions: shard-00001.parquet was rendered with synthmark 0.1, bpy 4.4.1, most" in printed
    page = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert "Rendered with synthmark 0.1, bpy 4.5.15, with others shard-00001.parquet. Verified" in page


def test_the_card_of_older_shards_says_that_they_do_not_name_their_versions(tmp_path):
    uri = write(tmp_path / "d")
    check.main([uri, "--stats", str(tmp_path / "card")])
    assert "Rendered with versions that are not named" in (tmp_path / "card" / "README.md").read_text(encoding="utf-8")


def test_codes_without_a_word_are_shown_as_they_are():
    words = {"place": {0: "down"}}
    assert [mode_name(words, name, code) for name, code in (("place.R", 0), ("place.R", 7), ("kind", 0))] == [
        "down", "7", "0",
    ]  # fmt: skip


@pytest.mark.parametrize("anatomy", [HAND, BODY])
def test_the_sheet_shows_dots_rings_and_nothing_outside(anatomy):
    full = np.ones((1, *anatomy.size), bool)
    samples = make_samples(1, anatomy)
    landmarks = np.full((1, anatomy.num_landmarks, 3), np.nan, np.float32)
    landmarks[0, :3, :2] = [[30.5, 40.5], [50.5, 40.5], [40.5, 70.5]]
    visible = np.full((1, anatomy.num_landmarks), OUTSIDE, np.uint8)
    visible[0, :3] = INSIDE, HIDDEN, OUTSIDE
    flat = replace(
        samples, packed=pack_silhouettes(full), depth_mm=np.full((1, *anatomy.size), 20, np.float32),
        landmarks=landmarks, visible=visible,
    )  # fmt: skip
    sheet = np.asarray(sheet_of(flat, anatomy))
    top = len(sheet) - anatomy.height * ZOOM - GAP
    assert top % LINE == 0
    colours = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS])
    x, y = (landmarks[0, :3, :2] * ZOOM).astype(int).T
    centres = sheet[top + y, x]
    assert (centres[0] == colours[0]).all()
    assert (centres[1] == centres[2]).all() and len(set(centres[1])) == 1  # grey tissue
    patch = sheet[top:]
    drawn = [(patch == colour).all(-1).sum() for colour in colours[:3]]
    assert drawn[0] > 50 and drawn[1] > 50 and drawn[2] == 0


def test_the_sheet_shows_so_many_samples_and_every_name():
    wide = sheet_of(make_samples(103, BODY), BODY)
    narrow = sheet_of(make_samples(3, BODY), BODY)
    assert wide.width <= WIDTH and wide.height > 8 * BODY.height * ZOOM
    legend = np.asarray(narrow)[: narrow.height - BODY.height * ZOOM - GAP]
    for colour in COLOURS[: BODY.num_landmarks]:
        assert (legend == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).sum() > 100


def test_slopes_are_darker_than_what_faces_the_viewer():
    mask = np.ones((20, 20), bool)
    depth = np.where(np.arange(20) < 10, 20.0, 20 + 10 * (np.arange(20) - 9)) * np.ones((20, 1))
    flat, lit = shade(mask, depth.astype(np.float32)), shade(mask, depth.astype(np.float32), 2.0)
    assert (lit[:, 2:8] == flat[:, 2:8]).all() and (lit[:, 12:18] < flat[:, 12:18]).all()
