"""What each option of training is worth in images per second, of the plain loop on one core; prints JSON.

  python -m tests.benchmarks.options hand --data DATA [--rows 1024] [--repeats 3]

Every setting is trained in turn, as often as there are repeats, in one process of one thread, after a first epoch that
is not counted (a compiled network is compiled in it). Per second of processor time, so that what else the machine does
counts little; medians, and their ratios to float32 without any option.
"""

import itertools
import json
import statistics
import tempfile
import time
from dataclasses import replace
from typing import Any

import torch

from tests.benchmarks.surroundings import surroundings
from tests.benchmarks.train import arguments, job_of
from training.job import PretrainJob
from training.loop import Hooks, fit
from training.pretraining import new_model
from training.split import read_split

PLAIN: dict[str, Any] = {"precision": "float32", "channels_last": False, "fused": False, "compile": False}
SETTINGS: dict[str, dict[str, Any]] = {
    "float32": {},
    "channels_last": {"channels_last": True},
    "fused": {"fused": True},
    "compile": {"compile": True},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, channels_last": {"precision": "bfloat16", "channels_last": True},
    "bfloat16, compile": {"precision": "bfloat16", "compile": True},
    "all": {"precision": "bfloat16", "channels_last": True, "fused": True, "compile": True},
}


def rate(job: PretrainJob) -> float:
    """Images per second of processor time of plain torch."""
    patches, ends = read_split(job).train, []
    fit(new_model(job), patches, job.train, seed=1, hooks=Hooks(on_epoch=lambda _: ends.append(time.process_time())))
    return len(patches) / statistics.median(after - before for before, after in itertools.pairwise(ends))


def main() -> None:
    """Measure and print."""
    given = arguments(__doc__, 1024).parse_args()
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as folder:
        job = job_of(given, folder)
        for _ in range(given.repeats):
            for name, changes in SETTINGS.items():
                rates[name].append(rate(replace(job, train=replace(job.train, **(PLAIN | changes)))))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    ratios = {name: median / medians["float32"] for name, median in medians.items()}
    said = {"recipe": given.recipe, "rows": given.rows, "images_per_s": medians, "over_float32": ratios}
    print(json.dumps(said | {"runs": rates} | surroundings(), indent=2))


if __name__ == "__main__":
    main()
