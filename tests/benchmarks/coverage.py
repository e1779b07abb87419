"""Coverage of conformal radii over fresh virtual patients; prints JSON, a line at the end, progress on stderr.

  python -m tests.benchmarks.quick_study hand_virtual_study --count 2400 --seed 9001 --out FRESH
  python -m tests.benchmarks.coverage MODEL --fresh FRESH [--apart NAME=STUDY …] --draws 20 --subjects 20 --epochs 10

Each draw is a whole sweep's end on so many subjects: fine-tuned in 3 folds, calibrated on what those left out, refitted
on all. The refitted network then predicts every other patient. A radius holds a patient where it holds all its cases.
--apart: studies that are not exchangeable with the fresh one, predicted by the same networks.
"""

import argparse
import copy
import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.surroundings import surroundings
from training.checkpoint import LoadedModel, ModelCard, load_model
from training.data import Patches
from training.loop import predict
from training.models import LandmarkNet
from training.uncertainty import expected_error
from tuning.cases import Cases, read_cases
from tuning.conformal import LEVEL, subject_scores
from tuning.folds import make_folds
from tuning.refit import calibrated
from tuning.schedule import Schedule
from tuning.trial import TrialResult, fine_tune, fold_result, fold_seed

FOLDS = 3


def patches_of(loaded: LoadedModel, cases: Cases) -> Patches:
    """The cases as the network reads them."""
    return Patches.from_samples(cases.samples, cases.anatomy, inputs=loaded.card.model.reads, crop=loaded.card.crop)


def tuned(loaded: LoadedModel, patches: Patches, schedule: Schedule, seed: int) -> LandmarkNet:
    """A fine-tuned copy of the network."""
    model = copy.deepcopy(loaded.model)
    fine_tune(model, patches, schedule, loaded.card.train, seed=seed)
    return model.eval()


def end_of_sweep(loaded: LoadedModel, cases: Cases, schedule: Schedule, seed: int) -> tuple[LandmarkNet, ModelCard]:
    """The refitted network and its calibrated card."""
    patches, results = patches_of(loaded, cases), []
    for number, fold in enumerate(make_folds(cases.subjects, FOLDS, seed)):
        model = tuned(loaded, patches.select(torch.as_tensor(fold.train)), schedule, fold_seed(seed, number))
        predictions = predict(model, patches.select(torch.as_tensor(fold.test)))
        results.append(fold_result(cases, fold, number, predictions, (), 0.0))
    card = calibrated(loaded.card, cases, TrialResult(schedule=schedule, folds=tuple(results)))
    return tuned(loaded, patches, schedule, fold_seed(seed, FOLDS)), card


def coverage(model: LandmarkNet, card: ModelCard, cases: Cases, patches: Patches) -> dict[str, NDArray[np.float64]]:
    """Shares of patients held: `each` (K,) by the landmarks' own radii, `all` (1,) by the simultaneous one.

    radius_px: (K,) mean radius of their cases; error_px: (1,) their mean error
    """
    found = predict(model, patches)
    sigma = expected_error(card, found.sigma.astype(np.float64))
    errors = cases.errors_px(found.points)
    scores = subject_scores(errors / sigma, cases.subjects)
    multiples = np.array(card.conformal.radii, np.float64)
    assert card.conformal.simultaneous is not None
    return {
        "each": (scores <= multiples).mean(0),
        "all": np.array([(scores.max(1) <= card.conformal.simultaneous).mean()]),
        "radius_px": (multiples * sigma).mean(0),
        "error_px": np.array([errors.mean()]),
    }


def measure(loaded: LoadedModel, given: argparse.Namespace) -> dict[str, Any]:
    """Coverage of every draw, on the rest of the fresh study and on each study apart."""
    fresh = read_cases(given.fresh, loaded.card.anatomy, depth=False)
    apart = {name: read_cases(uri, loaded.card.anatomy, depth=False) for name, uri in given.apart}
    shown = {name: patches_of(loaded, cases) for name, cases in apart.items()}
    schedule = Schedule(name="brisk", epochs=given.epochs, rate=1e-3, augment=0.5)
    names, subjects = np.unique(fresh.subjects), np.array(fresh.subjects)
    found: dict[str, list[dict[str, NDArray[np.float64]]]] = {name: [] for name in ("fresh", *apart)}
    for draw in range(given.draws):
        chosen = np.random.default_rng([given.seed, draw]).choice(names, given.subjects, replace=False)
        inside = np.isin(subjects, chosen)
        study, rest = (replace(fresh, samples=fresh.samples.at(np.flatnonzero(m))) for m in (inside, ~inside))
        model, card = end_of_sweep(loaded, study, schedule, draw)
        found["fresh"].append(coverage(model, card, rest, patches_of(loaded, rest)))
        for name, cases in apart.items():
            found[name].append(coverage(model, card, cases, shown[name]))
        print(f"draw {draw + 1}: {found['fresh'][-1]['each'].mean():.3f}", file=sys.stderr, flush=True)
    return {"patients": len(names), "level": LEVEL} | {name: summary(draws) for name, draws in found.items()}


def summary(draws: list[dict[str, NDArray[np.float64]]]) -> dict[str, Any]:
    """Means over draws, and the spread of coverage between them."""
    means = {name: np.mean([draw[name] for draw in draws], 0).round(4).tolist() for name in draws[0]}
    each = np.array([draw["each"].mean() for draw in draws])
    return means | {"each_mean": float(each.mean()), "each_sd_of_draws": float(each.std(ddof=1)), "draws": len(draws)}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", metavar="MODEL")
    options.add_argument("--fresh", required=True, metavar="STUDY")
    options.add_argument("--apart", action="append", default=[], metavar="NAME=STUDY", type=lambda t: t.split("=", 1))
    for name, default in (("draws", 20), ("subjects", 20), ("epochs", 10), ("seed", 1)):
        options.add_argument(f"--{name}", type=int, default=default)
    given = options.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(vars(given) | measure(load_model(given.model), given) | surroundings()), flush=True)


if __name__ == "__main__":
    main()
