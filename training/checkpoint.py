"""Models and training states on disk: safetensors and JSON alone. Nothing that could run code is ever loaded."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import pyarrow.fs as pafs
import torch
from pydantic import BeforeValidator, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from synth.domain.anatomy import Anatomy, anatomy_from
from synth.domain.patch import Crop
from synth.domain.storage import filesystem, write_bytes
from training.models import LandmarkNet, ModelRecipe, build_model
from training.plan import Progress
from training.recipe import TrainRecipe
from training.surface import Beneath
from training.trust import Trust

WEIGHTS = "model.safetensors"
CARD = "model.json"
FORMAT_VERSION = 1
LARGEST_BYTES = 4 << 30  # no model of ours comes near; a larger file is not one
KEEP_STATES = 2


@dataclass(frozen=True, kw_only=True)
class Conformal:
    """Radii that hold a landmark with probability `level`, calibrated on subjects unseen in training.

    unit: "sigma", multiples of the error expected of the case; cards of older models have radii in mm or patch px
    radii: (K,) in `unit`, each None where there were too few subjects; all None while not calibrated: then ()
    num_subjects: (K,) subjects with that landmark annotated, or ()
    simultaneous: in `unit`, for all landmarks together; None where too few subjects, num_simultaneous, have every one
    reason: why a radius is None, else empty
    """

    level: float = 0.9
    unit: Literal["sigma", "mm", "patch_px"] = "mm"
    radii: tuple[float | None, ...] = ()
    num_subjects: tuple[int, ...] = ()
    simultaneous: float | None = None
    num_simultaneous: int = 0
    reason: str = "not calibrated: the model was not adapted to a study"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is and where it comes from.

    anatomy: with its whole definition; cards of older models hold its name alone
    train: how it was (pre-)trained; crop: how patches were cut, and must be
    recipe: the resolved configuration that made it; data: digests of what it learnt from, by role
    mean_depth: (K,) mean normalised landmark depth of the training data, None where there was no depth
    beneath: where landmarks lie beneath the surface at their pixels; None in cards of older models, and where the data
        had no depth: the network's own depth (or the mean) alone
    depth_regressed: whether the network learnt depths from that data, so that volumes get its own, not the mean
    sigma_scale: (K,) factors from the heatmap's deviation to the error's along one axis, None where unknown
    sigma_px: (K,) root mean squared error along one axis on held-out patches, in patch px; None if never measured
    trust: what tells broken inputs from sound ones, None where nothing was learnt, as in cards of older models
    extent_mm: smallest and largest extent of landmarks that was learnt from, see extent.py; None where unknown
    metrics: figures on held-out data, by name
    weights_sha256: of the weights file; filled in by save_model
    """

    anatomy: Annotated[Anatomy, BeforeValidator(anatomy_from)]
    model: ModelRecipe
    train: TrainRecipe
    crop: Crop
    recipe: dict[str, Any]
    git_commit: str
    versions: dict[str, str]
    data: dict[str, str]
    landmarks: tuple[str, ...] = ()
    mean_depth: tuple[float, ...] | None = None
    beneath: Beneath | None = None
    depth_regressed: bool = False
    sigma_scale: tuple[float | None, ...] | None = None
    sigma_px: tuple[float, ...] | None = None
    conformal: Conformal = Conformal()
    trust: Trust | None = None
    extent_mm: tuple[float, float] | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        anatomy = self.anatomy
        if self.landmarks and self.landmarks != anatomy.names:
            raise ValueError(f"model card lists landmarks {self.landmarks}; {anatomy.name} has {anatomy.names}")
        lists = {name: getattr(self, name) for name in ("mean_depth", "sigma_scale", "sigma_px")}
        lists["beneath.mm"] = None if self.beneath is None else self.beneath.mm
        lists["conformal.radii"] = self.conformal.radii or None
        lists["conformal.num_subjects"] = self.conformal.num_subjects or None
        for name, values in lists.items():
            if values is not None and len(values) != anatomy.num_landmarks:
                raise ValueError(f"model card: {name} has {len(values)} values; {anatomy.num_landmarks} are needed")

    @property
    def digest(self) -> str:
        """SHA-256 of the card, the weights' hash included."""
        return hashlib.sha256(_card_json(self)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model in evaluation mode and its card."""

    model: LandmarkNet
    card: ModelCard


def save_model(folder_uri: str, model: LandmarkNet, card: ModelCard) -> ModelCard:
    """The card as written, beside the weights, into a folder or URI. The card comes last: with it, it is a model."""
    data = save(_on_host(model.state_dict()))
    weights_sha256 = hashlib.sha256(data).hexdigest()
    card = replace(card, landmarks=card.anatomy.names, weights_sha256=weights_sha256)
    write_bytes(folder_uri, WEIGHTS, data)
    write_bytes(folder_uri, CARD, _card_json(card))
    return card


def load_model(uri: str, device: torch.device | str = "cpu") -> LoadedModel:
    """The model and card of a folder or URI written by save_model.

    Raises: ValueError where there is none, it is damaged, or it is another kind of file (pickles and pt2 archives
    can run code and are never opened).
    """
    card = read_card(uri)
    data = _read(uri, WEIGHTS)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.weights_sha256:
        raise ValueError(
            f"{uri}/{WEIGHTS} is not the file its card names (SHA-256 {digest[:12]}…); fetch the model again"
        )
    model = build_model(card.model, card.anatomy)
    load_weights(model, _tensors(data, f"{uri}/{WEIGHTS}"), uri)
    return LoadedModel(model=model.to(device).eval(), card=card)


def model_files(uri: str) -> dict[str, bytes]:
    """A model folder's files, name -> content. Raises ValueError where one is missing."""
    return {name: _read(uri, name) for name in (CARD, WEIGHTS)}


def read_card(uri: str) -> ModelCard:
    """The card of a model folder. Raises ValueError where there is none or it is not ours."""
    raw = _read(uri, CARD)
    try:
        card = TypeAdapter(ModelCard).validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{uri}/{CARD} is not a synthmark model card: {where}: {first['msg']}") from error
    if card.format_version != FORMAT_VERSION:
        raise ValueError(f"{uri} has model format {card.format_version}; this synthmark reads {FORMAT_VERSION}")
    return card


def load_weights(model: LandmarkNet, tensors: Mapping[str, Tensor], source: str) -> None:
    """None; the model takes the tensors. Raises ValueError where names or shapes are not those of the model."""
    try:
        earlier = {name: value for name, value in model.state_dict().items() if name == "shift"}  # older ones have none
        model.load_state_dict({**earlier, **tensors})
    except RuntimeError as error:
        raise ValueError(f"{source}: the weights do not fit the network of the card: {error}") from error


def _card_json(card: ModelCard) -> bytes:
    plain = TypeAdapter(ModelCard).dump_python(card, mode="json")
    return (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode()


def _on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _tensors(data: bytes, source: str) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{source} is not a safetensors file: {error}") from error
    return tensors


def _read(uri: str, name: str) -> bytes:
    fs, base = filesystem(uri)
    if fs.get_file_info(base).type == pafs.FileType.File:
        raise ValueError(f"{uri} is a file; give the folder that holds {CARD} and {WEIGHTS}")
    info = fs.get_file_info(f"{base}/{name}")
    if info.type != pafs.FileType.File:
        raise ValueError(f"{uri} holds no model ({name} is missing); give the model folder of pretrain.py or sweep.py")
    if info.size is not None and info.size > LARGEST_BYTES:
        raise ValueError(f"{uri}/{name} has {info.size} bytes; a model has at most {LARGEST_BYTES}")
    with fs.open_input_stream(f"{base}/{name}") as stream:
        data: bytes = stream.read()
    return data


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """A run between two steps: how far it is, weights, optimiser state, and whatever JSON the run wants to keep."""

    progress: Progress
    weights: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor]]
    notes: dict[str, Any]


def save_state(
    folder_uri: str, model: LandmarkNet, optimiser: torch.optim.Optimizer, progress: Progress, notes: Any
) -> None:
    """None; writes the state at `progress` in one step and keeps the newest two states."""
    tensors = {f"weights.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
    texts = {"progress": json.dumps(vars(progress)), "notes": json.dumps(notes)}
    name = f"epoch-{progress.epoch:05d}-step-{progress.step:07d}.safetensors"
    write_bytes(folder_uri, name, save(_on_host(tensors), metadata=texts))
    fs, base = filesystem(folder_uri)
    for name in _states(folder_uri)[:-KEEP_STATES]:
        fs.delete_file(f"{base}/{name}")


def latest_state(folder_uri: str) -> TrainingState | None:
    """The newest training state of a folder, or None where there is none."""
    names = _states(folder_uri)
    if not names:
        return None
    data = _read(folder_uri, names[-1])
    weights: dict[str, Tensor] = {}
    optimiser: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _tensors(data, f"{folder_uri}/{names[-1]}").items():
        kind, rest = key.split(".", 1)
        if kind == "weights":
            weights[rest] = tensor
        else:
            index, name = rest.split(".", 1)
            optimiser.setdefault(int(index), {})[name] = tensor
    texts = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    progress = Progress(**json.loads(texts["progress"]))
    return TrainingState(progress=progress, weights=weights, optimiser=optimiser, notes=json.loads(texts["notes"]))


def newest_progress(folder_uri: str) -> Progress | None:
    """How far the newest training state of a folder is, by its name, without its loss; None where there is none."""
    names = _states(folder_uri)
    if not names:
        return None
    epoch, step = (int(number) for number in re.findall(r"\d+", names[-1]))
    return Progress(epoch=epoch, step=step)


def restore_state(state: TrainingState, model: LandmarkNet, optimiser: torch.optim.Optimizer) -> None:
    """None; model and optimiser continue where the state was saved."""
    load_weights(model, state.weights, "checkpoint")
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state.optimiser, "param_groups": groups})
    for parameter, values in optimiser.state.items():
        for name, value in values.items():
            if value.shape == parameter.shape:
                # torch 2.13: a fused step pairs them by their place in memory, whatever their strides say
                values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def _states(folder_uri: str) -> list[str]:
    fs, base = filesystem(folder_uri)
    infos = fs.get_file_info(pafs.FileSelector(base, allow_not_found=True))
    return sorted(i.base_name for i in infos if re.fullmatch(r"epoch-\d{5}-step-\d{7}\.safetensors", i.base_name))
