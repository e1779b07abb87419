"""Networks: published sizes, exact coordinates, covariance, open points of the paper."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import training.models
from synth.domain.anatomy import BODY, HAND, Anatomy
from training.models import ModelRecipe, build_model, soft_argmax


@pytest.mark.parametrize(("anatomy", "millions"), [(HAND, 27.9), (BODY, 36.4)])
def test_table_1_has_the_published_number_of_parameters(anatomy, millions):
    model = build_model(ModelRecipe(network="paper"), anatomy)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions


def cost(recipe: ModelRecipe, anatomy: Anatomy) -> str:
    """Parameters and multiply-adds of one patch, in millions."""
    model = build_model(recipe, anatomy).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, *anatomy.size))
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    return f"{num_parameters / 1e6:.2f} / {counter.get_total_flops() / 2e6:.1f}"


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("heatmap, tiny", ModelRecipe(size="tiny")),
        ("heatmap, base", ModelRecipe(size="base")),
        ("paper", ModelRecipe(network="paper")),
    ],
)
def test_networks_cost_what_their_module_says(name, recipe):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in training.models.__doc__.splitlines()]
    assert [name, cost(recipe, HAND), cost(recipe, BODY)] in rows


def test_a_width_of_ones_own_goes_before_that_of_the_size():
    assert ModelRecipe().channels == 32 and ModelRecipe(size="tiny").channels == 16
    assert ModelRecipe(size="tiny", width=8).channels == 8


def test_a_heatmap_of_one_cell_gives_its_centre():
    logits = torch.full((1, 2, 7, 5), -1e4)
    logits[0, 0, 3, 4] = logits[0, 1, 0, 0] = 1e4
    points, covariance, _ = soft_argmax(logits, 2.0)
    assert torch.allclose(points[0], torch.tensor([[9.0, 7.0], [1.0, 1.0]]))
    assert covariance.abs().max() < 1e-6


def test_covariance_is_that_of_a_sampled_normal_distribution():
    true = torch.tensor([[9.0, 3.0], [3.0, 4.0]])
    y, x = torch.meshgrid(torch.arange(64) * 1.0, torch.arange(64) * 1.0, indexing="ij")
    offset = torch.stack([x - 30.2, y - 33.4], -1)
    logits = -0.5 * ((offset @ torch.linalg.inv(true)) * offset).sum(-1)
    points, covariance, _ = soft_argmax(logits[None, None], 1.0)
    assert torch.allclose(points[0, 0], torch.tensor([30.7, 33.9]), atol=1e-3)
    assert torch.allclose(covariance[0, 0], true, atol=1e-2)


@pytest.mark.parametrize("network", ["paper", "heatmap"])
@pytest.mark.parametrize("anatomy", [HAND, BODY])
def test_output_shapes(network, anatomy):
    output = build_model(ModelRecipe(network=network), anatomy)(torch.zeros(2, 1, *anatomy.size))
    assert output.points.shape == (2, anatomy.num_landmarks, 2)
    assert (output.covariance is None) == (network == "paper")
    if output.covariance is not None:
        assert output.covariance.shape == (2, anatomy.num_landmarks, 2, 2)


@pytest.mark.parametrize("eq1", ["patch", "half_patch"])
def test_eq_1_readings_give_the_same_points_for_their_own_targets(eq1):
    """A target t of eq. (1) stands for t * unit + centre, in both readings."""
    model = build_model(ModelRecipe(network="paper", eq1=eq1, dropout=0.0), HAND)
    last = model.regressor[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 0.25 if eq1 == "patch" else 0.5)
    assert torch.allclose(model(torch.zeros(1, 1, 96, 96)).points, torch.full((1, 5, 2), 72.0))


def test_relu_in_the_last_layer_clips_the_left_half():
    torch.manual_seed(0)
    images = torch.rand(4, 1, 96, 96)
    literal = build_model(ModelRecipe(network="paper", last_layer="relu"), HAND)(images).points
    assert literal.min() >= 48
    torch.manual_seed(0)
    assert build_model(ModelRecipe(network="paper"), HAND)(images).points.min() < 48


def test_padding_keeps_the_size_of_feature_maps():
    padded = build_model(ModelRecipe(network="paper", padding="same"), HAND)
    assert padded.regressor[0].in_features == 32 * 24 * 24


def test_weights_follow_the_seed():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return build_model(ModelRecipe(), HAND).head.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("change", [{"width": 12}, {"width": 0}, {"dropout": 1.0}])
def test_a_recipe_that_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match=f"model.{next(iter(change))} is"):
        ModelRecipe(**change)


@pytest.mark.parametrize("network", ["paper", "heatmap"])
def test_every_input_is_a_channel(network):
    torch.manual_seed(0)
    model = build_model(ModelRecipe(network=network, inputs=("silhouette", "observed")), HAND).eval()
    images = torch.zeros(1, 2, 96, 96)
    images[:, 0, 30:60, 30:60] = 1
    blind = model(images).points
    images[:, 1] = 1
    assert model.inputs == ("silhouette", "observed") and not torch.equal(model(images).points, blind)


@pytest.mark.parametrize("inputs", [(), ("depth", "depth")])
def test_inputs_are_named_once(inputs):
    with pytest.raises(ValueError, match=r"model\.inputs is"):
        ModelRecipe(inputs=inputs)
