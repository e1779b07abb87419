#!/usr/bin/env python3
"""Write a model as ONNX, for programs that have no PyTorch.

  python pipelines/export.py /data/sweep/model --out hand.onnx
  python pipelines/export.py models:/synthmark-body/1 --out body.onnx

MODEL: a model folder of pretrain.py or sweep.py, or an MLflow models:/ or runs:/ URI. The file takes any number of
patches (N, channels, height, width) float32, a channel for each of the inputs that its metadata lists, and gives
landmarks (N, K, 2 or 3) in patch px and the deviation of each (N, K), 0 where the network knows none. Cropping a scan
to a patch, radii and trust are not in it: docs/formats.md says how patches are cut. A second or two.
"""

from collections.abc import Sequence
from pathlib import Path

from pipelines.cli import parser, run
from training.checkpoint import load_model
from training.onnx_export import onnx_bytes
from training.registry import local_model


def main(argv: Sequence[str]) -> str:
    """Where the file is, and what it takes."""
    options = parser(__doc__ or "", recipe=False)
    options.add_argument("model", metavar="MODEL", help="model folder or URI")
    options.add_argument("--out", type=Path, required=True, metavar="FILE.onnx", help="the file to write")
    given = options.parse_args(argv)
    if given.out.exists():
        raise ValueError(f"output {given.out} exists; choose another --out or remove it")
    loaded = load_model(local_model(given.model))
    content = onnx_bytes(loaded)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(content)
    inputs, (height, width) = loaded.card.model.inputs, loaded.card.anatomy.size
    return (
        f"{given.out}: {loaded.card.anatomy.name}, patches (N, {len(inputs)}, {height}, {width}) of {', '.join(inputs)}"
    )


if __name__ == "__main__":
    run(main)
