"""However a step is computed, it learns the same, in parts or at once, on one worker or several."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from synth.domain.anatomy import HAND
from tests.training.toy import toy_samples
from training import plan
from training.checkpoint import latest_state, restore_state, save_state
from training.data import Patches
from training.execution import autocast
from training.loop import Hooks, fit
from training.models import LandmarkNet, ModelRecipe, build_model
from training.plan import Progress, num_steps, order
from training.recipe import TrainRecipe, paper_training
from training.step import Worker, make_optimiser
from training.views import hand_views

pytestmark = pytest.mark.usefixtures("one_thread")

HEATMAP = ModelRecipe(width=8, inputs=("silhouette", "observed"))
PAPER = ModelRecipe(network="paper", inputs=("silhouette", "observed"), dropout=0.0)
PLAIN = TrainRecipe(epochs=2, batch=10, precision="float32", augment=0.5, views=hand_views())


def network_of(recipe: ModelRecipe) -> LandmarkNet:
    torch.manual_seed(5)
    return build_model(recipe, HAND)


def patches_of(count: int) -> Patches:
    return Patches.from_samples(toy_samples(count, 1), HAND)


def learnt(recipe: TrainRecipe, model: ModelRecipe = HEATMAP, count: int = 25) -> tuple[list[float], Tensor]:
    """(losses, all weights in one row) of a training."""
    network = network_of(model)
    reports = fit(network, patches_of(count), recipe, seed=3)
    return [report.loss for report in reports], torch.cat([p.detach().flatten() for p in network.parameters()])


def assert_same(recipe: TrainRecipe, plain: TrainRecipe, model: ModelRecipe = HEATMAP, rel: float = 1e-4) -> None:
    """What is learnt is the same but for rounding, of which AdamW makes most where a gradient is about 0."""
    start = torch.cat([p.detach().flatten() for p in network_of(model).parameters()])
    (losses, weights), (expected, reference) = learnt(recipe, model), learnt(plain, model)
    assert losses == pytest.approx(expected, rel=rel)
    assert float((weights - reference).norm() / (reference - start).norm()) < 200 * rel


@pytest.mark.parametrize("change", [{"channels_last": True}, {"fused": True}, {"micro_batch": 3}])
@pytest.mark.parametrize("model", [HEATMAP, PAPER], ids=["heatmap", "paper"])
def test_options_of_execution_do_not_change_what_is_learnt(change, model):
    plain = PLAIN
    if model is PAPER:
        plain = replace(paper_training(), epochs=1, batch=10)
    assert_same(replace(plain, **change), plain, model)


@pytest.mark.slow
def test_a_compiled_network_learns_the_same():
    # torch 2.13 on a CPU: the compiled group normalisation is the more exact one, by 3e-4 of its output
    assert_same(replace(PLAIN, compile=True), PLAIN, rel=5e-4)


@pytest.mark.parametrize("able", [True, False])
def test_bfloat16_is_used_only_where_the_processor_has_it(able, monkeypatch):
    """Without it torch imitates it, many times as slowly."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    image, weight = torch.ones(1, 1, 8, 8), torch.ones(1, 1, 3, 3)
    with autocast("bfloat16", torch.device("cpu")):
        computed = torch.nn.functional.conv2d(image, weight)
    assert computed.dtype == (torch.bfloat16 if able else torch.float32)


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match=r"train\.compile needs a C\+\+ compiler, and there is no no-such-compiler"):
        fit(network_of(HEATMAP), patches_of(4), replace(PLAIN, compile=True), seed=1)


def test_no_more_images_are_computed_at_once_than_allowed():
    network, seen = network_of(HEATMAP), []
    network.register_forward_pre_hook(lambda _, images: seen.append(len(images[0])))
    fit(network, patches_of(13), replace(PLAIN, epochs=1, micro_batch=4), seed=1)
    assert seen == [4, 4, 2, 3]


def test_parts_of_a_batch_exchange_gradients_once(tmp_path):
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.FileStore(str(tmp_path / "s")), rank=0, world_size=1
    )
    try:
        network = DistributedDataParallel(network_of(HEATMAP), forward_sync_buffers=False)
        exchanged = []

        def count(_, bucket):
            exchanged.append(bucket.index())
            future = torch.futures.Future()
            future.set_result(bucket.buffer())
            return future

        network.register_comm_hook(None, count)
        reports = fit(network, patches_of(10), replace(PLAIN, epochs=1, micro_batch=3), seed=3)
    finally:
        torch.distributed.destroy_process_group()
    assert exchanged == [0]
    assert reports[0].loss == pytest.approx(learnt(replace(PLAIN, epochs=1), count=10)[0][0], rel=1e-4)


def test_a_run_goes_on_with_the_same_bits_however_it_is_computed(tmp_path):
    recipe = replace(PLAIN, channels_last=True, fused=True, micro_batch=4)
    patches, expected = patches_of(25), learnt(recipe)
    first = network_of(HEATMAP)
    optimiser = make_optimiser(first, recipe)

    def save(progress: Progress) -> None:
        if progress == replace(progress, epoch=1, step=1):
            save_state(str(tmp_path), first, optimiser, progress, {})

    fit(first, patches, recipe, seed=3, optimiser=optimiser, hooks=Hooks(on_save=save, save_steps=1))
    second = network_of(HEATMAP)
    again, state = make_optimiser(second, recipe), latest_state(str(tmp_path))
    assert state is not None
    restore_state(state, second, again)
    reports = fit(second, patches, recipe, seed=3, optimiser=again, start=state.progress)
    assert reports[0].loss == expected[0][1]
    assert torch.equal(torch.cat([p.detach().flatten() for p in second.parameters()]), expected[1])


@pytest.mark.parametrize("world", [1, 2, 4])
def test_workers_share_the_samples_of_each_step(world, monkeypatch):
    monkeypatch.setattr(plan, "BLOCK", 8)
    monkeypatch.setattr(plan, "WINDOW", 2)
    patches, network = patches_of(45), network_of(HEATMAP)
    optimiser = make_optimiser(network, PLAIN)
    planned = torch.as_tensor(order(3, 1, 45)).split(10)
    batches = list(patches.batches(3, 1, 10))
    assert len(batches) == len(planned) == num_steps(45, 10)
    for batch, rows in zip(batches, planned, strict=True):
        workers = [
            Worker(model=network, recipe=PLAIN, optimiser=optimiser, seed=3, rank=rank, world=world)
            for rank in range(world)
        ]
        shares = [batch.sample_id[worker.rows(batch)].tolist() for worker in workers]
        assert sorted(id for share in shares for id in share) == sorted(patches.sample_id[rows].tolist())
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("size", [0, -1])
def test_a_part_holds_an_image_at_least(size):
    with pytest.raises(ValueError, match=r"train\.micro_batch is"):
        TrainRecipe(micro_batch=size)
