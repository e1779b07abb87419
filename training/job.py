"""A pre-training run as plain data, and whose output it may continue."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.patch import Crop
from synth.domain.shards import Manifest, read_manifest
from synth.domain.storage import filesystem, has_files, write_bytes
from training.models import ModelRecipe
from training.recipe import TrainRecipe

CLAIM = "pretraining.json"


@dataclass(frozen=True, kw_only=True)
class PretrainJob:
    """A pre-training run as plain data, the same on every worker. URIs are absolute.

    anatomy: name of the anatomy the recipe is for; the landmarks are those of the data, see anatomy_of
    recipe: the whole resolved recipe, for the record
    mode: "resident" holds every sample in memory, "stream" reads as it goes; the samples and their order are the same
    save_steps: a state is kept after so many steps, and after each epoch
    """

    anatomy: str
    model: ModelRecipe
    train: TrainRecipe
    crop: Crop
    recipe: dict[str, Any]
    seed: int
    data_uri: str
    out_uri: str
    mode: Literal["resident", "stream"] = "resident"
    save_steps: int = 1000

    @property
    def checkpoints_uri(self) -> str:
        """Where training states lie."""
        return f"{self.out_uri.rstrip('/')}/checkpoints"

    @property
    def model_uri(self) -> str:
        """Where the final model lies."""
        return f"{self.out_uri.rstrip('/')}/model"


def absolute_uri(uri: str) -> str:
    """The URI, a local path made absolute: a worker has another working directory."""
    return uri if "://" in uri else str(Path(uri).absolute())


def claim_output(job: PretrainJob) -> Manifest:
    """The manifest of the job's data, after its output was checked and marked as this job's.

    Raises: ValueError where the data is missing or of another anatomy, or the output holds something else.
    """
    manifest = read_manifest(job.data_uri)
    if manifest.anatomy.base != anatomy_named(job.anatomy).base:
        raise ValueError(f"{job.data_uri} holds {manifest.anatomy.name} data; recipe is for {job.anatomy}")
    if manifest.rows < 2:
        raise ValueError(f"{job.data_uri} holds {manifest.rows} samples; at least 2 are needed, one is held out")
    identity = {
        "format": "synthmark pretraining 2",
        "anatomy": job.anatomy,
        "model": TypeAdapter(ModelRecipe).dump_python(job.model, mode="json"),
        "train": TypeAdapter(TrainRecipe).dump_python(job.train, mode="json"),
        "seed": job.seed,
        "data": manifest.digest,
    }
    if not has_files(job.out_uri):
        write_bytes(job.out_uri, CLAIM, (json.dumps(identity, indent=1) + "\n").encode())
        return manifest
    found = _read_claim(job.out_uri)
    if different := [key for key in identity if found.get(key) != identity[key]]:
        raise ValueError(
            f"output {job.out_uri} holds another pre-training (its {', '.join(different)} differ); choose another --out"
        )
    return manifest


def anatomy_of(job: PretrainJob) -> Anatomy:
    """The anatomy of the job's data, which its manifest defines."""
    return read_manifest(job.data_uri).anatomy


def _read_claim(out_uri: str) -> dict[str, Any]:
    fs, base = filesystem(out_uri)
    try:
        with fs.open_input_stream(f"{base}/{CLAIM}") as stream:
            found = json.loads(stream.read())
    except (OSError, ValueError) as error:
        raise ValueError(f"output {out_uri} holds something else; choose another --out or remove it") from error
    if not isinstance(found, dict):
        raise ValueError(f"output {out_uri} holds something else; choose another --out or remove it")
    return found
