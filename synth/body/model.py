"""Posed bodies: from their parameters alone, or drawn until no limb reaches into another part.

Bodies are posed several at a time, since one by one most of the time would go into calling numpy. Each has the same
bits whatever bodies it is posed with.
"""

from collections.abc import Sequence

import numpy as np

from synth.body.collision import collisions
from synth.body.pose import LIMB_BONES, LIMBS, BodyPose, lay_limbs, sample_again, sample_body_pose, settled
from synth.body.proportions import rest_bodies
from synth.body.surface import SIDES
from synth.body.trunk import Lying, lie_down
from synth.mesh import Parameters, Posed, skin, stored
from synth.skeleton import Skeleton, Vector, rows_of
from synth.template import Template

VIEW = np.array([[1000.0, 0, 0], [0, 0, -1000.0], [0, 1000.0, 0]])  # seen from the front, head up
TRIES = 16  # poses drawn at most; after that the one whose limbs reach in least is taken
_AGAIN = [2, 0, 1]  # the order in which LIMBS are drawn again


def bodies_of(template: Template, bodies: Sequence[Parameters]) -> list[Posed]:
    """The supine bodies with these shape and pose parameters."""
    lying = _lie_down(template, bodies)
    everyone, every = np.arange(len(bodies)), np.ones((len(bodies), len(LIMBS)), bool)
    turned = lay_limbs(lying, everyone, bodies, every, _unturned(len(bodies)))
    return _skinned(lying, settled(lying, everyone, turned))


def sample_bodies(
    pose: BodyPose, template: Template, people: Sequence[Parameters], rngs: Sequence[np.random.Generator]
) -> tuple[list[Posed], list[Parameters]]:
    """(posed bodies, their parameters) of people in poses drawn with `rngs`, one each.

    Where limbs reach into other parts (see collision.py), those limbs alone are drawn again: places stay as drawn.
    """
    drawn = [person | stored(sample_body_pose(pose, rng)) for person, rng in zip(people, rngs, strict=True)]
    lying = _lie_down(template, drawn)
    bodies, again = np.arange(len(people)), np.ones((len(people), len(LIMBS)), bool)
    turned, best_turned = _unturned(len(people)), _unturned(len(people))
    best, least = list(drawn), np.full(len(people), np.inf)
    for tries_left in reversed(range(TRIES)):
        parameters = [drawn[i] for i in bodies]
        turned[bodies] = lay_limbs(lying, bodies, parameters, again, turned[bodies])
        places = np.array([[body[f"arm_place.{side}"] for side in SIDES] for body in parameters])
        excess = collisions(lying, bodies, settled(lying, bodies, turned[bodies]), places)
        total = excess[:, _AGAIN].sum(1)
        for i, depth in zip(bodies, total, strict=True):
            if depth < least[i]:
                best[i], best_turned[i], least[i] = drawn[i], turned[i], depth
        bodies, again = bodies[total > 0], excess[total > 0] > 0
        if len(bodies) == 0 or tries_left == 0:
            break
        for i, reach_in in zip(bodies, again, strict=True):
            limbs = [LIMBS[limb] for limb in _AGAIN if reach_in[limb]]
            drawn[i] = drawn[i] | stored(sample_again(pose, drawn[i], limbs, rngs[i]))
    return _skinned(lying, settled(lying, np.arange(len(people)), best_turned)), best


def _lie_down(template: Template, bodies: Sequence[Parameters]) -> Lying:
    return lie_down(template, *rest_bodies(template, bodies), bodies)


def _unturned(count: int) -> Vector:
    """(N, 2, B, 3, 3) rotations of limbs that are not laid yet."""
    return np.zeros((count, 2, len(LIMB_BONES), 3, 3))


def _skinned(lying: Lying, skeleton: Skeleton) -> list[Posed]:
    template, posed = lying.template, []
    all_heads = skeleton.heads.astype(np.float32)
    all_rotations, all_positions = skeleton.rotations.astype(np.float32), skeleton.positions.astype(np.float32)
    for i, (rest, heads, rotations, positions) in enumerate(
        zip(lying.rest, all_heads, all_rotations, all_positions, strict=True)
    ):
        standing = skin(template, rest, heads, rotations, positions)
        vertices = rows_of(lying.flesh, i).settle(template, standing, rotations)
        posed.append(
            Posed(vertices=vertices, rotations=rotations, positions=positions, rest=rest, heads=heads, view=VIEW)
        )
    return posed
