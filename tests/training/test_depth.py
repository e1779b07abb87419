"""The third coordinate: its target is that of what is shown, networks learn it; where it is unknown it has no say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import HAND
from synth.domain.annotation import normalise_landmark_depth
from synth.domain.schema import Samples
from tests.training.toy import toy_job, toy_samples
from training.augment import change, draw_changes
from training.checkpoint import load_model
from training.data import Batch, Patches
from training.held_out import depth_errors
from training.job import PretrainJob
from training.loop import fit, predict
from training.loss import depth_losses
from training.models import LandmarkNet, ModelRecipe, build_model, soft_argmax
from training.outcome import finish
from training.pretraining import train
from training.recipe import TrainRecipe, paper_training
from training.split import read_split
from training.views import Views, hand_views

pytestmark = pytest.mark.usefixtures("one_thread")

READS = ("silhouette", "depth", "observed")
RECIPES = {
    "heatmap": ModelRecipe(width=8, inputs=READS, regress_depth=True),
    "paper": ModelRecipe(network="paper", inputs=("depth",), regress_depth=True, dropout=0.0),
}


def slanted(count: int, points: np.ndarray | None = None) -> Samples:
    """Toy hands whose landmarks lie on the surface, or on its plane beyond the outline."""
    samples = toy_samples(count, 1)
    landmarks = samples.landmarks.copy()
    if points is not None:
        landmarks[:, :, :2] = points
    landmarks[:, :, 2] = 20 + (landmarks[:, :, 0] - 0.5) / 10
    return replace(samples, landmarks=landmarks)


def patches_of(samples: Samples) -> Patches:
    return Patches.from_samples(samples, HAND, inputs=READS)


def network_of(name: str, **changes) -> LandmarkNet:
    torch.manual_seed(5)
    return build_model(replace(RECIPES[name], **changes), HAND)


def test_the_target_is_that_of_the_domain():
    samples = slanted(6)
    samples.landmarks[2, 1, 2] = np.nan
    found = patches_of(samples).batch(torch.arange(6)).landmark_depth().numpy()
    expected = [
        normalise_landmark_depth(points[:, 2], depth)
        for points, depth in zip(samples.landmarks, samples.depth_mm, strict=True)
    ]
    assert np.allclose(found, expected, atol=1e-3, equal_nan=True) and np.isnan(found).sum() == 1


def test_nothing_and_a_flat_map_have_no_depth():
    samples = slanted(3)
    samples.depth_mm[0] = 0
    samples.depth_mm[1] = np.where(samples.depth_mm[1] > 0, 30, 0)
    found = patches_of(samples).batch(torch.arange(3)).landmark_depth()
    assert found[:2].isnan().all() and found[2].isfinite().all()
    silhouettes = Patches.from_samples(samples, HAND)
    assert silhouettes.batch(torch.arange(3)).landmark_depth().isnan().all()


@pytest.mark.parametrize("views", [hand_views(), Views(collimated=1.0)])
def test_the_target_is_normalised_over_what_is_shown(views):
    """Turned, cut and cropped again, the depth map at a landmark on the skin is that landmark's target."""
    views = replace(views, blanket=0.0)
    grid = np.stack(np.meshgrid([44.0, 50.0, 56.0], [54.0, 64.0, 74.0]), -1).reshape(-1, 2)
    inside = grid[[0, 2, 4, 6, 8]]  # of every palm
    patches, rows = patches_of(slanted(24, inside)), torch.arange(24)
    changes = draw_changes(patches, rows, 1.0, views, np.random.default_rng([1]))
    shown = change(patches.batch(rows), changes, patches.crop)
    plane, target = shown.channels(("depth",))[:, 0], shown.landmark_depth()
    checked = 0
    for row in range(24):
        for landmark, (x, y) in enumerate(shown.points[row]):
            if (
                1 < x < 95
                and 1 < y < 95
                and bool((plane[row, int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] < 3).all())
            ):
                assert abs(float(plane[row, int(y), int(x)] - target[row, landmark])) < 0.15
                checked += 1
    plain = patches.batch(rows).landmark_depth()
    assert checked > 60 and float((target - plain).abs().max()) > 0.2  # cutting moves mean and deviation


@pytest.mark.parametrize(("relief", "behind_mm"), [(0.0, 0.0), (1.0, 15.0)])
def test_a_blanket_lies_before_the_landmarks(relief, behind_mm):
    patches, rows = patches_of(slanted(4, np.full((5, 2), 50.5))), torch.arange(4)
    changes = draw_changes(patches, rows, 0.0, Views(blanket=1.0, blanket_mm=15.0), np.random.default_rng([1]))
    assert changes.artefacts is not None
    artefacts = replace(
        changes.artefacts, folds=torch.full_like(changes.artefacts.folds, relief), blanket_mm=torch.full((4,), 15.0)
    )
    shown = change(patches.batch(rows), replace(changes, artefacts=artefacts), patches.crop)
    for row in range(4):
        x, y = shown.points[row, 0].long()
        surface = float(shown.depth_mm[row, 0, y, x])
        assert float(shown.landmark_mm[row, 0]) - surface == pytest.approx(behind_mm, abs=0.2)


@pytest.mark.parametrize("name", RECIPES)
def test_networks_learn_depth(name):
    patches, model = patches_of(slanted(8)), network_of(name)
    recipe = TrainRecipe(epochs=60, batch=8, rate=1e-2, precision="float32")
    if name == "paper":
        recipe = replace(paper_training(), epochs=25, batch=8, decay=1.0)
    before = depth_errors(predict(model, patches).depth, patches)[0].mean()
    fit(model, patches, recipe, seed=1)
    units, mm = depth_errors(predict(model, patches).depth, patches)
    assert before > 0.5 and units.mean() < 0.2
    deviation = np.array([depth[depth > 0].std() for depth in slanted(8).depth_mm])
    assert np.allclose(mm, units * deviation[:, None], rtol=1e-3)


@pytest.mark.parametrize("name", RECIPES)
def test_points_are_told_as_without_depth(name):
    if name == "heatmap":
        images = torch.rand(2, 3, 96, 96)
        assert torch.equal(network_of(name)(images).points, network_of(name, regress_depth=False)(images).points)
    output = network_of(name, regress_depth=False)(torch.rand(2, len(RECIPES[name].inputs), 96, 96))
    assert output.depth is None and network_of(name).num_landmarks == 5


def test_depths_that_are_unknown_have_no_influence():
    samples = slanted(8)
    samples.landmarks[:, :, 2] = np.nan
    recipe = TrainRecipe(epochs=2, batch=4)
    without, unknown = (
        fit(network_of("heatmap", regress_depth=regressed), patches_of(samples), recipe, seed=1)
        for regressed in (False, True)
    )
    known = fit(network_of("heatmap"), patches_of(slanted(8)), recipe, seed=1)
    assert [r.loss for r in without] == [r.loss for r in unknown] != [r.loss for r in known]


def test_an_error_in_depth_does_not_move_the_heatmap():
    logits = torch.rand(1, 2, 6, 5, requires_grad=True)
    maps = torch.rand(1, 2, 6, 5, requires_grad=True)
    depth = soft_argmax(logits, 2.0, maps).depth
    assert torch.allclose(depth, (logits.flatten(2).softmax(-1) * maps.flatten(2)).sum(-1))
    depth.sum().backward()
    assert logits.grad is None and (maps.grad > 0).all()


def test_depth_counts_as_the_loss_says():
    depth, true = torch.tensor([[1.0, 5.0]]), torch.tensor([[-2.0, torch.nan]])
    assert depth_losses(depth, true, loss="l2").tolist() == [[9.0, 0.0]]
    assert depth_losses(depth, true, loss="nll").tolist() == [[3.0, 0.0]]
    batch = Batch(
        silhouette=torch.ones(1, 1, 4, 4), depth_mm=None, observed=torch.ones(1, 1, 4, 4), points=true[..., None]
    )
    assert batch.landmark_depth().isnan().all()


@pytest.fixture
def job(tmp_path) -> PretrainJob:
    model = ModelRecipe(width=8, inputs=("silhouette", "observed"), regress_depth=True)
    return toy_job(tmp_path, 40, model=model, train=TrainRecipe(epochs=1, batch=8, augment=0.5, views=hand_views()))


def test_a_run_tells_its_errors_of_depth(job):
    split = read_split(job)
    assert split.train.depth is not None  # read, though the network is not shown it
    card = finish(job, train(job, split, lambda network: network), split.held_out)
    assert card.depth_regressed and load_model(job.model_uri).card == card
    assert card.metrics["held_out_depth"] > 0 and 0 < card.metrics["held_out_depth_mm"] < 100
    assert card.metrics["held_out_mean_depth_mm"] >= 0


def test_data_without_depth_cannot_teach_it(job):
    split = read_split(job)
    flat = split._replace(held_out=replace(split.held_out, depth=None))
    with pytest.raises(ValueError, match=r"the network needs depth, and .* has none; leave it out"):
        train(job, flat, lambda network: network)
