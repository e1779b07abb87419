"""Which points of a body are made, in an order in which all that moves with an arm, the trunk or a leg is one run."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from synth.body.blend import Blend
from synth.body.plan import ARM, LEG, plan_of
from synth.mesh import ANCHORS, Array, rest_mesh
from synth.template import Template

Indices = NDArray[np.intp]
_SAME = 1.5e-6  # metres, or shares of skin: far from all that there is, 0.7e-6 below and 2.6e-6 above
_HEAD_M = 0.03  # what lies so far above the skull's joint in the average person lies above it in everybody


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """The points of a template: its V vertices, then its J joints, P in all. Q of them are made, see `blend`: a vertex
    on the right whose mirror image is a vertex is not, as people are symmetric. Right is folded onto left.

    back (P,): where each point, or its image, lies among those made; side (P,): +1 or -1, the sign of its x.
    arms, trunk, legs: runs of points that move with these, they overlap; rising: all but those of the arms alone.
    arm, leg: shares that the limbs have in the points of `arms` and `legs`; flesh (Q,): 1 vertices, 0 joints, which
    do not widen. joints: named ones; soles, crown: where stature is found; all among the points made.
    """

    blend: Blend
    num_vertices: int
    back: Indices
    side: Array
    arms: slice
    trunk: slice
    legs: slice
    rising: slice
    arm: Array
    leg: Array
    flesh: Array
    joints: dict[str, int]
    soles: Indices
    crown: Indices


@lru_cache(maxsize=8)
def layout_of(template: Template) -> Layout:
    """The layout of a body template."""
    plan, count = plan_of(template), len(template.vertices)
    arm, leg = (
        np.concatenate([skin, [float(name.startswith(names)) for name in template.bones]]).astype(np.float32)
        for skin, names in ((plan.arm, (*ARM, "shoulder")), (plan.leg, LEG))
    )
    start = np.concatenate([template.vertices, template.heads])
    side = np.where(start[:, 0] < 0, -1, 1).astype(np.float32)
    left, made = _mirrored(template, arm, leg)
    run = np.select([arm == 1, arm > 0, leg == 1, leg > 0, _stiff(template)], [0, 1, 4, 3, 5], 2)
    order = made[np.argsort(run[made], kind="stable")]
    place = np.empty(len(start), np.intp)
    place[order] = np.arange(len(order))
    place = place[left]
    ends = np.searchsorted(run[order], np.arange(6), side="right").tolist()
    arms, trunk, legs = slice(0, ends[1]), slice(ends[0], ends[3]), slice(ends[2], ends[4])
    return Layout(
        blend=Blend(template=template, index=order, side=side[order]),
        num_vertices=count,
        back=place,
        side=side,
        arms=arms,
        trunk=trunk,
        legs=legs,
        rising=slice(ends[0], None),
        arm=arm[order][arms],
        leg=leg[order][legs],
        flesh=(order < count).astype(np.float32),
        joints={name: int(place[count + bone]) for name, bone in plan.bones.items()},
        soles=np.unique(place[plan.soles]),
        crown=np.unique(place[plan.crown]),
    )


def _mirrored(template: Template, *shares: Array) -> tuple[Indices, Indices]:
    """((P,) the point that stands for each point, itself or its mirror image on the left; (Q,) those that do).

    An image has the same shares of limbs (P,), and is one in everybody: a few vertices of the model are not symmetric.
    """
    vertices = template.vertices.astype(np.float64)
    image = cKDTree(vertices).query(vertices * [-1, 1, 1])[1]
    right = vertices[:, 0] < 0
    for share in shares:
        right &= np.abs(share[image] - share[: len(image)]) < _SAME
    plain = {"gender": 0.3, "height": 0.3, "proportions": 0.7}  # a part of all that the model mixes
    halves = [[(low + high) / 2 for low, high in pairwise(ANCHORS[name])] for name in ("age", "muscle", "weight")]
    for age, muscle, weight, change in product(*halves, (-0.5, 0.5)):
        person = plain | {"age": age, "muscle": muscle, "weight": weight} | dict.fromkeys(template.changes, change)
        middle, _ = rest_mesh(template, person)
        right &= (np.abs(middle[image] * [-1, 1, 1] - middle) < _SAME).all(1)
    stands = np.arange(len(vertices) + len(template.heads))
    stands[: len(vertices)][right] = image[right]
    return stands, np.unique(stands)


def _stiff(template: Template) -> NDArray[np.bool_]:
    """(P,) which points of trunk and head never widen: joints, and the skin of the head."""
    middle, heads = rest_mesh(template, {"age": 0.75})
    head = middle[:, 2] > heads[plan_of(template).bones["skull"], 2] + _HEAD_M
    return np.concatenate([head, np.ones(len(heads), bool)])
