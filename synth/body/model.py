"""One posed body, from its parameters alone."""

import numpy as np

from synth.body.pose import pose_body
from synth.body.proportions import proportion_body
from synth.mesh import Parameters, Posed, rest_mesh, skin
from synth.template import Template

VIEW = np.array([[1000.0, 0, 0], [0, 0, -1000.0], [0, 1000.0, 0]])  # seen from the front, head up


def body_of(template: Template, parameters: Parameters) -> Posed:
    """The supine body with these shape and pose parameters."""
    rest, heads = proportion_body(template, *rest_mesh(template, parameters), parameters)
    skeleton = pose_body(template, heads, parameters)
    rotations, positions = skeleton.rotations.astype(np.float32), skeleton.positions.astype(np.float32)
    vertices = skin(template, rest, heads, rotations, positions)
    return Posed(vertices=vertices, rotations=rotations, positions=positions, rest=rest, heads=heads, view=VIEW)
