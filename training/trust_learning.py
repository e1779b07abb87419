"""Trust learnt from sound patches and what breaks them: no example of a foreign anatomy, child or scanner is needed.

A case is either sound, as it is and as training varies it (warped, cut by fields of view, under sand bags), or broken
(broken.py). A logistic regression tells them apart; its limit is set on patches it has not seen, as high as 95 % of
every kind of broken input allows: what comes from a scanner is less like the sound ones than these are.
"""

from dataclasses import replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from training.augment import change, draw_changes
from training.broken import Images, broken, kinds_of
from training.data import Batch, Patches
from training.models import LandmarkNet
from training.recipe import TrainRecipe
from training.trust import Features, Trust, describe, scaled

WITHHELD = 0.03  # of sound inputs, at most: together with what single landmarks are withheld for, no more than 0.05
FLAGGED = 0.95  # of each kind of broken inputs, where WITHHELD allows; of AMBIGUOUS ones fewer
AMBIGUOUS = ("fused halves",)  # many look like people
STRENGTH = 0.1  # of the regression: inverse of its penalty
LEAST = 10  # patches to learn from, and to set the limit on
BATCH = 128


def learn_trust(
    model: LandmarkNet, learnt: Patches, kept: Patches, base: str, train: TrainRecipe, seed: int
) -> Trust | None:
    """Trust for inputs of `model`, learnt from sound patches of a "hand" or "body"; its limit is set on others, `kept`.

    None where either are fewer than LEAST. train: how the network's training varies patches. A learnt patch is broken
    in two ways, a kept one in all: it takes many hands to tell a mirrored one, not many ways for each.
    """
    if min(len(learnt), len(kept)) < LEAST:
        return None
    sound = sound_features(model, learnt, train, np.random.default_rng([seed, 0]))
    bad = np.concatenate(list(broken_features(model, learnt, base, np.random.default_rng([seed, 1]), ways=2).values()))
    mean, deviation = sound.mean(0), np.maximum(sound.std(0), 1e-6)
    values = scaled(np.concatenate([sound, bad]), mean, deviation)
    labels = np.repeat([0, 1], [len(sound), len(bad)])
    fitted = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=2000).fit(values, labels)
    trust = Trust(
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        weights=tuple(fitted.coef_[0].tolist()),
        limit=0.0,
    )
    unseen = trust.scores(sound_features(model, kept, train, np.random.default_rng([seed, 2])))
    foreign = broken_features(model, kept, base, np.random.default_rng([seed, 4]))
    told = [np.quantile(trust.scores(found), 1 - FLAGGED) for name, found in foreign.items() if name not in AMBIGUOUS]
    return replace(trust, limit=float(max(np.quantile(unseen, 1 - WITHHELD), min(told))))


def adapted(trust: Trust, model: LandmarkNet, patches: Patches, train: TrainRecipe, seed: int) -> Trust:
    """The trust of a network that was fine-tuned to `model` on N sound patches: what breaks inputs stays as learnt.

    Its limit is raised where more than WITHHELD of these very patches would be withheld. Learning anew from so few
    withheld three times as many of other studies, and took mirrored hands for sound ones.
    """
    scores = trust.scores(sound_features(model, patches, train, np.random.default_rng([seed, 3])))
    return replace(trust, limit=max(trust.limit, float(np.quantile(scores, 1 - WITHHELD))))


def sound_features(model: LandmarkNet, patches: Patches, train: TrainRecipe, rng: np.random.Generator) -> Features:
    """(2 N, F) features of patches as they are, and as training varies them."""
    found = []
    for rows in torch.arange(len(patches)).split(BATCH):
        plain = patches.batch(rows)
        changes = draw_changes(patches, rows, train.augment, train.views, rng)
        found += [describe(model, plain), describe(model, change(plain, changes, patches.crop))]
    return np.concatenate(found)


def broken_features(
    model: LandmarkNet, patches: Patches, base: str, rng: np.random.Generator, ways: int | None = None
) -> dict[str, Features]:
    """Kind -> (M, F) features of patches broken in that way; ways: in how many each of them is, None: in all."""
    kinds = kinds_of(base)
    found = {}
    for number, kind in enumerate(kinds):
        turn = (np.arange(len(patches)) - number) % len(kinds)
        rows = torch.as_tensor(np.flatnonzero(turn < (ways or len(kinds))))
        images = images_of(model, patches.batch(rows))
        found[kind] = features_of(model, broken(images, kind, patches.crop, rng))
    return found


def images_of(model: LandmarkNet, batch: Batch) -> Images:
    """(N, C, H, W) the silhouettes of a batch with the planes in mm that the model reads."""
    planes = {"depth": batch.depth_mm, "thickness": batch.thickness_mm}
    read = [plane for name in _planes(model) if (plane := planes[name]) is not None]
    return np.asarray(torch.cat([batch.silhouette, *read], 1).cpu().numpy())


def features_of(model: LandmarkNet, images: Images) -> Features:
    """(N, F) features of images (N, C, H, W), as images_of gives them, that were observed all over."""
    shown = torch.as_tensor(images, dtype=torch.float32, device=model.unit.device)
    planes = {f"{name}_mm": shown[:, k : k + 1] for k, name in enumerate(_planes(model), 1)}
    points = torch.zeros(len(shown), model.num_landmarks, 2, device=model.unit.device)
    silhouette = shown[:, :1]
    batch = Batch(
        silhouette=silhouette,
        depth_mm=planes.get("depth_mm"),
        thickness_mm=planes.get("thickness_mm"),
        observed=torch.ones_like(silhouette),
        points=points,
    )
    return np.concatenate([describe(model, batch.part(slice(at, at + BATCH))) for at in range(0, len(shown), BATCH)])


def _planes(model: LandmarkNet) -> list[str]:
    return [name for name in model.inputs if name in ("depth", "thickness")]
