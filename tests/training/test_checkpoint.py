"""Models on disk: round trips, refusals, and nothing that runs code."""

import hashlib
import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from synth.domain.anatomy import HAND
from tests.training.toy import toy_card, toy_samples
from training.checkpoint import (
    CARD,
    KEEP_STATES,
    WEIGHTS,
    latest_state,
    load_model,
    restore_state,
    save_model,
    save_state,
)
from training.data import Patches
from training.loop import Hooks, fit
from training.models import ModelRecipe, build_model
from training.plan import Progress
from training.recipe import TrainRecipe
from training.step import make_optimiser
from training.views import Views

SMALL = ModelRecipe(width=8)


class Planted:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def saved(folder: Path, recipe: ModelRecipe = SMALL):
    model = build_model(recipe, HAND)
    return model, save_model(str(folder), model, toy_card(recipe))


def test_a_model_comes_back_with_its_card(tmp_path):
    model, card = saved(tmp_path)
    loaded = load_model(str(tmp_path))
    assert loaded.card == card and loaded.card.digest == card.digest and not loaded.model.training
    images = torch.rand(2, 1, 96, 96)
    assert torch.equal(loaded.model(images).points, model.eval()(images).points)


def test_an_older_card_names_its_anatomy(tmp_path):
    saved(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    assert [point["name"] for point in card["anatomy"]["points"]] == list(HAND.point_names)
    (tmp_path / CARD).write_text(json.dumps({**card, "anatomy": "hand"}))
    assert load_model(str(tmp_path)).card.anatomy == HAND
    (tmp_path / CARD).write_text(json.dumps({**card, "anatomy": "foot"}))
    with pytest.raises(ValueError, match=r"anatomy: .*'foot' does not exist"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("place", ["weights", "pt2", "folder"])
def test_planted_code_never_runs(tmp_path, place):
    mark = tmp_path / "ran"
    payload = pickle.dumps(Planted(mark))
    folder = tmp_path / "model"
    saved(folder)
    target = str(folder)
    if place == "weights":
        (folder / WEIGHTS).write_bytes(payload)
        card = json.loads((folder / CARD).read_text())
        card["weights_sha256"] = hashlib.sha256(payload).hexdigest()
        (folder / CARD).write_text(json.dumps(card))
    else:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("archive/data.pkl", payload)
        (tmp_path / "model.pt2").write_bytes(archive.getvalue())
        (folder / "model.pt2").write_bytes(archive.getvalue())
        if place == "pt2":
            target = str(tmp_path / "model.pt2")
    if place == "folder":
        load_model(target)
    else:
        with pytest.raises(ValueError, match=r"is not a safetensors file|is a file; give the folder"):
            load_model(target)
    assert not mark.exists()


def test_a_changed_weights_file_is_refused(tmp_path):
    saved(tmp_path)
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(data)
    with pytest.raises(ValueError, match="is not the file its card names"):
        load_model(str(tmp_path))


def test_a_card_of_another_network_is_refused(tmp_path):
    saved(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    card["model"]["width"] = 16
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(ValueError, match="do not fit the network"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", '{"anatomy": "foot"}', "\0"])
def test_anything_but_a_card_is_one_clear_line(tmp_path, text):
    saved(tmp_path)
    (tmp_path / CARD).write_text(text)
    with pytest.raises(ValueError, match="is not a synthmark model card"):
        load_model(str(tmp_path))


def test_a_missing_model_is_one_clear_line(tmp_path):
    with pytest.raises(ValueError, match=r"holds no model \(model.json is missing\)"):
        load_model(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_training_continues_bit_equal_from_a_state(tmp_path, optimiser):
    patches = Patches.from_samples(toy_samples(9, 1), HAND)
    recipe = TrainRecipe(epochs=4, batch=4, optimiser=optimiser, augment=0.5)

    def fresh():
        torch.manual_seed(1)
        model = build_model(SMALL, HAND)
        return model, make_optimiser(model, recipe)

    whole, whole_optimiser = fresh()
    reports = fit(whole, patches, recipe, seed=2, optimiser=whole_optimiser)

    class Cut(Exception):
        pass

    first, first_optimiser = fresh()

    def stop_in_the_third(progress):
        save_state(str(tmp_path), first, first_optimiser, progress, {})
        if progress.epoch == 2:
            raise Cut

    hooks = Hooks(on_save=stop_in_the_third, save_steps=2)
    with pytest.raises(Cut):
        fit(first, patches, recipe, seed=2, optimiser=first_optimiser, hooks=hooks)
    second, second_optimiser = fresh()
    state = latest_state(str(tmp_path))
    assert state is not None and (state.progress.epoch, state.progress.step) == (2, 2)
    restore_state(state, second, second_optimiser)
    rest = fit(second, patches, recipe, seed=2, optimiser=second_optimiser, start=state.progress)
    assert [(r.epoch, r.loss) for r in rest] == [(r.epoch, r.loss) for r in reports[2:]]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_only_the_newest_states_are_kept(tmp_path):
    model = build_model(SMALL, HAND)
    optimiser = make_optimiser(model, TrainRecipe())
    assert latest_state(str(tmp_path)) is None
    for epochs in range(1, 5):
        save_state(str(tmp_path), model, optimiser, Progress(epoch=epochs), {})
    assert len(list(tmp_path.iterdir())) == KEEP_STATES
    assert latest_state(str(tmp_path)).progress == Progress(epoch=4)


def test_a_card_from_before_views_is_one_of_silhouettes(tmp_path):
    saved(tmp_path)
    card = json.loads((tmp_path / "model.json").read_text())
    del card["model"]["inputs"], card["train"]["views"]
    (tmp_path / "model.json").write_text(json.dumps(card))
    loaded = load_model(str(tmp_path))
    assert loaded.model.inputs == ("silhouette",) and loaded.card.train.views == Views()


@pytest.mark.parametrize("width", [16, 32])
def test_a_card_from_before_sizes_has_its_width(tmp_path, width):
    saved(tmp_path, ModelRecipe(width=width))
    card = json.loads((tmp_path / "model.json").read_text())
    del card["model"]["size"]
    (tmp_path / "model.json").write_text(json.dumps(card))
    assert load_model(str(tmp_path)).model.head.in_channels == width
