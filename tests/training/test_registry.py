"""MLflow's registry: an export for others with a signature, and our own files beside it, which alone are read."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.models import get_model_info

from synth.domain.anatomy import HAND
from tests.mlflow_stores import new_store
from tests.training.toy import toy_card
from training.checkpoint import load_model, save_model
from training.models import ModelRecipe, build_model
from training.registry import local_model, register
from training.tracking import open_experiment, recorded, start_run


class Planted:
    """Whoever unpickles this makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """(our model's folder, its place in the registry)"""
    home = tmp_path_factory.mktemp("registry")
    model = ModelRecipe(width=8, inputs=("silhouette", "observed"), regress_depth=True)
    torch.manual_seed(1)
    save_model(str(home / "model"), build_model(model, HAND), replace(toy_card(model), depth_regressed=True))
    experiment = open_experiment("registry", new_store(home))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        with recorded(start_run(experiment, "one")) as run:
            uri = register(run, str(home / "model"), "hands")
        patch.setenv("SYNTHMARK_MLFLOW", experiment.uri)
        mlflow.set_tracking_uri(f"sqlite:///{home}/other.db")  # whoever reads it need not have written it
        mlflow.set_registry_uri(f"sqlite:///{home}/other.db")
        yield home / "model", uri


def test_a_version_is_our_own_model(registered):
    folder, uri = registered
    assert uri == "models:/hands/1"
    ours, theirs = load_model(str(folder)), load_model(local_model(uri))
    assert theirs.card == ours.card
    assert all(torch.equal(tensor, theirs.model.state_dict()[k]) for k, tensor in ours.model.state_dict().items())


def test_the_export_says_what_ours_says_of_any_number_of_patches(registered):
    folder, uri = registered
    archive_folder = Path(local_model(uri)).parent
    info = get_model_info(uri)
    assert [tuple(spec.shape) for spec in info.signature.inputs.inputs] == [(-1, 2, 96, 96)]
    assert [tuple(spec.shape) for spec in info.signature.outputs.inputs] == [(-1, 5, 3)]
    (archive,) = archive_folder.rglob("model.pt2")
    program = torch.export.load(archive).module()
    model = load_model(str(folder)).model
    for count in (1, 3, 5):
        patches = torch.as_tensor(np.random.default_rng(count).random((count, 2, 96, 96)), dtype=torch.float32)
        with torch.no_grad():
            output = model(patches)
            expected = torch.cat([output.points, output.depth[..., None]], -1)
            assert torch.allclose(program(patches), expected, atol=1e-4)


@pytest.mark.parametrize("where", ["model.pt2", "model.safetensors"])
def test_code_planted_in_a_version_never_runs(registered, tmp_path, where):
    _, uri = registered
    folder = Path(local_model(uri))
    (planted,) = folder.parent.rglob(where)
    kept, mark = planted.read_bytes(), tmp_path / "ran"
    planted.write_bytes(pickle.dumps(Planted(mark)))
    try:
        if where == "model.pt2":
            load_model(local_model(uri))
        else:
            with pytest.raises(ValueError, match=r"is not the file its card names"):
                load_model(local_model(uri))
    finally:
        planted.write_bytes(kept)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Planted(mark)))
    assert mark.exists()
