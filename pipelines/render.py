#!/usr/bin/env python3
"""Render labelled silhouettes and depth maps of virtual subjects into Parquet shards.

  python pipelines/render.py hand --count 8000 --seed 1 --out /data/hands
  ray job submit --working-dir . -- python pipelines/render.py hand --count 2200000 --seed 1 --out s3://bucket/hands

Run the same command again and it finishes what is missing; what is there is not touched. Every sample is a function
of recipe, seed and id alone: any number of workers makes the same bits.
On 2 cores: 8,000 hands in about a minute; the first run on a machine builds the body template (a minute more).
"""

import logging
import os
from collections.abc import Sequence

from pipelines.cli import UsageError, parser, positive, progress, resolve, run, show_recipe, start_ray
from synth.domain.anatomy import anatomy_named
from synth.domain.shards import Manifest, read_shard_entry, stray_files, write_manifest
from synth.figure import RenderRecipe, template_of
from synth.worker import ShardJob, ShardWorker, footer_of, is_done, plan_shards


def main(argv: Sequence[str]) -> str:
    """Where the dataset is, with its size and digest."""
    options = parser(__doc__ or "")
    options.add_argument("--count", type=positive, required=True, help="number of samples")
    options.add_argument("--seed", type=int, required=True, help="seed of every draw, 0 or more")
    options.add_argument("--out", required=True, help="folder or URI (file://, s3://) of the dataset")
    options.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="Blender processes; default: cores"
    )
    arguments = options.parse_args(argv)
    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed} is not allowed; give 0 or more")
    recipe = resolve(arguments.recipe, arguments.overrides).render
    jobs = plan_shards(arguments.count, recipe.shard_rows)
    missing = missing_jobs(recipe, arguments.seed, jobs, arguments.out)
    show_recipe(recipe)
    if missing:
        template_of(recipe)  # built here once, not by every worker at the same time
        render_shards(recipe, arguments.seed, missing, arguments.out, arguments.workers)
    manifest = collect(recipe, arguments.seed, jobs, arguments.out)
    made = sum(job.rows for job in missing)
    return f"{arguments.out}: {manifest.rows} {manifest.anatomy.name} samples ({made} new), digest {manifest.digest}"


def missing_jobs(recipe: RenderRecipe, seed: int, jobs: list[ShardJob], uri: str) -> list[ShardJob]:
    """The jobs whose shard is not there yet. Raises ValueError where `uri` holds something else."""
    strays = stray_files(uri, {job.index for job in jobs})
    if strays:
        raise ValueError(f"output {uri} holds something else ({strays[0]}); choose another --out")
    footer = footer_of(recipe, seed)
    present = ((job, read_shard_entry(uri, job.index)) for job in jobs)
    return [job for job, found in present if found is None or not is_done(found, job, footer)]


def render_shards(recipe: RenderRecipe, seed: int, jobs: list[ShardJob], uri: str, workers: int) -> None:
    """Make the shards of `jobs` with Ray Data. Raises ValueError with the first reason where some failed."""
    import ray

    workers = min(workers, len(jobs))
    start_ray(workers)
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours says rate and time left
    for handler in logging.getLogger("ray.data").handlers:
        if handler.name == "console":  # Ray 2.60: half a page for every run; its log file keeps all of it
            handler.setLevel(logging.ERROR)
    rows = ray.data.from_items([vars(job) for job in jobs], override_num_blocks=len(jobs)).map(
        ShardWorker,
        fn_constructor_args=(recipe, seed, uri),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    failures = []
    with progress(sum(job.rows for job in jobs), "img", f"rendering with {workers} workers") as bar:
        for done in rows.iter_rows():
            bar.update(done["rows"])
            if done["error"]:
                failures.append(done["error"])
    if failures:
        raise ValueError(f"{len(failures)} of {len(jobs)} shards failed; first: {failures[0]}; run the command again")


def collect(recipe: RenderRecipe, seed: int, jobs: list[ShardJob], uri: str) -> Manifest:
    """The manifest, rebuilt from what lies on disk, checked against the plan and written."""
    footer = footer_of(recipe, seed)
    shards = []
    for job in jobs:
        found = read_shard_entry(uri, job.index)
        if found is None or not is_done(found, job, footer):
            raise ValueError(f"{uri} lacks shard {job.index} after rendering; run the command again")
        shards.append(found[0])
    manifest = Manifest(
        kind="renderings",
        anatomy=anatomy_named(recipe.anatomy),
        recipe=recipe.as_dict(),
        seed=seed,
        shards=tuple(shards),
    )
    write_manifest(uri, manifest)
    return manifest


if __name__ == "__main__":
    run(main)
