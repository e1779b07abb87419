"""What annotating the suggested cases is worth: error after fine-tuning with them against as many at random; JSON.

  python -m tests.benchmarks.annotate_next MODEL --study STUDY --cases 5 --draws 5 --epochs 20

The network predicts one case of every subject of half the subjects; those it is least certain of, as predict.py ranks
them, are annotated and fine-tuned with, and then it is tested on the other half. Each draw halves the subjects anew and
sets the suggested cases against one random choice out of the same half, with the same training seed.
"""

import argparse
import copy
import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.surroundings import surroundings
from training.checkpoint import LoadedModel, load_model
from training.data import Patches
from training.loop import predict
from tuning.cases import Cases, read_cases
from tuning.schedule import Schedule
from tuning.trial import fine_tune


def one_of_each(cases: Cases, names: NDArray[np.str_]) -> NDArray[np.int64]:
    """The first case of every subject in `names`."""
    return np.array([cases.subjects.index(name) for name in names])


def error_after(
    loaded: LoadedModel, patches: Patches, cases: Cases, rows: NDArray[np.int64], test: NDArray[np.bool_], given: Any
) -> float:
    """Mean error in patch px on `test` after fine-tuning with `rows`."""
    model = copy.deepcopy(loaded.model)
    schedule = Schedule(name="few", epochs=given.epochs, rate=given.rate, augment=0.5, batch=len(rows))
    fine_tune(model, patches.select(torch.as_tensor(rows)), schedule, loaded.card.train, seed=given.seed)
    found = cases.errors_px(predict(model, patches).points)[test]
    return float(np.nanmean(found))


def measure(loaded: LoadedModel, cases: Cases, given: Any) -> dict[str, Any]:
    """Errors before, with the suggested cases, and with random ones, a figure a draw."""
    patches = Patches.from_samples(cases.samples, cases.anatomy, inputs=loaded.card.model.reads, crop=loaded.card.crop)
    before = predict(loaded.model, patches)
    certain, names = before.sigma.mean(1), np.unique(cases.subjects)
    errors = cases.errors_px(before.points)
    found: dict[str, list[float]] = {"before": [], "suggested": [], "random": []}
    for draw in range(given.draws):
        rng = np.random.default_rng([given.seed, draw])
        shuffled = rng.permutation(names)
        pool, test = one_of_each(cases, shuffled[::2]), np.isin(cases.subjects, shuffled[1::2])
        suggested = pool[np.argsort(-certain[pool])[: given.cases]]
        chosen = rng.choice(pool, given.cases, replace=False)
        found["before"].append(float(np.nanmean(errors[test])))
        found["suggested"].append(error_after(loaded, patches, cases, suggested, test, given))
        found["random"].append(error_after(loaded, patches, cases, chosen, test, given))
    difference = np.array(found["suggested"]) - np.array(found["random"])
    spread = {"mean_difference": float(difference.mean()), "sd_of_draws": float(difference.std(ddof=1))}
    return {"means": {name: float(np.mean(v)) for name, v in found.items()}} | spread | found


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", metavar="MODEL")
    options.add_argument("--study", required=True)
    for name, default in (("cases", 5), ("draws", 5), ("epochs", 20), ("seed", 1)):
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--rate", type=float, default=3e-4)
    given = options.parse_args()
    torch.set_num_threads(1)
    loaded = load_model(given.model)
    cases = read_cases(given.study, loaded.card.anatomy, depth=False)
    print(json.dumps(vars(given) | measure(loaded, cases, given) | surroundings()), flush=True)


if __name__ == "__main__":
    main()
