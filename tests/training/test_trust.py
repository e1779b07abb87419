"""Trust: broken silhouettes are told from sound ones, and a network without it is none the worse."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import HAND
from synth.domain.patch import Crop
from synth.domain.schema import unpack_silhouettes
from tests.training.test_predict import case, loaded
from tests.training.toy import toy_samples
from training.broken import broken, kinds_of
from training.data import Patches
from training.models import ModelRecipe, build_model
from training.predict import predict_case
from training.recipe import TrainRecipe
from training.trust import Trust, describe
from training.trust_learning import adapted, broken_features, features_of, images_of, learn_trust, sound_features

pytestmark = pytest.mark.usefixtures("one_thread")


def patches(count: int, seed: int) -> Patches:
    return Patches.from_samples(toy_samples(count, seed), HAND)


def network(name: str = "heatmap"):
    torch.manual_seed(3)
    return build_model(ModelRecipe(network=name, width=8), HAND).eval()


def images(count: int) -> np.ndarray:
    return unpack_silhouettes(toy_samples(count, 2).packed, HAND.size)[:, None].astype(np.float32)


def all_broken(sound: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {kind: broken(sound, kind, Crop(), rng) for kind in kinds_of("hand")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heatmap", "paper"])
def test_sound_hands_pass_and_broken_ones_do_not(name):
    """Even the features of untrained networks tell toy hands from broken ones."""
    model, train = network(name), TrainRecipe(augment=0.5)
    trust = learn_trust(model, patches(80, 1), patches(40, 7), "hand", train, 1)
    sound = trust.scores(sound_features(model, patches(40, 5), train, np.random.default_rng(1))) > trust.limit
    assert sound.mean() < 0.15
    found = all_broken(images(40), 2)
    flagged = {kind: (trust.scores(features_of(model, made)) > trust.limit).mean() for kind, made in found.items()}
    assert np.mean(list(flagged.values())) > 0.8 and flagged["upside-down"] > 0.9, flagged


def test_broken_patches_are_cut_as_an_import_would_cut_them():
    sound = images(6)
    made = all_broken(sound, 1)
    assert set(kinds_of("hand")) - set(kinds_of("body")) == {"mirrored"}
    for kind, bad in made.items():
        assert bad.shape == sound.shape and bad.any((1, 2, 3)).all(), kind
        rows, cols = (np.flatnonzero(bad[0, 0].any(axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(cols)) + 1 == pytest.approx(96 / 1.08, abs=2), kind


def test_too_few_patches_teach_no_trust():
    assert learn_trust(network(), patches(9, 1), patches(20, 2), "hand", TrainRecipe(), 1) is None
    assert learn_trust(network(), patches(20, 1), patches(9, 2), "hand", TrainRecipe(), 1) is None


def test_each_patch_is_broken_in_so_many_ways():
    model, sound = network(), patches(27, 1)
    found = broken_features(model, sound, "hand", np.random.default_rng(1), ways=2)
    assert list(found) == list(kinds_of("hand")) and {len(features) for features in found.values()} == {6}
    whole = broken_features(model, sound, "hand", np.random.default_rng(1))
    assert {len(features) for features in whole.values()} == {27}
    np.testing.assert_allclose(found["mirrored"], whole["mirrored"][[0, 8, 9, 17, 18, 26]], atol=1e-5)


def deep_patches(count: int, seed: int) -> Patches:
    """Toy hands whose depth rises from left to right."""
    samples = toy_samples(count, seed)
    tissue = unpack_silhouettes(samples.packed, HAND.size)
    ramp = np.linspace(50, 150, HAND.size[1], dtype=np.float32)
    return Patches.from_samples(replace(samples, depth_mm=tissue * ramp), HAND, inputs=("depth",))


def test_planes_are_broken_with_their_silhouettes():
    model = build_model(ModelRecipe(network="heatmap", width=8, inputs=("silhouette", "depth")), HAND).eval()
    sound = images_of(model, deep_patches(6, 2).batch(torch.arange(6)))
    for kind, bad in all_broken(sound, 1).items():
        assert ((bad[:, 1] > 0) == (bad[:, 0] > 0)).mean() > 0.99, kind
        rise = np.polyfit(np.nonzero(bad[0, 0])[1], bad[0, 1][bad[0, 0] > 0], 1)[0]
        assert (rise < 0) == (kind == "mirrored") or kind in ("blob", "lying across"), kind


@pytest.mark.slow
def test_a_network_that_reads_depth_learns_trust():
    torch.manual_seed(3)
    model = build_model(ModelRecipe(network="heatmap", width=8, inputs=("silhouette", "depth")), HAND).eval()
    train = TrainRecipe(augment=0.5)
    trust = learn_trust(model, deep_patches(80, 1), deep_patches(40, 7), "hand", train, 1)
    own = deep_patches(40, 5)
    sound = trust.scores(sound_features(model, own, train, np.random.default_rng(1))) > trust.limit
    bad = all_broken(images_of(model, own.batch(torch.arange(40))), 2)
    flagged = {kind: (trust.scores(features_of(model, made)) > trust.limit).mean() for kind, made in bad.items()}
    assert sound.mean() < 0.15 and np.mean(list(flagged.values())) > 0.8, flagged


def test_fine_tuning_raises_the_limit_for_its_own_patches_and_never_lowers_it():
    model, train, own = network(), TrainRecipe(), patches(40, 1)
    size = describe(model, own.batch(torch.arange(1))).shape[1]
    trust = Trust(mean=(0.0,) * size, deviation=(1.0,) * size, weights=(1.0,) * size, limit=-1e3)
    raised = adapted(trust, model, own, train, 1)
    scores = trust.scores(describe(model, own.batch(torch.arange(40))))
    assert (scores > raised.limit).mean() <= 0.05 and raised.weights == trust.weights
    assert adapted(replace(trust, limit=1e3), model, own, train, 1).limit == 1e3


def test_a_feature_beyond_all_measure_says_no_more():
    trust = Trust(mean=(0.0, 1.0), deviation=(1.0, 2.0), weights=(1.0, -1.0), limit=0.0)
    np.testing.assert_allclose(trust.scores(np.array([[3.0, 1.0], [1e9, 1.0], [0.0, 5.0]])), [3, 8, -2])
    with pytest.raises(ValueError, match="1, 2, 2"):
        replace(trust, mean=(0.0,))


def test_describing_leaves_the_network_as_it_was():
    model = network("paper").train()
    one, two = (describe(model, patches(3, 1).batch(torch.arange(3))) for _ in range(2))
    np.testing.assert_array_equal(one, two)  # dropout is off
    assert model.training


def test_no_landmark_of_a_doubted_case_is_placed_and_it_says_why():
    size = describe(loaded().model, patches(1, 1).batch(torch.arange(1))).shape[1]
    trust = Trust(mean=(0.0,) * size, deviation=(1.0,) * size, weights=(0.0,) * size, limit=-1.0)
    found = predict_case(loaded(trust=trust), case())
    assert found.status == ("untrusted",) * 5 and "one whole hand" in found.doubt
    trusted = predict_case(loaded(trust=replace(trust, limit=1.0)), case())
    assert trusted.status == ("ok",) * 5 and trusted.doubt == "" and predict_case(loaded(), case()).doubt == ""
