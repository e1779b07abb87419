"""A model as ONNX, for others: patches in, landmarks and their deviations out. Never read by synthmark."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from torch import Tensor, nn

from training.checkpoint import LoadedModel, ModelCard

OPSET = 18


class Answer(nn.Module):
    """Patches (N, C, H, W) float32 to landmarks (N, K, 2), or (N, K, 3) with learnt depths, and deviations (N, K).

    A deviation is the error expected along one axis in patch px; of networks that know none, 0.
    """

    scale: Tensor

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__()
        self.model, self.with_depth = loaded.model, loaded.card.depth_regressed
        scale = loaded.card.sigma_scale or (1.0,) * loaded.card.anatomy.num_landmarks
        self.register_buffer("scale", torch.tensor([1.0 if value is None else value for value in scale]))

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """(landmarks, deviations)."""
        points, covariance, depth = self.model(patches)
        if covariance is None:
            sigma = points[..., 0] * 0  # not zeros_like: an export would fix their number
        else:
            sigma = (covariance[..., 0, 0] + covariance[..., 1, 1]).div(2).sqrt() * self.scale
        if depth is not None and self.with_depth:
            points = torch.cat([points, depth[..., None]], -1)
        return points, sigma


def onnx_bytes(loaded: LoadedModel) -> bytes:
    """The model as an ONNX file for any number of patches, with what a caller must know in its metadata."""
    card = loaded.card
    height, width = card.anatomy.size
    example = torch.zeros(2, len(card.model.inputs), height, width)
    example[..., height // 4 : -height // 4, width // 4 : -width // 4] = 1
    names = {name: {0: "patches"} for name in ("patches", "landmarks", "sigma_px")}
    with TemporaryDirectory(prefix="synthmark-onnx-") as scratch:
        file = Path(scratch) / "model.onnx"
        torch.onnx.export(
            Answer(loaded).eval(),
            (example,),
            file,
            input_names=["patches"],
            output_names=["landmarks", "sigma_px"],
            dynamic_axes=names,
            opset_version=OPSET,
            dynamo=False,  # torch 2.13's other exporter needs onnxscript
        )
        made = onnx.load(str(file))
    onnx.helper.set_model_props(made, described(card))
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def described(card: ModelCard) -> dict[str, str]:
    """What the file says of itself: text by name."""
    depth = ", normalised depth" if card.depth_regressed else ""
    return {
        "synthmark.anatomy": card.anatomy.name,
        "synthmark.inputs": json.dumps(card.model.inputs),
        "synthmark.landmarks": json.dumps(card.anatomy.names),
        "synthmark.crop": json.dumps(
            {"margin": card.crop.margin, "fit": card.crop.fit, "pixel_mm": card.crop.pixel_mm}
        ),
        "synthmark.coordinates": f"patch px (x to the right, y down, centres at +0.5){depth}",
        "synthmark.card_sha256": card.digest,
        "synthmark.weights_sha256": card.weights_sha256,
    }
