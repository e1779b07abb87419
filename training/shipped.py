"""The models that come with synthmark, and which of them, if any, a scan is for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from synth.domain.cloud import Cloud
from synth.domain.patch import silhouette_box
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.settings import ImportSettings
from synth.domain.study import Prepared, prepare
from training.checkpoint import CARD, LoadedModel, load_model
from training.predict import as_patches
from training.trust import describe

WEIGHTS = Path(__file__).parent / "weights"
HAND_AT_MOST_MM = BODY_AT_LEAST_MM = (
    400.0  # the silhouette's longer side: a long hand has 230, with a forearm cut short
)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well a scan fits one of the models.

    prepared: the scan as that model sees it, None where it could not be made so
    margin: how far its score (trust.py, logarithm of odds) lies below the model's limit; negative: unlike what it has
        learnt from; -inf: it cannot be judged. why: in words, where the model is not for it
    """

    loaded: LoadedModel
    prepared: Prepared | None
    margin: float
    why: str


class Unlike(ValueError):
    """A scan that is for none of the models. nearest: the best of the bad fits, to be looked at."""

    def __init__(self, message: str, nearest: Fit) -> None:
        super().__init__(message)
        self.nearest = nearest


def shipped_folder(anatomy: str, weights: Path = WEIGHTS) -> str:
    """The folder of the shipped model of an anatomy (hand, body). Raises ValueError where none ships."""
    if not (weights / anatomy / CARD).is_file():
        raise ValueError(
            f"no model of a {anatomy} ships with this synthmark; name one (pretrain.py and sweep.py make them)"
        )
    return str(weights / anatomy)


def load_shipped(weights: Path = WEIGHTS) -> dict[str, LoadedModel]:
    """The shipped models by what they are for, "body" before "hand". Raises ValueError where there are none."""
    models = {path.parent.name: load_model(str(path.parent)) for path in sorted(weights.glob(f"*/{CARD}"))}
    if not models:
        raise ValueError("no models ship with this synthmark; give --model (pretrain.py and sweep.py make them)")
    for base, loaded in models.items():
        assert loaded.card.anatomy.base == base and loaded.card.trust is not None, f"{base}: a model of another kind"
    return models


def choose(source: Image | Volume | Cloud, models: Mapping[str, LoadedModel], settings: ImportSettings) -> Fit:
    """The model that a scan is for, and the scan as it sees it: of those that accept it, the one that does so clearest.

    Raises: Unlike where none accepts it; ValueError where nothing can be seen, or it is a hand whose side is not given.
    """
    fits: list[Fit] = []
    for base in sorted(models):  # a body first: its couch is cut out, so its length is the patient's
        if not any(fit.prepared and length_mm(fit.prepared) > HAND_AT_MOST_MM for fit in fits):
            fits.append(fit_of(source, models[base], settings))
    best = max(fits, key=lambda fit: (fit.margin, fit.prepared is not None))
    if best.prepared is None:
        raise ValueError("; ".join(dict.fromkeys(fit.why for fit in fits)))
    base = best.loaded.card.anatomy.base
    if best.margin < 0:
        whys = "; ".join(f"{fit.loaded.card.anatomy.base}: {fit.why}" for fit in fits if fit.why)
        raise Unlike(
            f"it looks like neither a whole hand nor a whole body ({whys}); see --explain DIR for what was cut out, "
            "try --threshold, --couch or --side, or name the model: --model hand, body or a folder",
            best,
        )
    if base == "hand" and settings.side is None:
        raise ValueError("it looks like a hand; give --side left or --side right: which one it is is never guessed")
    return best


def fit_of(source: Image | Volume | Cloud, loaded: LoadedModel, settings: ImportSettings) -> Fit:
    """How well a scan fits one model; a hand without a side is tried as either."""
    anatomy = loaded.card.anatomy
    prepared = None
    try:
        prepared = prepare(source, anatomy, loaded.card.crop, settings_for(anatomy.base, settings))
        long_mm = length_mm(prepared)
        if anatomy.base == "hand" and long_mm > HAND_AT_MOST_MM:
            raise ValueError(f"{long_mm:.0f} mm long, a hand has at most {HAND_AT_MOST_MM:.0f}")
        if anatomy.base == "body" and long_mm < BODY_AT_LEAST_MM:
            raise ValueError(f"{long_mm:.0f} mm long, a body has at least {BODY_AT_LEAST_MM:.0f}")
        score = score_of(loaded, prepared)
        if anatomy.base == "hand" and settings.side is None:
            score = min(score, score_of(loaded, mirrored(prepared)))
    except ValueError as error:
        return Fit(loaded=loaded, prepared=prepared, margin=-np.inf, why=str(error))
    assert loaded.card.trust is not None
    limit = loaded.card.trust.limit
    why = f"unlike any that was learnt (score {score:.1f}, limit {limit:.1f})" if score > limit else ""
    return Fit(loaded=loaded, prepared=prepared, margin=limit - score, why=why)


def settings_for(base: str, settings: ImportSettings) -> ImportSettings:
    """The settings as they concern one kind of scan: what is said of hands is not said of bodies."""
    if base == "hand":
        return replace(settings, side=settings.side or "left")
    return replace(settings, side=None, back=None, fingers=None)


def score_of(loaded: LoadedModel, prepared: Prepared) -> float:
    """The score of a prepared scan. Raises ValueError where the network needs a plane that the scan has not."""
    batch = as_patches(prepared, loaded.card.anatomy).batch(torch.arange(1))
    assert loaded.card.trust is not None
    return float(loaded.card.trust.scores(describe(loaded.model, batch))[0])


def length_mm(prepared: Prepared) -> float:
    """The longer side of the silhouette's box; NaN where the size of a pixel is unknown: it compares with nothing."""
    if prepared.source.pixel_mm is None:
        return float("nan")
    left, top, right, bottom = silhouette_box(prepared.source.silhouette)
    return float(max((right - left) * prepared.source.pixel_mm[0], (bottom - top) * prepared.source.pixel_mm[1]))


def mirrored(prepared: Prepared) -> Prepared:
    """The planes of a patch from right to left, to be judged; where they lie in the patient is not mirrored."""
    depth, thickness = prepared.depth_mm, prepared.thickness_mm
    return replace(
        prepared,
        silhouette=prepared.silhouette[:, ::-1],
        observed=prepared.observed[:, ::-1],
        depth_mm=None if depth is None else depth[:, ::-1],
        thickness_mm=None if thickness is None else thickness[:, ::-1],
    )
