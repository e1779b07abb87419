#!/usr/bin/env python3
"""Give renderings other landmarks, computed from their stored parameters: nothing is rendered again.

  python pipelines/relabel.py /data/bodies --anatomy pelvis.toml --out /data/pelvis
  python pipelines/relabel.py /data/hands --anatomy hand_bone_tips --out /data/hands_on_bone

ANATOMY: a TOML file with landmarks of your own (docs/formats.md), or hand, body, hand_bone_tips. Silhouettes and depth
stay bit for bit; landmarks, their visibility and the stored points are new. Run the same command again and it finishes
what is missing. Per core: about 230 hands or 110 bodies a second, most of it posing.
"""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from pipelines.cli import UsageError, parser, positive, progress, run
from synth.domain.anatomy import anatomy_named
from synth.domain.shards import Shard, read_manifest, stray_files, write_manifest
from synth.points import finder_of
from synth.relabel import Relabelling, relabel_shard
from synth.template import load_template


def main(argv: Sequence[str]) -> str:
    """Where the relabelled dataset is, with its landmarks and digest."""
    options = parser(__doc__ or "", recipe=False)
    options.add_argument("uri", metavar="URI", help="renderings, as render.py makes them")
    options.add_argument("--anatomy", required=True, metavar="FILE|NAME", help="whose landmarks they shall have")
    options.add_argument("--out", required=True, help="folder or URI of the new dataset")
    options.add_argument("--workers", type=positive, default=os.cpu_count() or 1, help="processes; default: cores")
    given = options.parse_args(argv)
    try:
        anatomy = anatomy_named(given.anatomy)
    except ValueError as error:
        raise UsageError(str(error)) from error
    manifest = read_manifest(given.uri)
    work = Relabelling(uri=given.uri, manifest=manifest, anatomy=anatomy, out=given.out)
    if strays := stray_files(given.out, set(range(len(manifest.shards)))):
        raise ValueError(f"output {given.out} holds something else ({strays[0]}); choose another --out")
    finder_of(load_template(anatomy.base), anatomy)  # unknown bones and vertices are told before any work
    made = work.new_manifest(relabel(work, given.workers))
    write_manifest(given.out, made)
    return (
        f"{given.out}: {made.rows} samples with {anatomy.num_landmarks} {anatomy.name} landmarks, digest {made.digest}"
    )


def relabel(work: Relabelling, workers: int) -> list[Shard]:
    """The shards of the new dataset, in order, made by `workers` processes."""
    count = len(work.manifest.shards)
    shards = []
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(min(workers, count), mp_context=context) as pool,
        progress(work.manifest.rows, "sample", "relabelling") as bar,
    ):
        for shard in pool.map(partial(relabel_shard, work), range(count)):
            shards.append(shard)
            bar.update(shard.rows)
    return shards


if __name__ == "__main__":
    run(main)
