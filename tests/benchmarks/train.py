"""How fast training is, beside the same loop without Ray and beside reading alone; prints JSON.

  python -m tests.benchmarks.train hand --data DATA [--rows 8192] [--repeats 3]

Of a dataset made by render.py, each in a process of its own, one thread to a core, after a first epoch that is not
counted: `loop`, plain torch on resident patches; `resident` and `stream`, one Ray Train worker, Ray's own processes
(some fifteen, which take a tenth of a core for nothing) and a stream's readers on the same core; `apart`, as resident,
those on the other core; `two`, two workers on two cores, each with half of every batch; `ddp`, the same in plain torch,
two processes and gloo. `read`: the stream's batches
without training on them; `unpack`: resident batches unpacked; `columns`: a bare pyarrow read of the same columns.
Images per second, medians over the repeats; needs two idle cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from torch.nn.parallel import DistributedDataParallel

from pipelines.cli import resolve, start_ray
from pipelines.pretrain import job_of as whole_job
from synth.domain.shards import Manifest, read_manifest, write_manifest
from tests.benchmarks.surroundings import ROOT, surroundings
from tests.faults.processes import descends, free_port, trainers
from training.job import PretrainJob
from training.loop import EpochReport, Hooks, fit
from training.plan import num_steps
from training.pretraining import new_model
from training.split import columns_for, read_split

EPOCHS = 3  # the first is not counted
ON_TWO_CORES = ("two", "ddp", "apart")


def loop(job: PretrainJob) -> float:
    """Images per second of plain torch."""
    patches = read_split(job).train
    model = new_model(job)
    reports: list[EpochReport] = []
    fit(model, patches, job.train, seed=1, hooks=Hooks(on_epoch=reports.append))
    return statistics.median(report.images_per_s for report in reports[1:])


def ddp(job: PretrainJob) -> float:
    """Images per second of two processes of plain torch, a thread each."""
    port = free_port()
    context = torch.multiprocessing.get_context("spawn")
    rates = context.SimpleQueue()
    torch.multiprocessing.spawn(_replica, (job, port, rates), nprocs=2)
    return float(rates.get())


def _replica(rank: int, job: PretrainJob, port: int, rates: Any) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model = DistributedDataParallel(new_model(job), broadcast_buffers=False)
    reports: list[EpochReport] = []
    fit(model, read_split(job).train, job.train, seed=1, rank=rank, world=2, hooks=Hooks(on_epoch=reports.append))
    if rank == 0:
        rates.put(statistics.median(report.images_per_s for report in reports[1:]))
    torch.distributed.destroy_process_group()


def trained(job: PretrainJob, workers: int, apart: bool = False) -> float:
    """Images per second through Ray Train; what a stream waits for is in them."""
    from training.board import Listener
    from training.distributed import pretrain

    if apart:
        os.sched_setaffinity(0, {0})  # a worker takes as many threads as it has cores
    start_ray(workers)
    entries: list[dict[str, float]] = []

    def keep(entry: dict[str, float]) -> None:
        entries.append(entry)
        if apart:
            _move_others(os.getpid(), 1)

    pretrain(job, workers=workers, listener=Listener(on_entry=keep))
    print(json.dumps({"wait_share": [round(entry["wait_share"], 4) for entry in entries]}), file=sys.stderr)
    return statistics.median(entry["images_per_s"] for entry in entries[1:])


def _move_others(driver: int, core: int) -> None:
    """None; the driver and all of its family but those that train go on on this core."""
    training = set(trainers(driver))
    for path in Path("/proc").glob("[0-9]*/task/*"):
        pid = int(path.parts[2])
        if pid not in training and (pid == driver or descends(pid, driver)):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.sched_setaffinity(int(path.name), {core})


def read(job: PretrainJob) -> float:
    """Images per second that a stream delivers to nobody."""
    from training.stream import stream_split

    start_ray(1)
    stream = stream_split(job, torch.device("cpu")).train
    return _rate(lambda epoch: sum(len(batch) for batch in stream.batches(1, epoch, job.train.batch)))


def unpack(job: PretrainJob) -> float:
    """Images per second that resident patches deliver, unpacked."""
    patches = read_split(job).train
    size = job.train.batch

    def epoch_of(epoch: int) -> int:
        return sum(len(b.batch(torch.arange(len(b))).silhouette) for b in patches.batches(1, epoch, size))

    return _rate(epoch_of)


def columns(job: PretrainJob) -> float:
    """Images per second of pyarrow, the same columns."""
    manifest = read_manifest(job.data_uri)
    wanted = columns_for(job, manifest.anatomy)

    def epoch_of(_: int) -> int:
        tables = []
        for shard in manifest.shards:
            with pq.ParquetFile(f"{job.data_uri}/{shard.name}") as file:
                present = [name for name in wanted if name in file.schema_arrow.names]
                tables.append(file.read(columns=present, use_threads=False))
        return sum(map(len, tables))

    return _rate(epoch_of)


def _rate(epoch_of: Callable[[int], int]) -> float:
    rates = []
    for epoch in range(EPOCHS):
        start = time.perf_counter()
        images = epoch_of(epoch)
        rates.append(images / (time.perf_counter() - start))
    return statistics.median(rates[1:])


MEASURES: dict[str, Callable[[PretrainJob], float]] = {
    "loop": loop,
    "resident": lambda job: trained(job, 1),
    "apart": lambda job: trained(job, 1, apart=True),
    "stream": lambda job: trained(replace(job, mode="stream"), 1),
    "two": lambda job: trained(job, 2),
    "ddp": ddp,
    "read": read,
    "unpack": unpack,
    "columns": columns,
}


def measured(name: str, options: argparse.Namespace) -> float:
    """One measure, in a process of its own on its cores."""
    command = [sys.executable, "-m", "tests.benchmarks.train", options.recipe, "--data", options.data]
    command += ["--rows", str(options.rows), "--measure", name]
    cores = {0, 1} if name in ON_TWO_CORES else {0}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )  # fmt: skip
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def job_of(options: argparse.Namespace, folder: str) -> PretrainJob:
    """A short run of the recipe on the first rows of the data."""
    whole = read_manifest(options.data)
    kept = [shard for shard in whole.shards if shard.first_id < options.rows]
    part = Path(folder) / "data"
    part.mkdir()
    for shard in kept:
        (part / shard.name).symlink_to(Path(options.data).resolve() / shard.name)
    write_manifest(str(part), Manifest(kind="renderings", anatomy=whole.anatomy, recipe={}, seed=1, shards=tuple(kept)))
    job = whole_job(options.recipe, [], str(part), f"{folder}/out", 1)
    return replace(job, train=replace(job.train, epochs=EPOCHS))


def arguments(doc: str | None, rows: int) -> argparse.ArgumentParser:
    """The options of a benchmark of training; rows: the default of --rows."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe")
    options.add_argument("--data", required=True, help="folder of renderings")
    options.add_argument("--rows", type=int, default=rows, help="how many of them")
    options.add_argument("--repeats", type=int, default=3)
    return options


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, 8192)
    options.add_argument("--measure", choices=MEASURES, help="one measure, in this process")
    given = options.parse_args()
    if given.measure:
        with tempfile.TemporaryDirectory(prefix="synthmark-benchmark-") as folder:
            print(json.dumps(MEASURES[given.measure](job_of(given, folder))))
        return
    found: dict[str, list[float]] = {}
    for _ in range(given.repeats):
        for name in MEASURES:
            found.setdefault(name, []).append(measured(name, given))
    rates = {name: statistics.median(values) for name, values in found.items()}
    pairs = [
        ("resident", "loop"), ("apart", "loop"), ("stream", "loop"), ("stream", "resident"), ("two", "resident"),
        ("two", "ddp"), ("read", "loop"), ("read", "columns"),
    ]  # fmt: skip
    ratios: dict[str, Any] = {f"{a} over {b}": rates[a] / rates[b] for a, b in pairs}
    steps = num_steps(given.rows, resolve(given.recipe, []).train.batch)
    report = {"recipe": given.recipe, "rows": given.rows, "steps": steps, "images_per_s": rates, "ratios": ratios}
    print(json.dumps(report | {"runs": found} | surroundings(), indent=2))


if __name__ == "__main__":
    main()
