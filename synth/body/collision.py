"""How deep limbs of a posed body reach into other parts of it, from thinned skins and without the whole mesh.

A limb's skin point reaches into trunk, head or thighs by how far it lies behind their skin, measured along the normal
of the nearest skin point: the distance to the surface, to within what the skin curves over CELL_M. Into the other arm
or leg, which are too thin for that, it reaches by how far it lies within tapered rods between the joints.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from synth.body.arms import HIP
from synth.body.surface import Surface, surface_of
from synth.body.trunk import Lying
from synth.mesh import Array, Parameters
from synth.skeleton import Skeleton, Vector
from synth.template import Template

DEPTH_MM = 15.0  # a limb pressed into soft tissue; deeper and the pose is drawn again
HIP_DEPTH_MM = 30.0  # a hand under the hip lifts flesh that is not moved here
MARGIN_M = 0.06  # skin farther than this from a limb is not looked at

SKINS = [
    ("trunk", ""),
    ("head", ""),
    *((part, side) for side in ("L", "R") for part in ("upperarm", "arm", "thigh", "leg")),
]
ARM = ("lowerarm01", "wrist", "finger3-1", "finger3-3")  # joints of a limb as a chain of tapered rods
LEG = ("lowerleg01", "foot", "toe3-1")
HAND_M = (0.020, 0.010)  # radius at the knuckles and at the last joint of a finger
FOOT_M = (0.036, 0.020)  # at the ankle and at the ball of the foot


def collisions(lying: Lying, skeleton: Skeleton, parameters: Parameters) -> dict[str, float]:
    """Depth (mm) of the left arm ("L"), the right arm ("R") and the legs ("legs") beyond what is allowed; 0: none."""
    template = lying.template
    surface, parts = _all_skins(template)
    points, normals = surface.pose(template, lying.rest, skeleton)
    points = lying.flesh.settle(template, points, skeleton.rotations.astype(np.float32), surface.index)
    body = np.concatenate([parts[name] for name in ("trunk", "head", "thighL", "thighR")])

    def chain(names: tuple[str, ...]) -> Vector:
        return skeleton.positions[[template.bone(f"{name}.R") for name in names]]

    arm, leg = lying.arms["R"], lying.legs["R"]
    crossing = _depth_in_rods(points[parts["armL"]], chain(ARM), np.array([arm.elbow, arm.wrist, *HAND_M]))
    legs = _depth_in_rods(points[parts["legL"]], chain(LEG), np.array([leg.knee, *FOOT_M]))
    excess = {"legs": max(0.0, legs - DEPTH_MM)}
    for side in ("L", "R"):
        allowed = HIP_DEPTH_MM if parameters[f"arm_place.{side}"] == HIP else DEPTH_MM
        own = points[np.concatenate([parts[f"arm{side}"], parts[f"upperarm{side}"]])]
        excess[side] = max(0.0, _depth_mm(own, points[body], normals[body]) - allowed, crossing - DEPTH_MM)
    return excess


def _depth_in_rods(points: Array, joints: Vector, radii: Vector) -> float:
    """How deep (mm) the deepest of (N, 3) points lies in tapered rods between (M, 3) joints of (M,) radii (m)."""
    starts, along = joints[:-1], np.diff(joints, axis=0)
    offset = points[:, None] - starts
    share = np.clip(np.einsum("nma,ma->nm", offset, along) / (along**2).sum(1), 0, 1)
    apart = np.linalg.norm(offset - share[:, :, None] * along, axis=2)
    return float(1000 * (radii[:-1] + share * np.diff(radii) - apart).max())


def _depth_mm(points: Array, wall: Array, normals: Array) -> float:
    """How deep (mm) the deepest of `points` lies behind the skin `wall` with outward `normals`."""
    chosen = ((wall > points.min(0) - MARGIN_M) & (wall < points.max(0) + MARGIN_M)).all(1)
    near, outwards = wall[chosen], normals[chosen]
    if len(near) == 0:
        return 0.0
    squares = (near**2).sum(1) - 2 * points @ near.T
    nearest = squares.argmin(1)
    offset = points - near[nearest]
    behind = -np.einsum("na,na->n", offset, outwards[nearest])
    return float(1000 * behind.max(initial=0.0))


@cache
def _all_skins(template: Template) -> tuple[Surface, dict[str, NDArray[np.intp]]]:
    """The thinned skins of all parts as one, and where in it each lies."""
    skins = [surface_of(template, part, side) for part, side in SKINS]
    ends = np.cumsum([0] + [len(skin.index) for skin in skins])
    parts = {f"{part}{side}": np.arange(*ends[i : i + 2]) for i, (part, side) in enumerate(SKINS)}
    whole = Surface(
        index=np.concatenate([skin.index for skin in skins]),
        weights=sparse.vstack([skin.weights for skin in skins]).tocsr(),
        normals=np.concatenate([skin.normals for skin in skins]),
        bone=np.concatenate([skin.bone for skin in skins]),
    )
    return whole, parts
