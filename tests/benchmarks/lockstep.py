"""Folds fine-tuned in lockstep, by torch.func over stacked weights, against one after another; prints JSON.

  python -m tests.benchmarks.lockstep [--sizes tiny base] [--folds 3] [--batch 10] [--steps 10] [--repeats 3]

Both train the same heatmap network on toy hands by SGD on the L1 loss, one thread, no augmentation. In lockstep every
step is one vmapped gradient over the folds' stacked weights and their own batches; one after another is the same step
by plain autograd. The largest difference of the weights after one step is printed: the two compute the same. The ratio
is seconds in lockstep over seconds one after another, the median of the repeats, each pair measured in turn.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from synth.domain.anatomy import HAND
from tests.benchmarks.surroundings import surroundings
from tests.tuning.toy import toy_samples
from training.data import Patches
from training.models import HeatmapNet, ModelRecipe, Size, build_model

RATE = 1e-3
Batches = tuple[Tensor, Tensor]  # images (folds, n, 1, H, W), points (folds, n, K, 2)
Weights = dict[str, Tensor]
Train = Callable[[HeatmapNet, Batches, int], list[Weights]]


def start(size: Size) -> HeatmapNet:
    """A network with seeded weights."""
    torch.manual_seed(1)
    model = build_model(ModelRecipe(network="heatmap", size=size), HAND)
    assert isinstance(model, HeatmapNet)
    return model.train()


def batches_of(folds: int, cases: int, batch: int) -> Batches:
    """A batch for every fold, of its own cases."""
    patches = Patches.from_samples(toy_samples(cases, 1), HAND)
    rows = torch.stack(
        [torch.randperm(cases, generator=torch.Generator().manual_seed(f))[:batch] for f in range(folds)]
    )
    shown = [patches.batch(row) for row in rows]
    return torch.stack([part.silhouette for part in shown]), torch.stack([part.points for part in shown])


def one_after_another(model: HeatmapNet, batches: Batches, steps: int) -> list[Weights]:
    """The weights of each fold after `steps`."""
    trained = []
    for images, points in zip(*batches, strict=True):
        own = copy.deepcopy(model)
        optimiser = torch.optim.SGD(own.parameters(), lr=RATE, momentum=0.9)
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            functional.l1_loss(own(images).points, points).backward()
            optimiser.step()
        trained.append({name: parameter.detach() for name, parameter in own.named_parameters()})
    return trained


def in_lockstep(model: HeatmapNet, batches: Batches, steps: int) -> list[Weights]:
    """The weights of each fold after `steps`, all folds in one call a step."""
    folds = len(batches[0])
    stacked, buffers = stack_module_state([copy.deepcopy(model) for _ in range(folds)])

    def loss(weights: Weights, constants: Weights, images: Tensor, points: Tensor) -> Tensor:
        return functional.l1_loss(functional_call(model, (weights, constants), (images,)).points, points)

    contiguous = (
        Tensor.contiguous
    )  # torch 2.13: inside vmap there is no channels-last layout, which the network asks for
    gradients = vmap(grad(loss))
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in stacked.items()}
    optimiser = torch.optim.SGD(
        leaves.values(), lr=RATE, momentum=0.9
    )  # element by element: the same for stacked weights
    for _ in range(steps):
        with patch.object(Tensor, "contiguous", lambda tensor, **layout: contiguous(tensor)):
            found = gradients({name: leaf.detach() for name, leaf in leaves.items()}, buffers, *batches)
        for name, leaf in leaves.items():
            leaf.grad = found[name]
        optimiser.step()
    return [{name: leaf.detach()[fold] for name, leaf in leaves.items()} for fold in range(folds)]


def seconds(
    train: Callable[[HeatmapNet, Batches, int], object], model: HeatmapNet, batches: Batches, steps: int
) -> float:
    """Of processor time, so that others on the machine count less."""
    train(model, batches, 1)
    begin = time.process_time()
    train(model, batches, steps)
    return time.process_time() - begin


def measure(size: Size, given: argparse.Namespace) -> dict[str, object]:
    """Both ways at one size of the network."""
    model, batches = start(size), batches_of(given.folds, given.cases, given.batch)
    pairs = [
        [seconds(train, model, batches, given.steps) for train in (in_lockstep, one_after_another)]
        for _ in range(given.repeats)
    ]
    ours, theirs = (train(model, batches, 1) for train in (in_lockstep, one_after_another))
    apart = max(float((a[name] - b[name]).abs().max()) for a, b in zip(ours, theirs, strict=True) for name in a)
    ratios = [lockstep / serial for lockstep, serial in pairs]
    return {"ratio": statistics.median(ratios), "ratios": ratios, "seconds": pairs, "weights_apart_after_a_step": apart}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", nargs="+", choices=["tiny", "base"], default=["tiny", "base"])
    for name, value in (("folds", 3), ("cases", 20), ("batch", 10), ("steps", 10), ("repeats", 3)):
        options.add_argument(f"--{name}", type=int, default=value)
    given = options.parse_args()
    torch.set_num_threads(1)
    report = {**vars(given), **{size: measure(size, given) for size in given.sizes}, "torch": torch.__version__}
    print(json.dumps(report | surroundings(), indent=2))


if __name__ == "__main__":
    main()
