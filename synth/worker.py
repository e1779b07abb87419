"""One row of work = one shard: draw its figures, have Blender render them, label and store them.

A figure on which Blender fails again and again (supervisor.py) is quarantined: its row stays in the shard and shows
nothing.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from synth.domain.anatomy import OUTSIDE, anatomy_named, visibility
from synth.domain.schema import Samples, pack_silhouettes, stored_depth
from synth.domain.shards import VERSIONS, Shard, read_shard_entry, recipe_hash, write_shard
from synth.figure import GROUP, Framed, RenderRecipe, draw_several, joint_names, parameter_names, template_of
from synth.ledger import GivenUp, begin, close, record
from synth.supervisor import Blender, BlenderFailed
from synth.template import Template
from synth.thickness import thickness_mm
from synth.versions import rendering_versions


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


class ShardWorker:
    """Makes shards of one recipe and seed under one URI; called with rows of work by Ray Data (or by a plain loop).

    run: names the driver's run, within which attempts are counted (ledger.py)
    template: the recipe's, where the driver sends it along; else this machine's, built where it has none
    """

    def __init__(
        self, recipe: RenderRecipe, seed: int, uri: str, run: str = "", template: Template | None = None
    ) -> None:
        self._recipe, self._seed, self._uri, self._run = recipe, seed, uri, run
        self._anatomy = anatomy_named(recipe.anatomy)
        self._template = template or template_of(recipe)
        self._versions = json.dumps(rendering_versions(self._template))
        vertices, triangles = len(self._template.vertices), self._template.triangles
        self._blender = Blender(recipe.engine, self._anatomy.size, vertices, triangles)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The manifest entry of the shard of work `row` (a ShardJob's fields), and "error": None or why it failed."""
        job = ShardJob(**{name: int(row[name]) for name in ("index", "first_id", "rows")})
        try:
            with threadpool_limits(1):  # the same bits on any machine of a family need one thread
                entry = self.make(job)
        except (BlenderFailed, GivenUp, OSError) as error:
            return {"index": job.index, "rows": 0, "error": f"shard {job.index}: {error}"}
        return {"index": job.index, "rows": entry.rows, "error": None}

    def make(self, job: ShardJob) -> Shard:
        """Render and write one shard. A shard that lies there complete, of this recipe and seed, is left alone."""
        footer = footer_of(self._recipe, self._seed)
        present = read_shard_entry(self._uri, job.index)
        if present is not None and is_done(present, job, footer):
            return present[0]
        ledger = begin(self._uri, job.index, self._run)
        samples, quarantine = self.render(job)
        record(self._uri, job.index, ledger, quarantine)
        extra = {
            "synthmark.points": json.dumps(self._anatomy.point_names),
            "synthmark.parameters": json.dumps(parameter_names(self._recipe, self._template)),
            "synthmark.joints": json.dumps(joint_names(self._template)),
            VERSIONS: self._versions,
        }
        shard = write_shard(samples, self._uri, job.index, {**footer, **extra})
        close(self._uri, job.index)
        return shard

    def close(self) -> None:
        """End the Blender child; more work starts a fresh one."""
        self._blender.close()

    def samples(self, job: ShardJob) -> Samples:
        """The rendered and labelled samples of a job."""
        return self.render(job)[0]

    def render(self, job: ShardJob) -> tuple[Samples, list[dict[str, Any]]]:
        """The rendered and labelled samples of a job, and the records (ledger.py) of those that are quarantined.

        Figures are rendered in whole groups of consecutive ids, whatever the job's end, so that the place of a
        figure in its render call, and with it every bit, depends on its id alone.
        """
        ids = np.arange(job.first_id, job.first_id + job.rows)
        whole = range(job.first_id, job.first_id + -(-job.rows // GROUP) * GROUP)
        framed = draw_several(self._recipe, self._template, self._seed, whole)
        depth_mm, reasons = [], {}
        for start in range(0, len(framed), GROUP):
            rendered, failed = self._render(framed[start : start + GROUP], job.first_id + start)
            depth_mm.append(rendered)
            reasons.update({start + place: reason for place, reason in failed.items() if start + place < job.rows})
        samples = self._label(ids, framed[: job.rows], np.concatenate(depth_mm)[: job.rows])
        return masked(samples, list(reasons)), [
            self._record(int(ids[row]), framed[row], reason) for row, reason in reasons.items()
        ]

    def _render(self, group: list[Framed], first_id: int) -> tuple[NDArray[np.float32], dict[int, str]]:
        try:
            return self._blender.isolate(np.stack([figure.vertices for figure in group]))
        except BlenderFailed as error:
            raise BlenderFailed(f"samples {first_id} to {first_id + len(group) - 1}: Blender {error}") from error

    def _record(self, sample_id: int, framed: Framed, reason: str) -> dict[str, Any]:
        return {
            "sample_id": sample_id,
            "seed": self._seed,
            "recipe_hash": recipe_hash(self._recipe.as_dict()),
            "reason": reason,
            "parameters": {name: float(value) for name, value in framed.figure.parameters.items()},
        }

    def _label(self, ids: NDArray[np.int64], framed: list[Framed], depth_mm: NDArray[np.float32]) -> Samples:
        silhouettes = depth_mm > 0
        thickness = None
        if self._recipe.thickness:
            size, triangles = self._anatomy.size, self._template.triangles
            through = np.stack([thickness_mm(figure.vertices, triangles, size) for figure in framed])
            thickness = np.where(silhouettes, through, 0)  # a ray along an edge may meet it on one side alone
        landmarks = np.stack([figure.landmarks for figure in framed])
        return Samples(
            sample_id=ids.astype(np.int64),
            packed=pack_silhouettes(silhouettes),
            depth_mm=depth_mm,
            thickness_mm=thickness,
            landmarks=landmarks,
            visible=visibility(landmarks, silhouettes, stored_depth(depth_mm), self._anatomy),
            pixel_mm=np.stack([figure.pixel_mm for figure in framed]),
            points=np.stack([figure.points for figure in framed]),
            parameters=np.array([list(figure.figure.parameters.values()) for figure in framed], np.float32),
            joints=np.stack([figure.figure.joints for figure in framed]),
        )


def masked(samples: Samples, rows: list[int]) -> Samples:
    """The samples with nothing to see or to learn in `rows`: an empty patch, landmarks and points not annotated."""
    if not rows:
        return samples
    packed, landmarks, visible = samples.packed.copy(), samples.landmarks.copy(), samples.visible.copy()
    packed[rows], landmarks[rows], visible[rows] = 0, np.nan, OUTSIDE
    assert samples.depth_mm is not None and samples.points is not None
    depth_mm, points = samples.depth_mm.copy(), samples.points.copy()
    depth_mm[rows], points[rows] = 0, np.nan
    thickness = None if samples.thickness_mm is None else samples.thickness_mm.copy()
    if thickness is not None:
        thickness[rows] = 0
    return replace(
        samples, packed=packed, depth_mm=depth_mm, thickness_mm=thickness, landmarks=landmarks, visible=visible,
        points=points,
    )  # fmt: skip


def footer_of(recipe: RenderRecipe, seed: int) -> dict[str, str]:
    """What a shard's footer says of where it comes from."""
    anatomy = anatomy_named(recipe.anatomy)
    return {
        "synthmark.anatomy": anatomy.name,
        "synthmark.anatomy_hash": recipe_hash(anatomy.as_dict()),
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
