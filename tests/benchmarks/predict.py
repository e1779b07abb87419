"""What predicting on a DICOM series costs beside reading it; prints JSON.

  python -m tests.benchmarks.predict [--slices 300] [--repeats 5] [--cold 2]

A body CT of 512 x 512 int16 slices, uncompressed, in the page cache; a body on a couch, one thread. `read`: names found
by GDCM and decoded by SimpleITK, the bare reading time; `warm`: read and hashed (at once where there are two cores),
prepared, predicted and written as predict.py does, in a process whose reader and model are loaded, and its parts;
`explain`: the picture of the steps on top; `cold`: the whole command, Python, torch and MLflow loaded. The network has
learnt nothing: it costs the same.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pipelines.explain import explain
from pipelines.predicted_case import content_digest, read_and_digest, write_case
from synth.domain.anatomy import BODY
from synth.domain.parts import find_parts
from synth.domain.reader import Reader
from synth.domain.settings import ImportSettings
from synth.domain.study import prepare
from tests.benchmarks.reading import find_and_decode, medians, seconds_of
from tests.benchmarks.surroundings import surroundings
from tests.commands import succeed
from tests.dicoms import write_series
from tests.training.toy import toy_card
from training.checkpoint import LoadedModel, load_model, save_model
from training.models import ModelRecipe, build_model
from training.predict import predict_case

ACROSS_MM, LENGTH_MM = 1.0, 1800.0
SETTINGS = ImportSettings()


def body_voxels(slices: int) -> np.ndarray:
    """(slices, 512, 512) int16 HU: a trunk, a head, two legs, noise, and a hollow plate of a couch under them."""
    y, x = np.indices((512, 512)) - 255.5
    rng = np.random.default_rng([32, 1])
    noise = rng.normal(0, 15, (512, 512)).astype(np.int16)
    made = np.full((slices, 512, 512), -1000, np.int16)
    couch = (np.abs(x) < 210) & ((np.abs(y - 125) < 2) | (np.abs(y - 165) < 2))
    for k in range(slices):
        share = k / slices
        if share < 0.5:
            tissue = np.minimum(np.hypot(x - 90, y - 40), np.hypot(x + 90, y - 40)) < 40 + 80 * share
        elif share < 0.85:
            tissue = np.hypot(x / 1.6, y) < 115
        else:
            tissue = np.hypot(x, y - 20) < 85
        if not 0.02 < share < 0.98:
            tissue = np.zeros_like(tissue)
        made[k][tissue] = 40
        made[k][couch] = 100
        made[k] += np.roll(noise, k, 0)
    return made


def save_untaught(folder: Path) -> LoadedModel:
    """A body network that has learnt nothing, saved and loaded."""
    torch.manual_seed(1)
    count = BODY.num_landmarks
    card = replace(
        toy_card(ModelRecipe()), anatomy=BODY, mean_depth=(0.0,) * count, landmarks=(), sigma_scale=None, sigma_px=None
    )
    save_model(str(folder), build_model(card.model, BODY), card)
    return load_model(str(folder))


def measure(case: Path, loaded: LoadedModel, out: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds by step, each measured in turn, so that other work on the machine meets all of them."""
    found: dict[str, list[float]] = {}

    def timed(name: str, act: Callable[[], object]) -> object:
        start = time.perf_counter()
        result = act()
        found.setdefault(name, []).append(time.perf_counter() - start)
        return result

    with Reader() as reader:
        for turn in range(repeats + 1):
            timed("read", lambda: find_and_decode(case))
            start = time.perf_counter()
            source, _ = timed("warm: read and hash", lambda: read_and_digest(reader, case, SETTINGS))
            prepared = timed("warm: project and crop", lambda s=source: prepare(s, BODY, loaded.card.crop, SETTINGS))
            predicted = timed("warm: predict", lambda p=prepared: predict_case(loaded, p))
            timed("warm: write", lambda p=prepared, q=predicted: write_case("case", p, q, out))
            found.setdefault("warm", []).append(time.perf_counter() - start)
            timed("our reader alone", lambda: reader.read(case))
            timed("hash alone", lambda: content_digest(case))
            parts = timed("explain: parts", lambda p=prepared: find_parts(p.shown, p.source))
            timed(
                "explain: picture",
                lambda p=prepared, q=predicted, r=parts: explain(p, r, q.patch, BODY, SETTINGS, "case", p.notes),
            )
            if turn == 0:
                found.clear()
    return found


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--slices", type=int, default=300)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--cold", type=int, default=2)
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as scratch:
        home = Path(scratch)
        step = LENGTH_MM / given.slices
        case = write_series(home / "case", body_voxels(given.slices), step=(0, 0, step), spacing=(ACROSS_MM, ACROSS_MM))
        loaded = save_untaught(home / "model")
        found = measure(case, loaded, home / "out", given.repeats)
        for k in range(given.cold):
            command = ("predict", "--model", home / "model", "--out", home / f"cold {k}", case)
            found.setdefault("cold", []).append(seconds_of(lambda c=command: succeed(*c, home=home)))
    print(json.dumps({"slices": given.slices, "steps": medians(found, "read"), **surroundings()}, indent=1))


if __name__ == "__main__":
    main()
