#!/usr/bin/env python3
"""Train a landmark network on renderings; the newest states are kept, after every epoch and on the way.

  python pipelines/pretrain.py hand_smoke --data /data/hands --out /data/hand_model
  python pipelines/pretrain.py body --data s3://bucket/bodies --out s3://bucket/body_model --workers 4 --gpu
  python pipelines/pretrain.py body --data /data/bodies --out /data/both \\
      --set 'model.inputs=["silhouette","depth","observed"]'

Run the same command again and it continues at the last state, with --stream or without, on any number of workers. Where
samples do not fit into memory, --stream reads them as it goes: the same ones in the same order. The model lies in
OUT/model. Curves, parameters and examples go to MLflow (SYNTHMARK_MLFLOW or MLFLOW_TRACKING_URI; else a SQLite file in
your data folder).
"""

import os
from collections.abc import Sequence
from dataclasses import replace

import torch

from pipelines.cli import UsageError, as_dict, parser, positive, progress, resolve, run, show_recipe, start_ray
from synth.domain.shards import Manifest
from synth.domain.storage import has_files
from training import tracking
from training.board import Listener
from training.checkpoint import read_card
from training.distributed import pretrain
from training.job import PretrainJob, absolute_uri, claim_output
from training.pretraining import new_model
from training.record import open_record, record_left_open
from training.step import check_training


def main(argv: Sequence[str]) -> str:
    """Where the model is, with its error on held-out renderings."""
    options = parser(__doc__ or "")
    options.add_argument("--data", required=True, help="folder or URI of renderings")
    options.add_argument("--out", required=True, help="folder or URI of checkpoints and the final model")
    options.add_argument("--seed", type=int, default=1, help="seed of weights and order, 0 or more; default 1")
    options.add_argument("--workers", type=positive, help="training processes; default: cores, with --gpu GPUs")
    options.add_argument("--gpu", action="store_true", help="train on GPUs, one a worker")
    options.add_argument("--stream", action="store_true", help="read samples as they are needed, not all into memory")
    options.add_argument(
        "--save-steps", type=positive, default=1000, metavar="N", help="keep a state after so many steps, too"
    )  # fmt: skip
    options.add_argument("--experiment", default="pretrain", help="MLflow experiment; default: pretrain")
    arguments = options.parse_args(argv)
    workers = arguments.workers or max(1, (torch.cuda.device_count() if arguments.gpu else os.cpu_count()) or 1)
    job = replace(
        job_of(arguments.recipe, arguments.overrides, arguments.data, arguments.out, arguments.seed),
        mode="stream" if arguments.stream else "resident",
        save_steps=arguments.save_steps,
    )
    if arguments.gpu and not os.environ.get("RAY_ADDRESS") and torch.cuda.device_count() < workers:
        raise ValueError(f"--gpu needs {workers} GPUs; there are {torch.cuda.device_count()}; leave --gpu out")
    manifest = claim_output(job)
    show_recipe(resolve(arguments.recipe, arguments.overrides))
    if not has_files(job.model_uri):
        train_and_record(job, manifest, arguments.experiment, workers, arguments.gpu)
    elif record := record_left_open(job, manifest, arguments.experiment):
        with tracking.recorded(record.run):
            record.close(job)
    card = read_card(job.model_uri)
    error = card.metrics["held_out_px"]
    return f"{job.model_uri}: {card.anatomy.name}, {card.model.network}, held-out error {error:.2f} px"


def job_of(recipe_name: str, overrides: Sequence[str], data: str, out: str, seed: int) -> PretrainJob:
    """The run as plain data. Raises UsageError where recipe, network and loss do not fit together."""
    if seed < 0:
        raise UsageError(f"--seed {seed} is not allowed; give 0 or more")
    recipe = resolve(recipe_name, overrides)
    job = PretrainJob(
        anatomy=recipe.anatomy,
        model=recipe.model,
        train=recipe.train,
        crop=recipe.render.crop,
        recipe=as_dict(recipe),
        seed=seed,
        data_uri=absolute_uri(data),
        out_uri=absolute_uri(out),
    )
    check_training(new_model(job), job.train)
    return job


def train_and_record(job: PretrainJob, manifest: Manifest, experiment: str, workers: int, gpu: bool) -> None:
    """None; trains, with progress here and everything of interest in MLflow."""
    record = open_record(job, manifest, experiment, workers)
    with tracking.recorded(record.run):
        start_ray(workers)
        with progress(manifest.rows, "img", f"training on {workers} workers") as bar:

            def show(done: int, total: int) -> None:
                if bar.n == 0:  # the rate is that of this training: not of Ray's start, not of an earlier run
                    bar.reset(total)
                    bar.initial = bar.n = bar.last_print_n = done
                bar.update(done - bar.n)

            def keep(entry: dict[str, float]) -> None:
                bar.set_postfix_str(f"epoch {entry['epoch'] + 1:g}, held-out {entry['held_out_px']:.2f} px")
                record.epoch(entry)

            listener = Listener(on_progress=show, on_entry=keep, on_points=record.points)
            pretrain(job, workers=workers, gpu=gpu, listener=listener)
        record.close(job)


if __name__ == "__main__":
    run(main)
