"""Local shape changes that no rendering uses, put on a posed mesh: what makes a virtual patient's shape foreign.

The changes are the body model's own, as its artists made them; the template keeps them apart from the generator's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.hand.rig import hand_frame
from synth.mesh import Array, Posed
from synth.template import Template, load_arrays

_OF_HAND = ("l-hand", "l-lowerarm")


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """Displacements in metres, in the axes of a rest mesh: shapes (C, 2, V, 3) and head_shapes (C, 2, J, 3), for +1 and
    -1 of each change; changes: their names."""

    changes: tuple[str, ...]
    shapes: Array
    head_shapes: Array


@lru_cache(maxsize=2)
def held_out_of(template: Template, base: str) -> HeldOut:
    """The held-out changes of a "hand" or "body" template."""
    arrays = load_arrays("held-out")
    names = arrays["changes"].tolist()
    rows = [i for i, name in enumerate(names) if base == "body" or name.startswith(_OF_HAND)]
    shapes, heads = arrays["shapes"][rows][:, :, template.original], arrays["head_shapes"][rows]
    if base == "hand":  # a hand's rest mesh lies in hand axes
        frame = hand_frame(template, template.heads.astype(np.float64)).astype(np.float32)
        shapes, heads = shapes @ frame.T, heads @ frame.T
        heads = heads - heads[:, :, [template.bone("wrist.L")]]
    return HeldOut(changes=tuple(names[i] for i in rows), shapes=shapes, head_shapes=heads)


def sample_changes(held_out: HeldOut, deviation: float, rng: np.random.Generator) -> dict[str, float]:
    """How much of each change, normal and cut at ± 1; both sides of a body share three quarters of it."""
    common = {name[2:]: rng.normal() for name in held_out.changes if name.startswith("l-")}
    drawn = {}
    for name in held_out.changes:
        own = rng.normal()
        mixed = 0.866 * common[name[2:]] + 0.5 * own if name[2:] in common else own
        drawn[name] = float(np.float32(np.clip(deviation * mixed, -1, 1)))
    return drawn


def change(template: Template, held_out: HeldOut, posed: Posed, amounts: Mapping[str, float]) -> Posed:
    """The posed mesh with these amounts of the changes, which turn with the skin; joints move along."""
    given = np.array([amounts[name] for name in held_out.changes], np.float32)
    signed = np.stack([np.maximum(given, 0), np.maximum(-given, 0)], axis=1)
    offsets = np.einsum("cs,csva->va", signed, held_out.shapes)
    head_offsets = np.einsum("cs,csja->ja", signed, held_out.head_shapes)
    turned = _blend(template, posed.rotations)
    return replace(
        posed,
        vertices=posed.vertices + np.einsum("vab,vb->va", turned, offsets),
        positions=posed.positions + np.einsum("jab,jb->ja", posed.rotations, head_offsets),
        rest=posed.rest + offsets,
        heads=posed.heads + head_offsets,
    )


def _blend(template: Template, rotations: Array) -> NDArray[np.float32]:
    """(V, 3, 3) how the skin turns, from its bones' rotations (J, 3, 3)."""
    return np.asarray((template.sparse_weights @ rotations.reshape(-1, 9)).reshape(-1, 3, 3), np.float32)
