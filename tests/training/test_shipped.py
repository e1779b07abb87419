"""Which shipped model a scan is for: by its size in mm, by what the networks have learnt from, never by a guess."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import BODY, HAND, Anatomy
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.schema import unpack_silhouettes
from synth.domain.settings import ImportSettings
from synth.domain.study import prepare
from tests.training.toy import toy_card, toy_samples
from training.checkpoint import LoadedModel, save_model
from training.models import Inputs, ModelRecipe, build_model
from training.predict import as_patches
from training.shipped import Unlike, choose, fit_of, load_shipped, mirrored, settings_for, shipped_folder
from training.trust import Trust, describe

SIDE = ImportSettings(side="left")


def model(anatomy: Anatomy, margin: float, inputs: Inputs = ("silhouette",)) -> LoadedModel:
    """A network that has learnt nothing and finds every scan by so much below its limit."""
    torch.manual_seed(1)
    recipe = ModelRecipe(size="tiny", inputs=inputs)
    network = build_model(recipe, anatomy).eval()
    # summary, landmarks in shares of the patch, distances to the outline, deviations
    num_features = network.summary(torch.zeros(1, len(inputs), *anatomy.size)).shape[1] + 4 * anatomy.num_landmarks
    zeros = (0.0,) * num_features
    trust = Trust(mean=zeros, deviation=(1.0,) * num_features, weights=zeros, limit=margin)
    card = replace(toy_card(recipe), anatomy=anatomy, mean_depth=(0.0,) * anatomy.num_landmarks, trust=trust)
    return LoadedModel(model=network, card=card)


def both(hand: float, body: float, inputs: Inputs = ("silhouette",)) -> dict[str, LoadedModel]:
    return {"hand": model(HAND, hand), "body": model(BODY, body, inputs)}


def image(spacing: float | None = None) -> Image:
    pixels = np.pad(unpack_silhouettes(toy_samples(1, 1).packed, HAND.size)[0], 20).astype(np.float32)
    return Image(pixels=pixels, spacing_mm=None if spacing is None else (spacing, spacing), to_viewer=np.eye(2, 3))


def volume(length_mm: float) -> Volume:
    """A block as long as that, in air."""
    voxels = np.full((30, 30, 30), -1000, np.int16)
    voxels[5:25, 8:22, 10:20] = 40
    return Volume(voxels=voxels, index_to_patient=np.column_stack([np.diag([4.0, 4, length_mm / 20]), np.zeros(3)]))


@pytest.mark.parametrize(
    ("hand", "body", "chosen"), [(1.0, -1.0, "hand"), (-1.0, 1.0, "body"), (1.0, 2.0, "body"), (2.0, 1.0, "hand")]
)
def test_of_models_that_accept_a_scan_the_clearest_is_taken(hand, body, chosen):
    fit = choose(image(), both(hand, body), SIDE)
    assert fit.loaded.card.anatomy.base == chosen and fit.margin == max(hand, body)
    assert fit.prepared is not None and fit.prepared.silhouette.shape == fit.loaded.card.anatomy.size


def test_a_scan_that_none_accepts_is_neither_and_both_say_why():
    with pytest.raises(
        Unlike, match=r"neither a whole hand nor a whole body.*score 0.0, limit -1.0.*--explain"
    ) as told:
        choose(image(), both(-1.0, -2.5), SIDE)
    assert told.value.nearest.loaded.card.anatomy == HAND and "limit -2.5" in str(told.value)


def test_a_hand_without_a_side_is_asked_for_it_and_a_body_is_not():
    with pytest.raises(ValueError, match="looks like a hand; give --side"):
        choose(image(), both(1.0, -1.0), ImportSettings())
    assert choose(image(), both(-1.0, 1.0), ImportSettings()).loaded.card.anatomy == BODY


def test_a_hand_without_a_side_is_tried_as_either():
    """Its score is the lower of the two sides', as --side would give them."""
    loaded = model(HAND, 0.0)
    prepared = prepare(image(), HAND, loaded.card.crop, SIDE)
    scores = []
    weights = np.zeros(len(loaded.card.trust.weights))
    weights[-3 * HAND.num_landmarks :] = np.random.default_rng([8, 1]).normal(size=3 * HAND.num_landmarks)
    loaded = replace(loaded, card=replace(loaded.card, trust=replace(loaded.card.trust, weights=tuple(weights))))
    for case in (prepared, mirrored(prepared)):
        features = describe(loaded.model, as_patches(case, HAND).batch(torch.arange(1)))
        scores.append(loaded.card.trust.scores(features)[0])
    assert abs(scores[0] - scores[1]) > 1e-3
    assert fit_of(image(), loaded, ImportSettings()).margin == pytest.approx(-min(scores))
    assert fit_of(image(), loaded, SIDE).margin == pytest.approx(-scores[0])
    right = fit_of(image(), loaded, ImportSettings(side="right"))
    assert right.margin == pytest.approx(-scores[1])


def test_millimetres_rule_out_what_is_too_long_or_too_short():
    assert choose(volume(300), both(1.0, 9.0), SIDE).loaded.card.anatomy == HAND
    assert choose(volume(900), both(9.0, 1.0), SIDE).loaded.card.anatomy == BODY
    with pytest.raises(Unlike, match=r"body: 300 mm long, a body has at least 400"):
        choose(volume(300), both(-1.0, 1.0), SIDE)
    assert choose(image(1.0), both(1.0, 9.0), SIDE).loaded.card.anatomy == HAND


def test_a_network_of_depth_is_not_for_2d_images():
    assert choose(image(), both(1.0, 9.0, ("silhouette", "depth")), SIDE).loaded.card.anatomy == HAND
    with pytest.raises(Unlike, match="body: the network needs depth"):
        choose(image(), both(-1.0, 9.0, ("silhouette", "depth")), SIDE)


def test_what_cannot_be_seen_is_told_once():
    flat = Image(pixels=np.zeros((40, 40), np.float32), spacing_mm=None, to_viewer=np.eye(2, 3))
    with pytest.raises(ValueError) as told:
        choose(flat, both(1.0, 1.0), SIDE)
    assert not isinstance(told.value, Unlike) and ";" not in str(told.value).split("nothing to tell")[0]


def test_what_is_said_of_hands_is_not_said_of_bodies():
    said = ImportSettings(side="right", back="left", threshold=0.5)
    assert settings_for("hand", said) == said and settings_for("body", said) == ImportSettings(threshold=0.5)
    right = choose(image(), both(-1.0, 1.0), said)
    left = choose(image(), both(-1.0, 1.0), replace(said, side="left"))
    assert right.prepared is not None and left.prepared is not None
    np.testing.assert_array_equal(right.prepared.silhouette, left.prepared.silhouette)


def test_models_lie_in_folders_called_after_what_they_are_for(tmp_path):
    for name, loaded in both(1.0, 1.0).items():
        save_model(str(tmp_path / name), loaded.model, loaded.card)
    assert {name: loaded.card.anatomy.name for name, loaded in load_shipped(tmp_path).items()} == {
        "body": "body",
        "hand": "hand",
    }
    assert shipped_folder("hand", tmp_path) == str(tmp_path / "hand")
    with pytest.raises(ValueError, match="no models ship"):
        load_shipped(tmp_path / "empty")
    with pytest.raises(ValueError, match="no model of a foot ships"):
        shipped_folder("foot", tmp_path)
