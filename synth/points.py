"""Landmarks on a posed mesh, as the anatomy defines them."""

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy, Landmark
from synth.mesh import Array, Posed
from synth.template import Template


def landmarks_of(template: Template, anatomy: Anatomy, posed: Posed) -> Array:
    """(K, 3) float32 landmarks of a posed mesh, in its own units and axes (z up)."""
    dominant = template.weights.argmax(1)
    return np.array([_landmark(template, mark, dominant, posed) for mark in anatomy.landmarks], np.float32)


def _landmark(template: Template, mark: Landmark, dominant: NDArray[np.intp], posed: Posed) -> Array:
    if mark.kind == "summit":
        crown = posed.vertices[dominant == template.bone("head")]
        return np.asarray(crown[crown[:, 2].argmax()])
    bone = template.bone(mark.bone)
    if mark.kind == "joint":
        child = template.parents.index(bone)
        return np.asarray(posed.positions[bone] + mark.along * (posed.positions[child] - posed.positions[bone]))
    own = dominant == bone
    axis = posed.rotations[bone] @ (posed.rest[own].mean(0) - posed.heads[bone])
    skin = posed.vertices[own]
    return np.asarray(skin[(skin @ axis).argmax()])
