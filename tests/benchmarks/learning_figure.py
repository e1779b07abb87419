"""Draw what learning.py printed: errors by number of renderings, a line a recipe, a panel a test.

python -m tests.benchmarks.learning_figure RUNS.jsonl [RUNS.jsonl …] --out curve.png
"""

import argparse
import json
from pathlib import Path
from typing import Any


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Write the figure of some runs of learning.py."""
    from matplotlib.figure import Figure

    tests = sorted({name for run in runs for name in run["px"]}, reverse=True)
    figure = Figure(figsize=(4.5 * len(tests), 3.6), layout="constrained")
    for axes, test in zip(figure.subplots(1, len(tests), squeeze=False)[0], tests, strict=True):
        for recipe in sorted({run["recipe"] for run in runs}):
            mine = sorted((run["samples"], run["px"][test]["mean"]) for run in runs if run["recipe"] == recipe)
            axes.plot(*zip(*mine, strict=True), "o-", label=recipe)
            for samples, error in mine:
                axes.annotate(f"{error:.2f}", (samples, error), (0, 6), textcoords="offset points", ha="center")
        axes.set(xscale="log", yscale="log", xlabel="renderings", ylabel="mean error, patch px", title=test)
        axes.set_ylim(0.3, 15)
        axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Read and draw."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", type=Path, nargs="+")
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    draw([json.loads(line) for file in given.runs for line in file.read_text().splitlines()], given.out)


if __name__ == "__main__":
    main()
