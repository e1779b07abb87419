"""The trunk of lying bodies: bent, rolled and leant back until it lies, with head, shoulder girdle and couch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from synth.body.angles import Angles, arm_angles, trunk_angles
from synth.body.arms import UP
from synth.body.couch import Couch
from synth.body.flesh import Flesh, flesh_of
from synth.body.rig import LEG, ArmRig, LegRig, arm_rigs, bones_of, leg_rigs
from synth.body.surface import surface_of
from synth.mesh import Array, Parameters
from synth.skeleton import Skeleton, Vector, about, settle, turn
from synth.template import Template

FRONT = -0.35  # y of the normal of skin that counts as the trunk's front
UPPER_THIGH_M = 0.15  # below the hip joint, within which hips are broadest
MAX_LEAN_RAD = 0.14  # how far the trunk leans back at most, until shoulder blades and buttocks both lie
ALONG_SPINE = np.array([0.25, 0.5, 0.75, 1.0])  # of a bend or turn that four bones share
TRUNK = ("root", "spine04", "spine03", "spine02", "spine01", "neck01", "neck02", "neck03", "head")
_UPPER_SPINE = TRUNK.index("spine01")
_X, _Y, _Z = np.eye(3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lying:
    """N people, rest (N, V, 3) and heads (N, J, 3), whose trunk and head lie in their pose.

    turned (N, 9, 3, 3): absolute rotations of the bones of TRUNK; spine (N, 3): where the spine ends and the girdle
    begins; arms, legs: 2 N of each; chest, pelvis (N, 3, 3): frames of the couch along either; middle (N,): x of the
    pelvis along it.
    """

    template: Template
    rest: Array
    heads: Vector
    turned: Vector
    spine: Vector
    arms: ArmRig
    legs: LegRig
    chest: Vector
    pelvis: Vector
    middle: Vector
    couch: Couch
    flesh: Flesh


@cache
def trunk_bones(template: Template) -> tuple[int, ...]:
    """The bones of TRUNK."""
    return tuple(template.bone(name) for name in TRUNK)


def lie_down(template: Template, rest: Array, heads: Array, bodies: Sequence[Parameters]) -> Lying:
    """The people, rest (N, V, 3) and heads (N, J, 3), with trunk and head in the poses of these parameters, on couches
    that take them."""
    joints = heads.astype(np.float64)
    a = trunk_angles(bodies)
    turned = _turn_trunk(template, rest, a)
    skeleton = settle(template, joints, trunk_bones(template), turned)
    chest, pelvis = about(_Y, a["yaw"] + a["bend"]), about(_Y, a["yaw"])
    couch, flesh = _find_couch(template, skeleton, rest, chest, bodies)
    hips = skeleton.positions[:, bones_of(template, LEG)[:, 0]]
    hips = turn(pelvis.swapaxes(1, 2)[:, None], hips).reshape(-1, 3)
    root = skeleton.positions[:, template.bone("root")]
    return Lying(
        template=template,
        rest=rest,
        heads=joints,
        turned=turned,
        spine=skeleton.positions[:, template.bone("spine01")],
        arms=arm_rigs(template, rest, joints, arm_angles(bodies)["curl"]),
        legs=leg_rigs(template, rest, joints, hips),
        chest=chest,
        pelvis=pelvis,
        middle=turn(pelvis.swapaxes(1, 2), root)[:, 0],
        couch=couch,
        flesh=flesh,
    )


def turn_girdle(lying: Lying, rig: ArmRig, a: Angles) -> tuple[Vector, Vector]:
    """(rotations (M, 2, 3, 3) of clavicle and shoulder blade, position (M, 3) of the shoulder joint) of some arms.

    An arm that is raised lifts the girdle by a third of what it is raised above 30 degrees (Inman et al. 1944), in
    equal parts at the clavicle's two ends. The upper arm is aimed, so it turns back by as much as the girdle rises.
    """
    above = np.maximum(0.0, a["arm_abduction"] - np.deg2rad(30)) / 3
    raised = np.where(a["arm_place"] == UP, above, 0.0)
    spine = lying.turned[rig.body, _UPPER_SPINE]
    forwards = spine @ about(_Z, -rig.sign * a["protraction"])
    rises = a["clavicle"][:, None] + raised[:, None] * [0.5, 1.0]
    girdle = forwards[:, None] @ about(_Y, -rig.sign[:, None] * rises)
    steps = turn(np.concatenate([spine[:, None], girdle], axis=1), rig.girdle)
    return girdle, lying.spine[rig.body] + steps[:, 0] + steps[:, 1] + steps[:, 2]


def _turn_trunk(template: Template, rest: Array, a: Angles) -> Vector:
    """(N, 9, 3, 3) absolute rotations of TRUNK; bends and turns are spread over the spine, and over neck and head."""

    def shared(name: str) -> Vector:
        return np.asarray(a[name][:, None] * ALONG_SPINE)

    trunk = about(_Y, a["yaw"]) @ about(_Z, a["roll"]) @ about(_X, -_lean(template, rest))
    spine = trunk[:, None] @ about(_Y, shared("bend"))
    nods = about(_Y, shared("head_tilt")) @ about(_X, shared("head_flexion")) @ about(_Z, shared("head_turn"))
    return np.concatenate([trunk[:, None], spine, np.asarray(spine[:, -1:] @ nods)], axis=1)


def _lean(template: Template, rest: Array) -> Vector:
    """(N,) angle (rad) by which the trunk leans back until its upper half touches the couch as its lower half does."""
    y, z = rest[:, surface_of(template, "trunk").index, 1:].transpose(2, 0, 1)
    upper = z > (z.min(1) + z.max(1))[:, None] / 2
    row = np.arange(len(rest))
    low, high = (np.where(half, y, -np.inf).argmax(1) for half in (~upper, upper))
    lean = np.arctan2(y[row, low] - y[row, high], z[row, high] - z[row, low])
    return np.asarray(np.clip(lean, -MAX_LEAN_RAD, MAX_LEAN_RAD), np.float64)


def _find_couch(
    template: Template, skeleton: Skeleton, rest: Array, chest: Vector, bodies: Sequence[Parameters]
) -> tuple[Couch, Flesh]:
    """The couch under settled trunks, and how their flesh lies there."""
    surface = surface_of(template, "trunk")
    points = surface.pose(rest[:, surface.index], skeleton)
    flesh = flesh_of(template, points, bodies)
    points = flesh.settle(template, points, skeleton.rotations.astype(np.float32), surface.index)
    to_couch = chest.swapaxes(1, 2)
    normals = to_couch @ np.ascontiguousarray(surface.face(skeleton).swapaxes(1, 2))
    root = turn(to_couch, skeleton.positions[:, template.bone("root")])
    thighs = rest[:, surface_of(template, "thigh", "L").index]
    hip = skeleton.heads[:, template.bone("upperleg01.L"), 2]
    upper = thighs[:, :, 2] > hip[:, None] - UPPER_THIGH_M
    couch = Couch(
        level=flesh.level,
        half_breadth=np.where(upper, thighs[:, :, 0], -np.inf).max(1).astype(np.float64),
        middle=root[:, 0],
        hips=root[:, 2],
        skin=to_couch @ points.swapaxes(1, 2).astype(np.float64, order="C"),
        normals=normals,
        front=normals[:, 1] < FRONT,
    )
    return couch, flesh
