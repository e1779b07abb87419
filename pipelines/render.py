#!/usr/bin/env python3
"""Render labelled silhouettes and depth maps of virtual subjects into Parquet shards.

  python pipelines/render.py hand --count 8000 --seed 1 --out /data/hands
  ray job submit --working-dir . -- python pipelines/render.py hand --count 2200000 --seed 1 --out s3://bucket/hands

Run the same command again and it finishes what is missing; what is there is not touched. Every sample is a function
of recipe, seed and id alone: any number of workers makes the same bits. A sample on which Blender fails three times is
quarantined; the run ends with exit 1 unless --tolerance allows as many: a count (3) or a share of all (0.1%).
On 2 cores: 8,000 hands in about a minute; the first run on a machine builds the body template (a minute more).
"""

import os
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from uuid import uuid4

from pipelines.cli import UsageError, parser, positive, progress, quiet_ray_data, resolve, run, show_recipe, start_ray
from synth.corpus import collect, missing_jobs
from synth.figure import RenderRecipe, template_of
from synth.worker import ShardJob, ShardWorker, plan_shards

FAILURES = 10  # failed shards after which a run stops: a full disk, a broken Blender


def main(argv: Sequence[str]) -> str:
    """Where the dataset is, with its size and digest."""
    options = parser(__doc__ or "")
    options.add_argument("--count", type=positive, required=True, help="number of samples")
    options.add_argument("--seed", type=int, required=True, help="seed of every draw, 0 or more")
    options.add_argument("--out", required=True, help="folder or URI (file://, s3://) of the dataset")
    options.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="Blender processes; default: cores"
    )
    options.add_argument(
        "--tolerance",
        default="0",
        metavar="N|P%",
        help="how many samples, or which share, may be quarantined; default: 0",
    )
    arguments = options.parse_args(argv)
    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed} is not allowed; give 0 or more")
    tolerance = tolerated(arguments.tolerance, arguments.count)
    recipe = resolve(arguments.recipe, arguments.overrides).render
    jobs = plan_shards(arguments.count, recipe.shard_rows)
    missing = missing_jobs(recipe, arguments.seed, jobs, arguments.out)
    show_recipe(recipe)
    if missing:
        render_shards(recipe, arguments.seed, missing, arguments.out, arguments.workers)
    manifest = collect(recipe, arguments.seed, jobs, arguments.out, tolerance)
    notes = f"{sum(job.rows for job in missing)} new"
    if manifest.quarantine:
        notes += f", {len(manifest.quarantine)} quarantined"
    return f"{arguments.out}: {manifest.rows} {manifest.anatomy.name} samples ({notes}), digest {manifest.digest}"


def tolerated(text: str, count: int) -> int:
    """How many of `count` samples a --tolerance allows: a count, or a share of them (0.1%). Raises UsageError."""
    try:
        number = Decimal(text.removesuffix("%"))  # exact: 0.29 % of 100,000 are 290
    except InvalidOperation:
        number = Decimal("nan")
    share = text.endswith("%")
    if not number.is_finite() or number < 0 or (number > 100 if share else number % 1 != 0):
        raise UsageError(f"--tolerance {text!r} is not allowed; give a count (3) or a share of the samples (0.1%)")
    return int(number * count / 100 if share else number)


def render_shards(recipe: RenderRecipe, seed: int, jobs: list[ShardJob], uri: str, workers: int) -> None:
    """Make the shards of `jobs` with Ray Data. Raises ValueError with the first reason where some failed."""
    import ray

    workers = min(workers, len(jobs))
    template = template_of(recipe)  # built here once and sent along: a minute less on every new machine
    start_ray(workers)
    quiet_ray_data()
    rows = ray.data.from_items([vars(job) for job in jobs], override_num_blocks=len(jobs)).map(
        ShardWorker,
        fn_constructor_args=(recipe, seed, uri, uuid4().hex, template),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    failures = []
    with progress(sum(job.rows for job in jobs), "img", f"rendering with {workers} workers") as bar:
        for done in rows.iter_rows():
            bar.update(done["rows"])
            if done["error"]:
                failures.append(done["error"])
            if len(failures) == FAILURES:
                break
    if failures:
        first = f"{'; the first: ' if len(failures) > 1 else ': '}{failures[0]}"
        raise ValueError(
            f"{len(failures)} of {len(jobs)} shards failed{first}; run the command again for what is missing"
        )


if __name__ == "__main__":
    run(main)
