#!/usr/bin/env python3
"""The whole chain on virtual hands: render, pretrain, import a study, sweep, evaluate, predict.

  python pipelines/demo.py --out demo-output

Local Ray, local files, SQLite. Every step is a command you can run yourself; it is printed before it runs. Run it again
with the same --out and it goes on where it stopped. How long that takes: docs/results.md.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cli import parser, positive, run
from training.mlflow_ui import ui_command

VERBS = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the demo. made: the file that says it is done."""

    title: str
    verb: str
    arguments: tuple[str, ...]
    made: Path


def main(argv: Sequence[str]) -> str:
    """Where the report is and how to open MLflow."""
    options = parser(__doc__ or "", recipe=False)
    options.add_argument("--out", default="demo-output", help="folder for everything; default: demo-output")
    options.add_argument("--count", type=positive, default=5000, help="renderings; default: 5000")
    options.add_argument("--cases", type=positive, default=24, help="virtual scans, two of each person; default: 24")
    options.add_argument("--epochs", type=positive, default=5, help="passes over the renderings; default: 5")
    arguments = options.parse_args(argv)
    out = Path(arguments.out).absolute()
    steps = plan(out, arguments.count, arguments.cases, arguments.epochs)
    print(
        "synthmark demo. The scans are VIRTUAL PATIENTS: voxel volumes of hands that the generator did not render, "
        "deformed and noisy.\nThey show that the chain works; only your own annotated scans tell how well.",
        flush=True,
    )
    started = time.monotonic()
    for number, step in enumerate(steps, start=1):
        take(step, number, len(steps), started)
    report = out / "evaluation" / "report.html"
    return (
        f"report: {report}\n"
        f"predictions: {out / 'predictions'} (open the .mrk.json in 3D Slicer)\n"
        f"all runs, side by side: {ui_command()}"
    )


def plan(out: Path, count: int, cases: int, epochs: int) -> list[Step]:
    """The steps of the demo, in order."""
    return [*_make_images(out, count, cases), *_learn(out, epochs), *_adapt(out)]


def _make_images(out: Path, count: int, cases: int) -> list[Step]:
    """Renderings, and an annotated study and new scans of virtual patients."""
    data = str(out / "renderings")
    return [
        Step(
            title=f"Render {count} virtual hands with exact landmarks",
            verb="render",
            arguments=("hand_smoke", "--count", str(count), "--seed", "1", "--out", data),
            made=out / "renderings" / "manifest.json",
        ),
        Step(
            title="Draw the first of them on a contact sheet",
            verb="check",
            arguments=(data, "--sheet", str(out / "renderings.png")),
            made=out / "renderings.png",
        ),
        Step(
            title=f"Make {cases} MR volumes of virtual patients",
            verb="phantoms",
            arguments=("hand_smoke", "--count", str(cases), "--seed", "1", "--out", str(out / "patients")),
            made=out / "patients" / "subjects.csv",
        ),
        Step(
            title="Make two more, for the prediction at the end",
            verb="phantoms",
            arguments=("hand_smoke", "--count", "2", "--seed", "2", "--out", str(out / "new_patients")),
            made=out / "new_patients" / "subjects.csv",
        ),
        Step(
            title="Import the annotated volumes into the common domain",
            verb="study",
            arguments=(
                "hand", "--side", "left", "--images", str(out / "patients" / "images"),
                "--landmarks", str(out / "patients" / "landmarks.csv"), "--out", str(out / "study"),
            ),
            made=out / "study" / "manifest.json",
        ),
    ]  # fmt: skip


def _learn(out: Path, epochs: int) -> list[Step]:
    """Networks from the renderings."""
    data, heatmap, paper = (str(out / name) for name in ("renderings", "heatmap", "paper"))
    return [
        Step(
            title="Pretrain the heatmap network on the renderings",
            verb="pretrain",
            arguments=("hand_smoke", "--data", data, "--out", heatmap, "--set", f"train.epochs={epochs}"),
            made=out / "heatmap" / "model" / "model.json",
        ),
        Step(
            title="Pretrain the paper's network (Table 1): too few passes for it, shown for comparison",
            verb="pretrain",
            arguments=("hand_paper", "--data", data, "--out", paper, "--set", "train.epochs=2"),
            made=out / "paper" / "model" / "model.json",
        ),
    ]


def _adapt(out: Path) -> list[Step]:
    """The networks adapted to the study, compared, and tried on the new scans."""
    data, study, sweep = (str(out / name) for name in ("renderings", "study", "sweep"))
    heatmap, paper = str(out / "heatmap"), str(out / "paper")
    return [
        Step(
            title="Sweep fine-tuning schedules over folds by person",
            verb="sweep",
            arguments=("hand_smoke", "--study", study, "--pretrained", f"{heatmap}/model", "--out", sweep),
            made=out / "sweep" / "schedule.json",
        ),
        Step(
            title="Evaluate the ladder of methods",
            verb="evaluate",
            arguments=(
                "hand_smoke", "--study", study, "--data", data, "--pretrained", f"{heatmap}/model",
                "--pretrained", f"{paper}/model", "--schedule", f"{sweep}/schedule.json",
                "--out", str(out / "evaluation"), "--set", "sweep.scratch.epochs=100",
            ),
            made=out / "evaluation" / "report.html",
        ),
        Step(
            title="Predict landmarks on two new volumes",
            verb="predict",
            arguments=(
                "--model", f"{sweep}/model", "--side", "left", "--out", str(out / "predictions"),
                str(out / "new_patients" / "images"),
            ),
            made=out / "predictions" / "run.json",
        ),
    ]  # fmt: skip


def take(step: Step, number: int, total: int, started: float) -> None:
    """Run one step unless it is done. Raises ValueError where its command fails."""
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    print(f"\n=== {number}/{total}  {step.title}  (after {minutes}:{seconds:02d} min)", flush=True)
    command = ["python", f"pipelines/{step.verb}.py", *step.arguments]
    if step.made.exists():
        print(f"already there: {step.made}", flush=True)
        return
    print(f"$ {shlex.join(command)}", flush=True)
    done = subprocess.run([sys.executable, str(VERBS / f"{step.verb}.py"), *step.arguments], check=False)
    if done.returncode != 0:
        raise ValueError(f"step {number} ({step.verb}) failed with exit code {done.returncode}; its reason is above")


if __name__ == "__main__":
    run(main)
