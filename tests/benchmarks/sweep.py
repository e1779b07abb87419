"""A sweep of 20 trials x 20 folds whose process group is killed with signal 9 in the middle and run again; prints JSON.

  python -m tests.benchmarks.sweep [--trials 20] [--folds 20] [--workers 2]

The recipe is small (tests/faults/sweeps.py): one epoch of a toy network, one of 20 people left out in each fold.
Lost and repeated are counted in what is kept: a fold or trial that was there before the kill must be there afterwards,
with the same seconds of training. Schedules per hour are those of the whole second run, starting up included: what a
sweep costs beside its training.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.benchmarks.surroundings import surroundings
from tests.faults.sweeps import SmallSweep


def measure(sweep: SmallSweep, workers: int) -> dict[str, object]:
    """What the kill cost, and the rate of the run after it."""
    sweep.prepare()
    start = time.perf_counter()
    sweep.kill_midway(sweep.start(workers))
    killed = time.perf_counter()
    trials, folds = sweep.trials(), sweep.folds()
    sweep.finish(sweep.start(workers))
    done = time.perf_counter()
    ended = sweep.trials()
    return {
        "trials_before_the_kill": len(trials),
        "folds_of_unfinished_trials_before_the_kill": len(folds),
        "trials_in_the_end": len(ended),
        "folds_in_the_end": sum(len(trial["folds"]) for trial in ended.values()),
        "trials_lost_or_repeated": sum(ended.get(name) != trial for name, trial in trials.items()),
        "folds_lost_or_repeated": sum(ended[name]["folds"][number] != fold for (name, number), fold in folds.items()),
        "mlflow_runs": sweep.runs(),
        "seconds_until_the_kill": round(killed - start, 1),
        "seconds_of_the_second_run": round(done - killed, 1),
        "schedules_per_hour": round(3600 * (len(ended) - len(trials)) / (done - killed), 1),
        "seconds_of_training_per_fold": statistics.mean(f["seconds"] for t in ended.values() for f in t["folds"]),
    }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=20)
    options.add_argument("--folds", type=int, default=20)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as home:
        sweep = SmallSweep(home=Path(home), num_trials=given.trials, num_folds=given.folds)
        report = {
            "trials": given.trials,
            "folds": given.folds,
            "workers": given.workers,
            **measure(sweep, given.workers),
        }
    print(json.dumps(report | surroundings(), indent=2))


if __name__ == "__main__":
    main()
