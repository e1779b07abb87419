"""The two landmark networks: the published regression network (Table 1) and a small heatmap network.

Parameters, and multiply-adds for one patch of one input, in millions (tests/training/test_models.py counts them):

| network       | hand, 96 x 96 | body, 160 x 76 |
|---------------|---------------|----------------|
| heatmap, tiny |   0.19 / 32.3 |    0.19 / 45.1 |
| heatmap, base |  0.75 / 126.3 |   0.75 / 175.8 |
| paper         |  27.91 / 83.1 |  36.38 / 110.5 |
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from synth.domain.anatomy import Anatomy
from synth.domain.annotation import Eq1

Plane = Literal["silhouette", "depth", "thickness", "observed"]
Inputs = tuple[Plane, ...]
Size = Literal["tiny", "base"]
WIDTHS: dict[Size, int] = {"tiny": 16, "base": 32}


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """Which network, and how the paper's open points are read.

    inputs: what it is shown, a channel each: the silhouette, the depth map
        (normalised) and the thickness from skin to skin (over its mean), both of volumes alone, and which
        pixels lie inside the field of view (1 everywhere where nothing is cut)
    network: "paper" is Table 1 of Riegler et al. 2015; "heatmap" a small encoder-decoder with soft-argmax
    size: of the heatmap network; the paper's network is as published and ignores it
    width: channels of the heatmap network at half resolution; None is what its size says (see WIDTHS). For toys, and
        for cards from before there were sizes
    dropout: on the two hidden fully connected layers of the paper's network
    eq1, last_layer, padding: open points of the paper; they concern its network alone
    regress_depth: whether each landmark's normalised depth is an output, too. A network that is not shown depth learns
        the mean depth of such an outline
    """

    network: Literal["paper", "heatmap"] = "heatmap"
    inputs: Inputs = ("silhouette",)
    size: Size = "base"
    width: int | None = None
    dropout: float = 0.5
    eq1: Eq1 = "patch"
    last_layer: Literal["linear", "relu"] = "linear"
    padding: Literal["valid", "same"] = "valid"
    regress_depth: bool = False

    def __post_init__(self) -> None:
        if not self.inputs or len(set(self.inputs)) < len(self.inputs):
            planes = ", ".join(get_args(Plane))
            raise ValueError(f"model.inputs is {self.inputs}; allowed: {planes}, each at most once")
        if self.width is not None and (self.width < 8 or self.width % 8):
            raise ValueError(f"model.width is {self.width}; allowed: multiples of 8, at least 8")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout is {self.dropout}; allowed: 0 <= dropout < 1")

    @property
    def channels(self) -> int:
        """Channels of the heatmap network at half resolution."""
        return WIDTHS[self.size] if self.width is None else self.width

    @property
    def reads(self) -> Inputs:
        """What is read to train it: its inputs, and depth where it is regressed."""
        return (*self.inputs, "depth") if self.regress_depth and "depth" not in self.inputs else self.inputs


class Output(NamedTuple):
    """What a network says of N patches. points (N, K, 2) patch px; covariance (N, K, 2, 2) px^2, or None.

    depth: (N, K) in units of the normalised depth map, see annotation.normalise_landmark_depth; None: not regressed
    """

    points: Tensor
    covariance: Tensor | None
    depth: Tensor | None = None


class LandmarkNet(nn.Module, ABC):
    """A network from patches (N, C, H, W) float32, a channel for each of its inputs, to landmarks.

    inputs: what the channels are, see data.Batch.channels
    unit: (2,) patch px per unit of the training target along x and y; the loss is taken in those units.
    has_covariance: whether its Output has one
    """

    unit: Tensor

    def __init__(
        self, anatomy: Anatomy, unit: tuple[float, float], has_covariance: bool, inputs: Inputs = ("silhouette",)
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.has_covariance = has_covariance
        self.size = anatomy.size
        self.num_landmarks = anatomy.num_landmarks
        self.register_buffer("unit", torch.tensor(unit), persistent=False)

    @abstractmethod
    def forward(self, images: Tensor) -> Output:
        """The Output for images (N, C, H, W) float32."""

    def __call__(self, images: Tensor) -> Output:
        return cast(Output, super().__call__(images))

    @abstractmethod
    def summary(self, images: Tensor) -> Tensor:
        """(N, F) what the network makes of whole patches (N, C, H, W): the means of its coarsest features."""

    @abstractmethod
    def move(self, shift: Tensor) -> None:
        """None; from now on every landmark lies `shift` (K, 2) patch px farther along x and y."""

    @abstractmethod
    def head_parameters(self) -> list[nn.Parameter]:
        """The parameters of the last layers: those that learn when the features are kept as pre-trained."""

    @abstractmethod
    def decoder_parameters(self) -> list[nn.Parameter]:
        """The parameters of all that follows the encoder: those that learn when the encoder is kept as pre-trained."""


def build_model(recipe: ModelRecipe, anatomy: Anatomy) -> LandmarkNet:
    """A freshly initialised network; its weights follow torch's global generator (seed it before)."""
    if recipe.network == "paper":
        return PaperNet(recipe, anatomy)
    return HeatmapNet(recipe, anatomy)


class PaperNet(LandmarkNet):
    """Table 1: conv5-32, pool2, conv5-32, pool2, conv3-32, fc2048, fc2048, fc 2K, or 3K with the third coordinate.

    Source: Riegler et al. 2015, Table 1. Differs: the last layer is linear by default, since a ReLU clips the
    negative half of the targets of eq. (1); last_layer="relu" is the literal reading.
    """

    def __init__(self, recipe: ModelRecipe, anatomy: Anatomy) -> None:
        height, width = anatomy.size
        part = 1.0 if recipe.eq1 == "patch" else 0.5
        super().__init__(anatomy, (width * part, height * part), has_covariance=False, inputs=recipe.inputs)
        self.register_buffer("centre", torch.tensor([width / 2, height / 2]), persistent=False)
        same = recipe.padding == "same"
        self.features = nn.Sequential(
            nn.Conv2d(len(recipe.inputs), 32, 5, padding=2 * same), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 5, padding=2 * same), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1 * same), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        with torch.no_grad():
            num_features = self.features(torch.zeros(1, len(recipe.inputs), height, width)).shape[1]
        last = [nn.ReLU()] if recipe.last_layer == "relu" else []
        self.num_coordinates = 3 if recipe.regress_depth else 2
        self.regressor = nn.Sequential(
            nn.Linear(num_features, 2048), nn.ReLU(), nn.Dropout(recipe.dropout),
            nn.Linear(2048, 2048), nn.ReLU(), nn.Dropout(recipe.dropout),
            nn.Linear(2048, self.num_coordinates * anatomy.num_landmarks), *last,
        )  # fmt: skip

    def forward(self, images: Tensor) -> Output:
        targets = self.regressor(self.features(images)).float()
        targets = targets.unflatten(1, (self.num_landmarks, self.num_coordinates))
        points = targets[..., :2] * self.unit + cast(Tensor, self.centre)
        return Output(points, None, targets[..., 2] if self.num_coordinates == 3 else None)

    def summary(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.features[:-1](images)).float().mean((2, 3))

    def move(self, shift: Tensor) -> None:
        last = [layer for layer in self.regressor if isinstance(layer, nn.Linear)][-1]
        with torch.no_grad():
            last.bias.unflatten(0, (self.num_landmarks, self.num_coordinates))[:, :2] += shift / self.unit

    def head_parameters(self) -> list[nn.Parameter]:
        return list(self.regressor.parameters())

    def decoder_parameters(self) -> list[nn.Parameter]:
        return self.head_parameters()


class HeatmapNet(LandmarkNet):
    """An encoder-decoder from 1/2 to 1/16 resolution and back, one heatmap per landmark at half resolution.

    A landmark is the mean of its softmax heatmap, moved by `shift` (K, 2) px, and its covariance that heatmap's, so
    both are differentiable; its depth is the mean of a depth map of its own under that heatmap. The shift is learnt
    by fine-tuning alone, see move.
    Group normalisation: nothing depends on the batch, so any number of workers computes the same.
    """

    def __init__(self, recipe: ModelRecipe, anatomy: Anatomy) -> None:
        super().__init__(anatomy, (1.0, 1.0), has_covariance=True, inputs=recipe.inputs)
        c2, c4, c8, c16 = (recipe.channels * factor for factor in (1, 2, 3, 4))
        self.stem = _block(4 * len(recipe.inputs), c2)
        self.down = nn.ModuleList(
            [_stage(c2, c4, 2), _stage(c4, c8, 2), nn.Sequential(_stage(c8, c16, 2), _block(c16, c16))]
        )
        self.lateral = nn.ModuleList([nn.Conv2d(c16, c8, 1), nn.Conv2d(c8, c4, 1), nn.Conv2d(c4, c2, 1)])
        self.up = nn.ModuleList([_block(c8, c8), _block(c4, c4), _block(c2, c2)])
        self.head = nn.Conv2d(c2, anatomy.num_landmarks, 1)
        self.depth_head = nn.Conv2d(c2, anatomy.num_landmarks, 1) if recipe.regress_depth else None
        self.register_buffer("shift", torch.zeros(anatomy.num_landmarks, 2))

    def forward(self, images: Tensor) -> Output:
        height, width = images.shape[-2:]
        levels = self._levels(images)
        features = levels.pop()
        for lateral, block in zip(self.lateral, self.up, strict=True):
            skip = levels.pop()
            raised = functional.interpolate(lateral(features), scale_factor=2.0, mode="nearest")
            features = block(raised + skip)
        heads = [self.head] if self.depth_head is None else [self.head, self.depth_head]
        maps = [head(features)[:, :, : (height + 1) // 2, : (width + 1) // 2].float() for head in heads]
        output = soft_argmax(maps[0], 2.0, *maps[1:])
        return output._replace(points=output.points + cast(Tensor, self.shift))

    def summary(self, images: Tensor) -> Tensor:
        return self._levels(images)[-1].float().mean((2, 3))

    def _levels(self, images: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8 and 1/16 resolution."""
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % 16, 0, -height % 16))
        folded = functional.pixel_unshuffle(padded, 2).contiguous(memory_format=torch.channels_last)
        levels = [self.stem(folded)]
        for stage in self.down:
            levels.append(stage(levels[-1]))
        return levels

    def move(self, shift: Tensor) -> None:
        cast(Tensor, self.shift).add_(shift)

    def head_parameters(self) -> list[nn.Parameter]:
        depth = [] if self.depth_head is None else self.depth_head.parameters()
        return [*self.up[-1].parameters(), *self.head.parameters(), *depth]

    def decoder_parameters(self) -> list[nn.Parameter]:
        depth = [] if self.depth_head is None else self.depth_head.parameters()
        return [*self.lateral.parameters(), *self.up.parameters(), *self.head.parameters(), *depth]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU(inplace=True)
    )


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    following = [_block(outputs, outputs) for _ in range(blocks - 1)]
    return nn.Sequential(nn.MaxPool2d(2), _block(inputs, outputs), *following)


def soft_argmax(logits: Tensor, cell_px: float, depth_maps: Tensor | None = None) -> Output:
    """Mean and covariance of softmax heatmaps, and the mean of depth maps under them.

    logits, depth_maps: (N, K, h, w) float32. cell_px: patch px per heatmap cell; cell (row, col) has its centre at
    ((col + 0.5) * cell_px, (row + 0.5) * cell_px).
    Source: Nibali et al. 2018, differentiable spatial to numerical transform; depth: Iqbal et al. 2018, 2.5D heatmaps.
    Differs: an error in depth does not move the heatmap, which says where the landmark is in the image.
    """
    height, width = logits.shape[-2:]
    weights = logits.flatten(2).softmax(-1).view_as(logits)
    x = (torch.arange(width, device=logits.device, dtype=logits.dtype) + 0.5) * cell_px
    y = (torch.arange(height, device=logits.device, dtype=logits.dtype) + 0.5) * cell_px
    across, down = weights.sum(-2), weights.sum(-1)
    mean_x, mean_y = across @ x, down @ y
    from_x, from_y = x - mean_x[..., None], y - mean_y[..., None]
    var_x, var_y = (across * from_x**2).sum(-1), (down * from_y**2).sum(-1)
    cov = ((weights * from_x[..., None, :]).sum(-1) * from_y).sum(-1)
    covariance = torch.stack([var_x, cov, cov, var_y], -1).unflatten(-1, (2, 2))
    depth = None if depth_maps is None else (weights.detach() * depth_maps).sum((-2, -1))
    return Output(torch.stack([mean_x, mean_y], -1), covariance, depth)
