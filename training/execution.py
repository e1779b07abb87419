"""How a network is computed: precision, memory layout, compiled or not. What it learns is the same but for rounding."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from training.models import Output
from training.recipe import Precision, TrainRecipe


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which convolutions and products run in that precision, or in float32 where the device has no other.

    torch 2.13 on a processor without AVX-512 computes in bfloat16 all the same, 37 times as slowly as in float32.
    """
    lower = precision == "bfloat16" and has_bfloat16(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=lower)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16, and does not merely imitate it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def lay_out(model: nn.Module, recipe: TrainRecipe) -> None:
    """None; the network's weights lie in memory as the recipe says. Call it before DistributedDataParallel."""
    if recipe.channels_last:
        # Module.to is not annotated for it
        cast(Callable[..., nn.Module], model.to)(memory_format=torch.channels_last)


def laid_out(images: Tensor, recipe: TrainRecipe) -> Tensor:
    """The images (N, C, H, W), in memory as the recipe says."""
    return images.contiguous(memory_format=torch.channels_last) if recipe.channels_last else images


def computed(model: nn.Module, recipe: TrainRecipe) -> Callable[[Tensor], Output]:
    """The network's forward pass, compiled at its first call where the recipe says so."""
    return cast(Callable[[Tensor], Output], torch.compile(model) if recipe.compile else model)


def check_compiler(recipe: TrainRecipe, device: torch.device) -> None:
    """Raise ValueError where the recipe wants the network compiled and there is nothing to do so with."""
    if not recipe.compile:
        return
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise ValueError("train.compile on a GPU needs triton, which is not installed; set train.compile=false")
        return
    compiler = os.environ.get("CXX", "g++")  # as torch 2.13 looks for it
    if shutil.which(compiler) is None:
        raise ValueError(
            f"train.compile needs a C++ compiler, and there is no {compiler}; install one, name yours in CXX, or set "
            "train.compile=false"
        )
