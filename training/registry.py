"""A model in MLflow's registry: exported as pt2 for others, our own safetensors and JSON beside it for us."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from training.checkpoint import LoadedModel, ModelCard, load_model, model_files
from training.tracking import Run, absolute, default_uri, patient, quiet_mlflow

EXAMPLES = 2  # patches of the input example: an export fixes a batch of one


class Exported(nn.Module):
    """What others get: patches (N, C, H, W) float32 to landmarks (N, K, 2), or (N, K, 3) with learnt depths."""

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__()
        self.model, self.with_depth = loaded.model, loaded.card.depth_regressed

    def forward(self, images: Tensor) -> Tensor:
        output = self.model(images)
        if output.depth is None or not self.with_depth:
            return output.points
        return torch.cat([output.points, output.depth[..., None]], -1)


def register(run: Run, model_uri: str, name: str) -> str:
    """models:/NAME/VERSION of a new version under `name`: the model in a folder or URI of ours, logged by `run`.

    The export has a signature and takes any number of patches; it is never read by synthmark.
    """
    loaded = load_model(model_uri)
    quiet_mlflow()
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    example = _example(loaded.card)
    network = Exported(loaded).eval()
    with torch.no_grad():
        answer = network(example).numpy()
    inputs, outputs = (Schema([TensorSpec(array.dtype, (-1, *array.shape[1:]))]) for array in (example.numpy(), answer))
    mlflow.set_tracking_uri(patient(run.experiment.uri))
    mlflow.set_registry_uri(patient(run.experiment.uri))
    with TemporaryDirectory(prefix="synthmark-model-") as scratch, mlflow.start_run(run.run_id):
        for file, content in model_files(model_uri).items():
            (Path(scratch) / file).write_bytes(content)
        info = mlflow.pytorch.log_model(
            network,
            name="registered",
            serialization_format="pt2",
            signature=ModelSignature(inputs=inputs, outputs=outputs),
            input_example=example.numpy(),
            extra_files=[str(path) for path in Path(scratch).iterdir()],
            pip_requirements=[
                f"torch=={torch.__version__.split('+')[0]}"
            ],  # else MLflow tries it in a process of its own
            registered_model_name=name,
            metadata={"anatomy": loaded.card.anatomy.name, "inputs": list(loaded.card.model.inputs)},
        )
    return f"models:/{name}/{info.registered_model_version}"


def _example(card: ModelCard) -> Tensor:
    """Patches that show a square."""
    height, width = card.anatomy.size
    example = torch.zeros(EXAMPLES, len(card.model.inputs), height, width)
    example[..., height // 4 : -height // 4, width // 4 : -width // 4] = 1
    return example


def local_model(uri: str) -> str:
    """The folder of our own model files for a model URI: as given, or fetched from MLflow for models:/ and runs:/.

    Of what MLflow keeps, only the safetensors and JSON are used; its own export beside them is never opened.
    Raises: ValueError where MLflow has no such model, or it holds none of ours.
    """
    if not uri.startswith(("models:/", "runs:/")):
        return uri
    quiet_mlflow()
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(absolute(default_uri()))
    mlflow.set_registry_uri(absolute(default_uri()))  # else that of whoever was asked first in this process
    try:
        fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except (MlflowException, OSError) as error:
        raise ValueError(f"model {uri} cannot be fetched from {default_uri()}: {error}") from error
    for folder in (fetched, fetched / "extra_files"):
        if (folder / "model.json").is_file():
            return str(folder)
    raise ValueError(f"model {uri} holds no synthmark model (model.json beside model.safetensors)")
