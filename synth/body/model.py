"""One posed body: from its parameters alone, or drawn until no limb reaches into another part."""

import numpy as np

from synth.body.collision import collisions
from synth.body.flesh import Flesh
from synth.body.pose import LIMBS, BodyPose, lay_limbs, pose_body, sample_again, sample_body_pose, settled
from synth.body.proportions import rest_body
from synth.body.trunk import lie_down
from synth.mesh import Array, Parameters, Posed, skin, stored
from synth.skeleton import Skeleton
from synth.template import Template

VIEW = np.array([[1000.0, 0, 0], [0, 0, -1000.0], [0, 1000.0, 0]])  # seen from the front, head up
TRIES = 16  # poses drawn at most; after that the one whose limbs reach in least is taken


def body_of(template: Template, parameters: Parameters) -> Posed:
    """The supine body with these shape and pose parameters."""
    rest, heads = rest_body(template, parameters)
    return _skinned(rest, heads, *pose_body(template, rest, heads, parameters))


def sample_body(
    pose: BodyPose, template: Template, person: Parameters, rng: np.random.Generator
) -> tuple[Posed, Parameters]:
    """(posed body, its parameters) of a person in a pose drawn with `rng`.

    Where limbs reach into other parts (see collision.py), those limbs alone are drawn again: places stay as drawn.
    """
    rest, heads = rest_body(template, person)
    parameters = person | stored(sample_body_pose(pose, rng))
    lying = lie_down(template, rest, heads, parameters)
    turned = lay_limbs(lying, parameters, LIMBS)
    best: tuple[float, Skeleton, Parameters] | None = None
    for left in reversed(range(TRIES)):
        skeleton = settled(lying, turned)
        excess = collisions(lying, skeleton, parameters)
        if best is None or sum(excess.values()) < best[0]:
            best = sum(excess.values()), skeleton, parameters
        if best[0] == 0 or left == 0:
            break
        limbs = [limb for limb, depth in excess.items() if depth > 0]
        parameters = parameters | stored(sample_again(pose, parameters, limbs, rng))
        turned = turned | lay_limbs(lying, parameters, limbs)
    assert best is not None
    _, skeleton, parameters = best
    return _skinned(rest, heads, skeleton, lying.flesh), parameters


def _skinned(rest: Array, heads: Array, skeleton: Skeleton, flesh: Flesh) -> Posed:
    template = skeleton.template
    rotations, positions = skeleton.rotations.astype(np.float32), skeleton.positions.astype(np.float32)
    vertices = flesh.settle(template, skin(template, rest, heads, rotations, positions), rotations)
    return Posed(vertices=vertices, rotations=rotations, positions=positions, rest=rest, heads=heads, view=VIEW)
