"""Training: repeatable, masked, able to learn, and it stops where the loss is not a number."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import HAND
from synth.domain.schema import pack_silhouettes
from tests.training.toy import toy_samples
from training.data import Patches
from training.loop import fit, predict
from training.loss import landmark_losses, negative_log_likelihood
from training.metrics import errors_px
from training.models import ModelRecipe, Output, build_model
from training.plan import Progress
from training.recipe import TrainRecipe, paper_training
from training.step import Worker, make_optimiser
from training.views import Views

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = ModelRecipe(width=8)


def seeded(recipe: ModelRecipe):
    torch.manual_seed(5)
    return build_model(recipe, HAND)


def patches_of(count: int, seed: int = 1) -> Patches:
    return Patches.from_samples(toy_samples(count, seed), HAND)


def losses_of(model: ModelRecipe, recipe: TrainRecipe, patches: Patches) -> list[float]:
    return [report.loss for report in fit(seeded(model), patches, recipe, seed=3)]


@pytest.mark.parametrize("network", ["heatmap", "paper"])
def test_seeded_training_gives_equal_losses_twice(network):
    model = replace(SMALL, network=network)
    recipe = TrainRecipe(epochs=2, batch=6, augment=1.0)
    if network == "paper":
        recipe = replace(paper_training(), epochs=2, batch=6)
    patches = patches_of(16)
    assert losses_of(model, recipe, patches) == losses_of(model, recipe, patches)


def test_dropout_depends_on_the_seed_and_leaves_the_global_generator_alone():
    patches, recipe = patches_of(8), replace(paper_training(), epochs=1, batch=8)
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    model = ModelRecipe(network="paper")
    first = seeded(model)
    torch.manual_seed(9)
    one = fit(first, patches, recipe, seed=3)[0].loss
    assert torch.equal(torch.rand(3), expected)
    assert one != fit(seeded(model), patches, recipe, seed=4)[0].loss


TINY = replace(HAND, height=36, width=32, names=HAND.names[:2])


def squares(count: int) -> Patches:
    """White squares anywhere; the landmarks are their upper left and lower right corners."""
    generator = np.random.default_rng([1])
    images = np.zeros((count, *TINY.size), bool)
    corners = np.zeros((count, 2, 2), np.float32)
    for i in range(count):
        x, y, side = generator.integers(2, 16), generator.integers(2, 20), generator.integers(6, 14)
        images[i, y : y + side, x : x + side] = True
        corners[i] = [[x, y], [x + side, y + side]]
    return Patches(
        size=TINY.size,
        packed=torch.as_tensor(pack_silhouettes(images)),
        points=torch.as_tensor(corners),
        valid=torch.ones(count, 2, dtype=torch.bool),
        sample_id=torch.arange(count),
    )


@pytest.mark.parametrize("eq1", ["patch", "half_patch"])
def test_the_paper_network_learns_eight_squares(eq1):
    recipe = replace(paper_training(), epochs=150, batch=8, decay=1.0, rate=0.05)
    assert learnt_error(ModelRecipe(network="paper", eq1=eq1, dropout=0.0), recipe) < 0.7


@pytest.mark.parametrize(("loss", "spread_weight"), [("l1", 0.1), ("l2", 0.1), ("nll", 0.0)])
def test_the_heatmap_network_learns_eight_squares(loss, spread_weight):
    recipe = TrainRecipe(
        epochs=60, batch=8, rate=1e-2, precision="float32", loss=loss, spread_weight=spread_weight
    )  # fmt: skip
    assert learnt_error(ModelRecipe(width=16), recipe) < 0.7


def learnt_error(model_recipe: ModelRecipe, recipe: TrainRecipe) -> float:
    """Mean error in px on the squares it was trained on; what it started with is far worse."""
    patches = squares(8)
    torch.manual_seed(5)
    model = build_model(model_recipe, TINY)
    assert errors_px(predict(model, patches).points, patches.points.numpy()).mean() > 4
    fit(model, patches, recipe, seed=1)
    return float(errors_px(predict(model, patches).points, patches.points.numpy()).mean())


def test_a_missing_landmark_has_no_influence():
    samples = toy_samples(6, 1)
    samples.landmarks[2, 3] = np.nan
    patches = Patches.from_samples(samples, HAND)
    moved = replace_points(patches, 2, 3, 777.0)
    recipe = TrainRecipe(epochs=2, batch=6)
    assert losses_of(SMALL, recipe, patches) == losses_of(SMALL, recipe, moved)
    assert losses_of(SMALL, recipe, patches) != losses_of(SMALL, recipe, replace_points(patches, 1, 3, 777.0))


def replace_points(patches: Patches, row: int, landmark: int, value: float) -> Patches:
    points = patches.points.clone()
    points[row, landmark] = value
    return replace(patches, points=points)


HALF_SEEN = Views(collimated=0.7, sand_bag=0.5, threshold_px=0.7, border=0.1, blanket=0.3)


def worker_of(recipe: TrainRecipe, rank: int = 0, world: int = 1) -> Worker:
    model = seeded(replace(SMALL, inputs=("silhouette", "observed")))
    return Worker(
        model=model, recipe=recipe, optimiser=make_optimiser(model, recipe), seed=3, rank=rank, world=world
    )  # fmt: skip


def test_a_landmark_that_is_not_seen_has_no_influence_or_is_drawn_to_the_patch():
    patches, rows = patches_of(40), torch.arange(40)
    blind = TrainRecipe(views=HALF_SEEN, augment=0.5)
    batch, weights = worker_of(blind).varied(patches, rows, 0, 0)
    gone = weights == 0
    assert 0.02 < gone.float().mean() < 0.5
    inside = (batch.points[gone] >= 0) & (batch.points[gone] <= 96)
    assert inside.all() and not torch.isnan(batch.points).any()
    drawing = replace(blind, views=replace(HALF_SEEN, outside=0.25))
    drawn, drawn_weights = worker_of(drawing).varied(patches, rows, 0, 0)
    assert torch.equal(drawn.points, batch.points) and torch.equal(drawn_weights == 0.25, gone)
    assert torch.equal(drawn.silhouette, batch.silhouette)


def test_workers_share_a_batch_and_its_loss():
    batch = patches_of(13)
    recipe = TrainRecipe(views=replace(HALF_SEEN, outside=0.3), augment=0.5, precision="float32", batch=13)
    one = worker_of(recipe).run_step(batch, 1e-3, 0, 0)
    two = [worker_of(recipe, rank, 2).run_step(batch, 1e-3, 0, 0) for rank in (0, 1)]
    assert np.mean(two) == pytest.approx(one, rel=1e-5) and two[0] != two[1]


def test_training_with_views_repeats_and_goes_on_with_the_same_bits():
    patches, model = patches_of(16), replace(SMALL, inputs=("silhouette", "observed"))
    recipe = TrainRecipe(epochs=2, batch=6, augment=0.5, views=HALF_SEEN)
    assert losses_of(model, recipe, patches) == losses_of(model, recipe, patches)
    network = seeded(model)
    optimiser = make_optimiser(network, recipe)

    def rate_at(epoch: int, step: int) -> float:
        return recipe.rate_at(epoch, step, 3)

    first = fit(network, patches, replace(recipe, epochs=1), seed=3, optimiser=optimiser, rate_at=rate_at)
    second = fit(network, patches, recipe, seed=3, optimiser=optimiser, start=Progress(epoch=1), rate_at=rate_at)
    assert [report.loss for report in (*first, *second)] == losses_of(model, recipe, patches)


def test_predictions_are_of_patches_as_they_are():
    """Held-out errors are on clean patches: predict draws nothing."""
    patches, network = patches_of(5), seeded(replace(SMALL, inputs=("silhouette", "observed")))
    shown = torch.cat([patches.images(torch.arange(5)), torch.ones(5, 1, 96, 96)], 1)
    assert np.allclose(predict(network, patches).points, network.eval()(shown).points.detach().numpy(), atol=1e-4)


def test_the_loss_is_scaled_as_the_recipe_says():
    output = Output(torch.tensor([[[3.0, 1.0]], [[0.0, 0.0]]]), None)
    losses = landmark_losses(
        output, torch.zeros(2, 1, 2), torch.tensor([1.0, 2.0]), loss="l2", spread_px=1.0, spread_weight=0.0
    )
    assert losses.tolist() == [[9.25], [0.0]]
    patches, model = patches_of(4), ModelRecipe(network="paper", dropout=0.0)
    recipe = replace(paper_training(), epochs=1, batch=4)
    summed = losses_of(model, recipe, patches)[0]
    mean = losses_of(model, replace(recipe, loss_scale="mean_outputs"), patches)[0]
    points = seeded(model)(patches.images(torch.arange(4))).points.detach()
    target = (((points - patches.points) / 96) ** 2).sum() / 8
    assert summed == pytest.approx(float(target), rel=1e-5) and summed == pytest.approx(5 * mean, rel=1e-5)


def test_likelihood_is_that_of_a_normal_distribution():
    covariance = torch.tensor([[4.0, 1.0], [1.0, 2.0]])
    residual = torch.tensor([1.5, -0.5])
    normal = torch.distributions.MultivariateNormal(torch.zeros(2), covariance + 0.01 * torch.eye(2))
    expected = -normal.log_prob(residual) - np.log(2 * np.pi)
    assert float(negative_log_likelihood(residual, covariance)) == pytest.approx(float(expected), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_with_step_and_sample_ids():
    patches = replace_points(patches_of(6), 4, 1, float("nan"))
    with pytest.raises(ValueError, match=r"loss is nan in epoch 0, step \d, .*sample ids \[.*4.*\]; lower"):
        fit(seeded(SMALL), patches, TrainRecipe(epochs=1, batch=3), seed=1)


def test_an_own_schedule_gives_the_rates():
    seen: list[tuple[int, int]] = []

    def rate_at(epoch: int, step: int) -> float:
        seen.append((epoch, step))
        return 1e-3

    reports = fit(seeded(SMALL), patches_of(5), TrainRecipe(epochs=2, batch=3), seed=1, rate_at=rate_at)
    assert seen == [(0, 0), (0, 1), (1, 2), (1, 3)] and reports[-1].rate == 1e-3


def test_frozen_parameters_stay():
    model = seeded(SMALL)
    head = {id(p) for p in model.head_parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in head)
    stem = model.stem[0].weight.clone()
    last = model.head.weight.clone()
    fit(model, patches_of(4), TrainRecipe(epochs=1, batch=4), seed=1)
    assert torch.equal(stem, model.stem[0].weight) and not torch.equal(last, model.head.weight)


def test_predictions_do_not_depend_on_the_batch_much_and_leave_the_mode():
    model = seeded(SMALL).train()
    patches = patches_of(7)
    one, many = predict(model, patches, batch=1), predict(model, patches)
    assert model.training and np.allclose(one.points, many.points, atol=1e-3)
    assert one.sigma.shape == (7, 5) and (one.sigma > 0).all()
    assert np.isnan(predict(seeded(ModelRecipe(network="paper")), patches).sigma).all()


def test_published_rates():
    recipe = paper_training()
    assert recipe.rate_at(0, 0, 10) == 0.01 and recipe.rate_at(10, 100, 10) == pytest.approx(0.001, rel=1e-3)


def test_cosine_rises_then_falls_to_nothing():
    recipe = TrainRecipe(epochs=10, rate=1.0, warmup=0.1)
    rates = [recipe.rate_at(step // 10, step, 10) for step in range(100)]
    assert np.argmax(rates) in (9, 10) and rates[0] < 0.1 and rates[-1] < 0.001


def test_a_loss_that_needs_a_heatmap_is_refused_for_the_paper_network():
    with pytest.raises(ValueError, match=r"needs a heatmap"):
        fit(seeded(ModelRecipe(network="paper")), patches_of(2), TrainRecipe(epochs=1), seed=1)


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"rate": 0.0}, {"augment": -1.0}, {"decay": 1.5}, {"warmup": 1.0}, {"depth_weight": -1.0}]
)
def test_a_recipe_that_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match=f"train.{next(iter(change))} is"):
        TrainRecipe(**change)
