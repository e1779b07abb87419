"""Thickness on its way from shards to a network's input: stored, varied as the silhouette is, and scale-free."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import HAND
from synth.domain.schema import from_table, to_table
from tests.training.toy import toy_job, toy_samples
from training.artefacts import NOTHING, draw_artefacts, lay_on
from training.augment import Changes, change, draw_warps
from training.data import Patches
from training.models import ModelRecipe
from training.pretraining import train
from training.recipe import TrainRecipe
from training.split import read_split
from training.views import Views

INPUTS = ("silhouette", "thickness")


def samples(count=4):
    """Toy hands, as thick as their depth."""
    made = toy_samples(count, 1)
    return replace(made, thickness_mm=made.depth_mm)


def batch(count=4):
    patches = Patches.from_samples(samples(count), HAND, inputs=INPUTS)
    return patches, patches.batch(torch.arange(count))


def test_thickness_is_stored_in_tenths_of_a_millimetre_and_absent_where_it_is_not_known():
    found = from_table(to_table(samples(), {}), HAND)
    assert np.abs(found.thickness_mm - samples().thickness_mm).max() <= 0.051
    assert from_table(to_table(toy_samples(4, 1), {}), HAND).thickness_mm is None


def test_a_network_is_shown_shares_of_the_mean_whatever_the_scale():
    _, own = batch()
    shown = own.channels(INPUTS)[:, 1]
    tissue = own.silhouette[:, 0] > 0
    assert torch.allclose(shown[tissue].mean(), torch.tensor(1.0), atol=1e-3) and (shown[~tissue] == 0).all()
    larger = replace(own, thickness_mm=own.thickness_mm * 3)
    assert torch.allclose(larger.channels(INPUTS), own.channels(INPUTS), atol=1e-6)


def test_patches_without_thickness_are_refused_by_name():
    patches = Patches.from_samples(toy_samples(2, 1), HAND, inputs=INPUTS)
    with pytest.raises(ValueError, match="the network needs thickness, and these patches have none"):
        patches.batch(torch.arange(2)).channels(INPUTS)


def test_thickness_moves_with_the_silhouette():
    patches, own = batch()
    marked = own.thickness_mm.clone()
    marked[:, 0, 60:66, 44:50] = 200.0
    own = replace(own, thickness_mm=marked, points=torch.tensor([[[47.0, 63.0]]]).expand(4, 5, 2).clone())
    warps = draw_warps(4, patches.size, 1.0, np.random.default_rng(5))
    moved = change(own, Changes(warps=warps, unseen=torch.zeros(4, 5, dtype=torch.bool)), patches.crop)
    y, x = np.indices(patches.size) + 0.5
    for thickness, silhouette, point in zip(moved.thickness_mm, moved.silhouette, moved.points[:, 0], strict=True):
        weight = np.maximum(thickness[0].numpy() - 60, 0)
        centre = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
        assert np.abs(centre - point.numpy()).max() < 0.5
        assert torch.equal(thickness > 0, silhouette > 0)


def test_a_blanket_adds_at_most_its_own_thickness():
    _, own = batch()
    drawn = draw_artefacts(4, (96, 96), Views(blanket=1.0, blanket_mm=20.0), np.random.default_rng(1))
    drawn.bag[:, 0] = NOTHING
    covered = lay_on(own, drawn)
    tissue = own.silhouette > 0
    more = (covered.thickness_mm - own.thickness_mm)[tissue]
    assert (drawn.blanket_mm > 0).all() and more.min() >= 0 and more.max() <= float(drawn.blanket_mm.max()) + 1e-3
    assert more.mean() > 1 and torch.equal(covered.thickness_mm > 0, covered.silhouette > 0)


def test_data_rendered_without_thickness_is_refused_with_what_to_do(tmp_path):
    model = ModelRecipe(width=8, inputs=INPUTS)
    job = toy_job(tmp_path, 40, model=model, train=TrainRecipe(epochs=1, batch=8))
    with pytest.raises(ValueError, match=r"needs thickness, and .* has none; render it with --set render.thickness"):
        train(job, read_split(job), lambda network: network)
