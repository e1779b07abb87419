"""One row of work = one shard: draw its figures, have Blender render them, label and store them.

The worker never imports bpy. It owns a spawned child that does (blender.py), over a pipe: a crash of Blender is an
end of file here, a hang is a time-out, and both are answered by a fresh child and another try.
"""

import json
import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from synth.blender import serve
from synth.domain.anatomy import anatomy_named, visibility
from synth.domain.schema import Samples, pack_silhouettes
from synth.domain.shards import Shard, read_shard_entry, recipe_hash, write_shard
from synth.figure import GROUP, Framed, RenderRecipe, draw, joint_names, parameter_names, template_of

ATTEMPTS = 3
START_TIMEOUT_S = 120.0
RENDER_TIMEOUT_S = 120.0


class BlenderFailed(Exception):
    """Blender died or hung on a group of figures; the text says which and how."""


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """The samples first_id .. first_id + rows - 1 as shard `index`."""

    index: int
    first_id: int
    rows: int


def plan_shards(count: int, shard_rows: int) -> list[ShardJob]:
    """The shards of `count` samples, in order; only the last may be shorter."""
    starts = range(0, count, shard_rows)
    return [ShardJob(index=i, first_id=s, rows=min(shard_rows, count - s)) for i, s in enumerate(starts)]


class Blender:
    """A Blender child process for one topology, restarted when it fails."""

    def __init__(self, engine: str, size: tuple[int, int], num_vertices: int, triangles: NDArray[np.int32]) -> None:
        self._arguments = (engine, size, num_vertices, triangles, GROUP)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def render(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, H, W) float32 depth in mm of figures (n, V, 3); see blender.Cycles. Raises BlenderFailed."""
        connection = self._connection or self._start()
        try:
            connection.send(vertices)
            if not connection.poll(RENDER_TIMEOUT_S):
                raise BlenderFailed(f"gave no answer in {RENDER_TIMEOUT_S:g} s")
            answer: NDArray[np.float32] = connection.recv()
        except (EOFError, OSError) as error:
            code = self._exit_code()
            raise BlenderFailed(f"ended with code {code}") from error
        return answer

    def close(self) -> None:
        """End the child; the next render starts a fresh one."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._connection = None

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._connection = ours
        try:
            if not ours.poll(START_TIMEOUT_S):
                raise BlenderFailed(f"did not start in {START_TIMEOUT_S:g} s")
            ours.recv()
        except (EOFError, OSError) as error:
            raise BlenderFailed(f"ended with code {self._exit_code()} while starting") from error
        return ours

    def _exit_code(self) -> int | None:
        assert self._process is not None
        self._process.join(5)
        return self._process.exitcode


class ShardWorker:
    """Makes shards of one recipe and seed under one URI; called with rows of work by Ray Data (or by a plain loop)."""

    def __init__(self, recipe: RenderRecipe, seed: int, uri: str) -> None:
        self._recipe, self._seed, self._uri = recipe, seed, uri
        self._anatomy = anatomy_named(recipe.anatomy)
        self._template = template_of(recipe)
        vertices, triangles = len(self._template.vertices), self._template.triangles
        self._blender = Blender(recipe.engine, self._anatomy.size, vertices, triangles)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The manifest entry of the shard of work `row` (a ShardJob's fields), and "error": None or why it failed."""
        job = ShardJob(**{name: int(row[name]) for name in ("index", "first_id", "rows")})
        try:
            with threadpool_limits(1):  # the same bits on any machine of a family need one thread
                entry = self.make(job)
        except BlenderFailed as error:
            return {"index": job.index, "rows": 0, "error": str(error)}
        return {"index": job.index, "rows": entry.rows, "error": None}

    def make(self, job: ShardJob) -> Shard:
        """Render and write one shard. A shard that lies there complete, of this recipe and seed, is left alone."""
        footer = footer_of(self._recipe, self._seed)
        present = read_shard_entry(self._uri, job.index)
        if present is not None and is_done(present, job, footer):
            return present[0]
        extra = {
            "synthmark.parameters": json.dumps(parameter_names(self._recipe, self._template)),
            "synthmark.joints": json.dumps(joint_names(self._template)),
        }
        return write_shard(self.samples(job), self._uri, job.index, {**footer, **extra})

    def samples(self, job: ShardJob) -> Samples:
        """The rendered and labelled samples of a job.

        Figures are rendered in whole groups of consecutive ids, whatever the job's end, so that the place of a
        figure in its render call, and with it every bit, depends on its id alone.
        """
        ids = np.arange(job.first_id, job.first_id + job.rows)
        whole = range(job.first_id, job.first_id + -(-job.rows // GROUP) * GROUP)
        framed = [draw(self._recipe, self._template, self._seed, sample_id) for sample_id in whole]
        groups = [self._render(framed[i : i + GROUP], job.first_id + i) for i in range(0, len(framed), GROUP)]
        return self._label(ids, framed[: job.rows], np.concatenate(groups)[: job.rows])

    def _render(self, group: list[Framed], first_id: int) -> NDArray[np.float32]:
        vertices = np.stack([figure.vertices for figure in group])
        reasons = []
        for _ in range(ATTEMPTS):
            try:
                return self._blender.render(vertices)
            except BlenderFailed as error:
                reasons.append(str(error))
                self._blender.close()
        raise BlenderFailed(f"samples {first_id} to {first_id + len(group) - 1}: Blender {'; then '.join(reasons)}")

    def _label(self, ids: NDArray[np.int64], framed: list[Framed], depth_mm: NDArray[np.float32]) -> Samples:
        silhouettes = depth_mm > 0
        landmarks = np.stack([figure.landmarks for figure in framed])
        seen = zip(landmarks, silhouettes, depth_mm, strict=True)
        return Samples(
            sample_id=ids.astype(np.int64),
            packed=pack_silhouettes(silhouettes),
            depth_mm=depth_mm,
            landmarks=landmarks,
            visible=np.stack([visibility(points, mask, depth, self._anatomy) for points, mask, depth in seen]),
            pixel_mm=np.stack([figure.pixel_mm for figure in framed]),
            parameters=np.array([list(figure.figure.parameters.values()) for figure in framed], np.float32),
            joints=np.stack([figure.figure.joints for figure in framed]),
        )


def footer_of(recipe: RenderRecipe, seed: int) -> dict[str, str]:
    """What a shard's footer says of where it comes from."""
    return {
        "synthmark.anatomy": recipe.anatomy,
        "synthmark.recipe_hash": recipe_hash(recipe.as_dict()),
        "synthmark.seed": str(seed),
    }


def is_done(present: tuple[Shard, dict[str, str]], job: ShardJob, footer: dict[str, str]) -> bool:
    """Whether a shard on disk is the one the job asks for. Raises ValueError where it is of another recipe or seed."""
    entry, found = present
    for key, value in footer.items():
        if found.get(key) != value:
            name = key.removeprefix("synthmark.").replace("_", " ")
            raise ValueError(
                f"{entry.name} is of another run: its {name} is {found.get(key)}, not {value}; choose another --out"
            )
    return entry.first_id == job.first_id and entry.rows == job.rows
