"""How deep limbs of posed bodies reach into other parts of them, from thinned skins and without the whole mesh.

A limb's skin point reaches into trunk, head or thighs by how far it lies behind their skin, measured along the normal
of the nearest skin point: the distance to the surface, to within what the skin curves over CELL_M. Into the other arm
or leg, which are too thin for that, it reaches by how far it lies within tapered rods between the joints.
"""

import numpy as np

from synth.body.arms import HIP
from synth.body.rig import bones_of
from synth.body.surface import SIDES, Surface, surfaces_of
from synth.body.trunk import Lying
from synth.mesh import Array
from synth.skeleton import Rows, Skeleton, Vector, dot, rows_of, turn

DEPTH_MM = 15.0  # a limb pressed into soft tissue; deeper and the pose is drawn again
HIP_DEPTH_MM = 30.0  # a hand under the hip lifts flesh that is not moved here
MARGIN_M = 0.06  # skin farther than this from a limb is not looked at

CORE = (("trunk", ""), ("head", ""), ("thigh", "L"), ("thigh", "R"))
SKINS = (*CORE, *((part, side) for side in SIDES for part in ("arm", "upperarm")), ("leg", "L"))
ARM = ("lowerarm01", "wrist", "finger3-1", "finger3-3")  # joints of a limb as a chain of tapered rods
LEG = ("lowerleg01", "foot", "toe3-1")
HAND_M = (0.020, 0.010)  # radius at the knuckles and at the last joint of a finger
FOOT_M = (0.036, 0.020)  # at the ankle and at the ball of the foot


def collisions(lying: Lying, bodies: Rows, skeleton: Skeleton, arm_places: Vector) -> Vector:
    """(N, 3) depth (mm) of left arm, right arm and legs beyond what is allowed, 0: none, of some `bodies` (N,) whose
    arms lie at `arm_places` (N, 2)."""
    surface, parts = surfaces_of(lying.template, SKINS)
    points = surface.pose(lying.rest[bodies[:, None], surface.index], skeleton)
    flesh = rows_of(lying.flesh, bodies)
    points = flesh.settle(lying.template, points, skeleton.rotations.astype(np.float32), surface.index)
    planes = np.ascontiguousarray(points.swapaxes(1, 2))  # the same layout for one body and for many: the same bits
    arm_joints, leg_joints = (skeleton.positions[:, bones_of(lying.template, names)[1]] for names in (ARM, LEG))
    right = 2 * bodies + 1
    arm_radii = _radii([lying.arms.elbow[right], lying.arms.wrist[right]], HAND_M)
    crossing = _depth_in_rods(planes[..., parts["armL"]], arm_joints, arm_radii)
    legs = _depth_in_rods(planes[..., parts["legL"]], leg_joints, _radii([lying.legs.knee[right]], FOOT_M))
    core = slice(0, parts["thighR"].stop)
    depth = np.empty((len(bodies), 2))
    for limb, side in enumerate(SIDES):
        own = slice(parts[f"arm{side}"].start, parts[f"upperarm{side}"].stop)
        for i, (skin, rotations) in enumerate(zip(planes, skeleton.rotations, strict=True)):
            depth[i, limb] = _depth_mm(skin[:, own], skin[:, core], surface, rotations)
    allowed = np.where(arm_places == HIP, HIP_DEPTH_MM, DEPTH_MM)
    arms = np.maximum(depth - allowed, crossing[:, None] - DEPTH_MM)
    return np.asarray(np.maximum(np.concatenate([arms, legs[:, None] - DEPTH_MM], axis=1), 0.0))


def _radii(measured: list[Vector], usual: tuple[float, ...]) -> Vector:
    """(N, B) radii (m) of a limb's joints: some as measured (N,), the others alike in all bodies."""
    return np.stack([*measured, *(np.full_like(measured[0], radius) for radius in usual)], axis=1)


def _depth_in_rods(points: Array, joints: Vector, radii: Vector) -> Vector:
    """(N,) how deep (mm) the deepest of points (N, 3, P) lies in tapered rods between joints (N, B, 3) of
    radii (N, B) (m)."""
    starts, along = joints[:, :-1, :, None], np.diff(joints, axis=1)[..., None]
    offset = points[:, None] - starts  # (N, B - 1, 3, P)
    share = np.clip((offset * along).sum(2) / (along**2).sum(2), 0, 1)
    apart = np.sqrt(((offset - share[:, :, None] * along) ** 2).sum(2))
    radius = radii[:, :-1, None] + share * np.diff(radii, axis=1)[:, :, None]
    return np.asarray(1000 * (radius - apart).max((1, 2)))


def _depth_mm(points: Array, wall: Array, surface: Surface, rotations: Vector) -> float:
    """How deep (mm) the deepest of points (3, P) lies behind the skin wall (3, W), the first W points of `surface`.

    For each body by itself: little of its skin is near, another part in each, and distances to all of it cost more.
    """
    low, high = points.min(1, keepdims=True) - MARGIN_M, points.max(1, keepdims=True) + MARGIN_M
    chosen = np.flatnonzero(((wall > low) & (wall < high)).all(0))
    if len(chosen) == 0:
        return 0.0
    near = wall[:, chosen]
    nearest = ((near**2).sum(0) - 2 * points.T @ near).argmin(1)
    met = chosen[nearest]
    outwards = turn(rotations[surface.bone[met]], surface.normals[met])
    return float(-1000 * dot(points.T - near.T[nearest], outwards).min(initial=0.0))
