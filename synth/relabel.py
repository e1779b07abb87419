"""Labels computed anew from the parameters that renderings store: nothing is rendered, and no other column changes."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from synth.domain.anatomy import Anatomy, visibility
from synth.domain.patch import Crop
from synth.domain.schema import from_table, unpack_silhouettes, with_labels
from synth.domain.shards import Manifest, Shard, read_shard_entry, read_table, recipe_hash, write_table
from synth.figure import Framed, figures_of, frame_figure
from synth.mesh import Parameters
from synth.template import Template, load_template
from synth.worker import ShardJob, is_done

CHECKED_ROWS = 16  # of every shard, whose old landmarks are computed too: another body model differs in all rows
TOLERANCE = 0.05  # px and mm; another processor's arithmetic differs by less than a thousandth


@dataclass(frozen=True, kw_only=True)
class Relabelling:
    """The dataset `uri` with its manifest, the anatomy whose landmarks it shall have, and where the new one goes."""

    uri: str
    manifest: Manifest
    anatomy: Anatomy
    out: str

    def __post_init__(self) -> None:
        if self.manifest.kind != "renderings":
            raise ValueError(
                f"{self.uri} holds a study, whose landmarks are annotated; give renderings made by render.py"
            )
        if (self.anatomy.base, self.anatomy.size) != (self.manifest.anatomy.base, self.manifest.anatomy.size):
            base = self.manifest.anatomy.base
            raise ValueError(f"{self.uri} shows a {base}; {self.anatomy.name} is for a {self.anatomy.base}")

    @property
    def footer(self) -> dict[str, str]:
        """What the footers of new shards say of where they come from."""
        return {
            "synthmark.anatomy": self.anatomy.name,
            "synthmark.anatomy_hash": recipe_hash(self.anatomy.as_dict()),
            "synthmark.source_digest": self.manifest.digest,
        }

    def new_manifest(self, shards: list[Shard]) -> Manifest:
        """The manifest of the new dataset, which says where it comes from."""
        old = self.manifest
        source = {"uri": self.uri, "digest": old.digest, "anatomy": old.anatomy.name}
        return replace(old, anatomy=self.anatomy, shards=tuple(shards), source=source)


def relabel_shard(work: Relabelling, index: int) -> Shard:
    """Write one shard with new landmarks, visibility and points; one that lies there already is left alone.

    Raises: ValueError where the old landmarks cannot be computed from the stored parameters.
    """
    shard = work.manifest.shards[index]
    job = ShardJob(index=index, first_id=shard.first_id, rows=shard.rows)
    present = read_shard_entry(work.out, index)
    if present is not None and is_done(present, job, work.footer):
        return present[0]
    table, footer = read_table(work.uri, shard)
    old = from_table(table, work.manifest.anatomy)
    if old.depth_mm is None or "synthmark.parameters" not in footer:
        raise ValueError(f"{work.uri}/{shard.name} stores no depth or parameters; render it again")
    names = json.loads(footer["synthmark.parameters"])
    rows = [dict(zip(names, map(float, values), strict=True)) for values in old.parameters]
    with threadpool_limits(1):  # as when they were rendered: the same bits
        _check(work, rows[:CHECKED_ROWS], old.landmarks[:CHECKED_ROWS], shard.name)
        framed = _framed(work, work.anatomy, rows)
    landmarks = np.stack([figure.landmarks for figure in framed])
    points = np.stack([figure.points for figure in framed])
    quarantined = np.isnan(old.landmarks).all((1, 2))  # they show nothing, and stay so
    landmarks[quarantined] = points[quarantined] = np.nan
    silhouettes = unpack_silhouettes(old.packed, work.anatomy.size)
    visible = visibility(landmarks, silhouettes, old.depth_mm, work.anatomy)
    labels = {**work.footer, "synthmark.points": json.dumps(work.anatomy.point_names)}
    return write_table(with_labels(table, landmarks, visible, points), work.out, index, {**footer, **labels})


def _check(work: Relabelling, rows: list[Parameters], stored: NDArray[np.float32], name: str) -> None:
    """Raise ValueError where the old landmarks of these rows are not the stored ones."""
    known = np.stack([figure.landmarks for figure in _framed(work, work.manifest.anatomy, rows)])
    shown = ~np.isnan(stored).all((1, 2))
    apart = float(np.abs(known - stored)[shown].max(initial=0.0))
    if not apart <= TOLERANCE:
        raise ValueError(
            f"{work.uri}/{name}: its landmarks, computed anew, lie up to {apart:.2f} from the stored ones; it was made "
            "with another body template or by another version; render it again"
        )


def _framed(work: Relabelling, anatomy: Anatomy, rows: list[Parameters]) -> list[Framed]:
    crop = Crop(**work.manifest.recipe["crop"])
    template = _template(anatomy.base)
    try:
        return [frame_figure(crop, figure, anatomy) for figure in figures_of(anatomy, template, rows)]
    except KeyError as error:
        raise ValueError(
            f"{work.uri} stores no parameter {error}: it was made by another version; render it again"
        ) from error


@lru_cache(maxsize=1)
def _template(base: str) -> Template:
    return load_template(base)  # once a process, not once a shard
