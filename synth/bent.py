"""Bodies bent or shortened after they were posed: a second skinning, in which bones turn or shrink in place."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synth.mesh import Posed, skin
from synth.template import Template

_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
# Sideways slope of each part of the spine as a share of its steepest, from the pelvis up; what is above stays upright.
CURVES = {"C": (1.0, 0.6, 0.0, -0.6, -1.0), "S": (1.0, -0.3, -1.0, -0.3, 0.8)}
LIMBS = {
    "leg": ("upperleg01", "upperleg02", "lowerleg01", "lowerleg02"),
    "arm": ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02"),
}


def bend_spine(template: Template, posed: Posed, curve: str, slope_rad: float) -> Posed:
    """The body with its spine bent in the frontal plane by a curve of CURVES; slope_rad: the steepest, + to the left.

    Head, arms and legs keep their directions and move with the part of the spine that they hang on.
    """
    maps = np.tile(np.eye(3), (len(template.bones), 1, 1))
    for name, share in zip(_SPINE, CURVES[curve], strict=True):
        sine, cosine = np.sin(slope_rad * share), np.cos(slope_rad * share)
        maps[template.bone(name)] = [[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]
    return _reskin(template, posed, maps)


def shorten(template: Template, posed: Posed, limb: str, side: str, factor: float) -> Posed:
    """The body with one limb ("leg", "arm") of a side ("L", "R") shorter by a factor, but for its foot or hand."""
    maps = np.tile(np.eye(3), (len(template.bones), 1, 1))
    for name in LIMBS[limb]:
        bone = template.bone(f"{name}.{side}")
        axis = (posed.positions[template.parents.index(bone)] - posed.positions[bone]).astype(np.float64)
        axis /= np.linalg.norm(axis)
        maps[bone] -= (1 - factor) * np.outer(axis, axis)
    return _reskin(template, posed, maps)


def _reskin(template: Template, posed: Posed, maps: NDArray[np.float64]) -> Posed:
    """The posed mesh with linear maps (J, 3, 3) on its bones, each about its head, whose children go where it ends."""
    positions = posed.positions.astype(np.float64)
    moved = positions.copy()
    for bone, parent in enumerate(template.parents):  # parents come first
        if parent >= 0:
            moved[bone] = moved[parent] + maps[parent] @ (positions[bone] - positions[parent])
    linear, placed = maps.astype(np.float32), moved.astype(np.float32)
    return replace(
        posed,
        vertices=skin(template, posed.vertices, posed.positions, linear, placed),
        rotations=(maps @ posed.rotations).astype(np.float32),
        positions=placed,
    )
