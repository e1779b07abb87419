"""An exported model says in onnxruntime what it says here, of any number of patches."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from synth.domain.anatomy import HAND
from tests.in_process import perform
from tests.training.toy import toy_samples
from tests.tuning.toy import write_network
from training.checkpoint import load_model
from training.data import Patches
from training.models import ModelRecipe
from training.onnx_export import Answer

pytestmark = pytest.mark.usefixtures("one_thread")


def session_of(path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


NETWORKS = {
    "heatmap": (ModelRecipe(width=8, inputs=("silhouette", "observed")), {"sigma_scale": (0.5, 1, None, 2, 1)}),
    "depth": (ModelRecipe(width=8, regress_depth=True), {"depth_regressed": True}),
    "paper": (ModelRecipe(network="paper"), {}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "default:You are using the legacy TorchScript:DeprecationWarning"
)  # chosen: docs/decisions.md
@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_and_torch_agree(name, tmp_path):
    recipe, card = NETWORKS[name]
    write_network(str(tmp_path / "model"), recipe, **card)
    perform("export", tmp_path / "model", f"--out={tmp_path / 'm.onnx'}", home=tmp_path)
    session, loaded = session_of(tmp_path / "m.onnx"), load_model(str(tmp_path / "model"))
    shown = Patches.from_samples(toy_samples(7, 1), HAND).batch(torch.arange(7)).channels(loaded.model.inputs)
    noise = torch.rand(3, *shown.shape[1:], generator=torch.Generator().manual_seed(1))
    for patches in (shown, noise, shown[:1]):
        with torch.no_grad():
            points, sigma = Answer(loaded).eval()(patches)
        ours = session.run(None, {"patches": patches.numpy()})
        np.testing.assert_allclose(ours[0], points.numpy(), atol=5e-3)  # px; flat heatmaps of fresh weights sum most
        np.testing.assert_allclose(ours[1], sigma.numpy(), atol=5e-3)
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["synthmark.landmarks"]) == list(HAND.names)
    assert json.loads(known["synthmark.inputs"]) == list(loaded.model.inputs)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "m.onnx").write_text("mine")
    with pytest.raises(ValueError, match="exists; choose another"):
        perform("export", tmp_path / "model", f"--out={tmp_path / 'm.onnx'}", home=tmp_path)
    assert (tmp_path / "m.onnx").read_text() == "mine"
