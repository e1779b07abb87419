"""The trunk of a lying body: bent, rolled and leant back until it lies, with head, shoulder girdle and couch."""

from dataclasses import dataclass

import numpy as np

from synth.body.arms import UP
from synth.body.couch import Couch
from synth.body.flesh import Flesh, flesh_of
from synth.body.rig import ArmRig, LegRig, arm_rig, leg_rig
from synth.body.surface import SIGNS, surface_of
from synth.mesh import Array, Parameters
from synth.skeleton import Skeleton, Vector, about, turns
from synth.template import Template

FRONT = -0.35  # y of the normal of skin that counts as the trunk's front
UPPER_THIGH_M = 0.15  # below the hip joint, within which hips are broadest
MAX_LEAN_RAD = 0.14  # how far the trunk leans back at most, until shoulder blades and buttocks both lie
PLAIN = (
    "arm_place",
    "arm_rise",
    "arm_reach",
    "hand_above",
    "leg_place",
    "leg_above",
    "heels",
    "flesh",
)  # parameters not in degrees
ALONG_SPINE = np.array([0.25, 0.5, 0.75, 1.0])  # of a bend or turn that four bones share


@dataclass(frozen=True, kw_only=True, eq=False)
class Lying:
    """A person, rest (V, 3) and heads (J, 3), whose trunk and head lie in their pose.

    turned: absolute rotations of their bones; spine (3,): where the spine ends and the girdle begins; arms, legs: by
    side; chest, pelvis (3, 3): frames of the couch along either; middle: x of the pelvis along it.
    """

    template: Template
    rest: Array
    heads: Vector
    turned: dict[int, Vector]
    spine: Vector
    arms: dict[str, ArmRig]
    legs: dict[str, LegRig]
    chest: Vector
    pelvis: Vector
    middle: float
    couch: Couch
    flesh: Flesh


def radians(parameters: Parameters) -> dict[str, float]:
    """The parameters with angles in radians; those of PLAIN stay as they are."""
    return {name: v if name.startswith(PLAIN) else v * np.pi / 180 for name, v in parameters.items()}


def lie_down(template: Template, rest: Array, heads: Array, parameters: Parameters) -> Lying:
    """The person with trunk and head in the pose of these parameters, on a couch that takes them."""
    skeleton = Skeleton(template=template, heads=np.asarray(heads, np.float64))
    a, bone = radians(parameters), template.bone
    turned = _turn_trunk(skeleton, rest, a)
    skeleton.settle(turned)
    chest, pelvis = (about([0, 1, 0], angle) for angle in (a["yaw"] + a["bend"], a["yaw"]))
    couch, flesh = _find_couch(skeleton, rest, chest, parameters)
    hips = {side: pelvis.T @ skeleton.positions[bone(f"upperleg01.{side}")] for side in SIGNS}
    return Lying(
        template=template,
        rest=rest,
        heads=skeleton.heads,
        turned=turned,
        spine=skeleton.positions[bone("spine01")],
        arms={side: arm_rig(template, rest, skeleton.heads, side, a[f"curl.{side}"]) for side in SIGNS},
        legs={side: leg_rig(template, rest, skeleton.heads, side, hip) for side, hip in hips.items()},
        chest=chest,
        pelvis=pelvis,
        middle=float((pelvis.T @ skeleton.positions[bone("root")])[0]),
        couch=couch,
        flesh=flesh,
    )


def turn_girdle(lying: Lying, a: dict[str, float], side: str) -> tuple[dict[int, Vector], Vector]:
    """(rotations of clavicle and shoulder blade, position (3,) of the shoulder joint) of one side.

    An arm that is raised lifts the girdle by a third of what it is raised above 30 degrees (Inman et al. 1944), in
    equal parts at the clavicle's two ends. The upper arm is aimed, so it turns back by as much as the girdle rises.
    """
    s, bone, heads = SIGNS[side], lying.template.bone, lying.heads
    raised = max(0.0, a["arm_abduction"] - np.deg2rad(30)) / 3 if a["arm_place"] == UP else 0.0
    first = bone("spine01")
    chain = [first, *(bone(f"{name}.{side}") for name in ("clavicle", "shoulder01", "upperarm01"))]
    forwards = lying.turned[first] @ about([0, 0, 1], -s * a["protraction"])
    clavicle, blade = (forwards @ about([0, 1, 0], -s * (a["clavicle"] + raised / 2 * part)) for part in (1, 2))
    shoulder = lying.spine
    for k, rotation in enumerate((lying.turned[first], clavicle, blade)):
        shoulder = shoulder + rotation @ (heads[chain[k + 1]] - heads[chain[k]])
    return {chain[1]: clavicle, chain[2]: blade}, shoulder


def _turn_trunk(skeleton: Skeleton, rest: Array, a: dict[str, float]) -> dict[int, Vector]:
    """Absolute rotations of trunk, neck and head; bends and turns are spread over the spine."""
    bone = skeleton.template.bone
    x, y, z = np.eye(3)
    trunk = about(y, a["yaw"]) @ about(z, a["roll"]) @ about(x, -_lean(skeleton, rest))
    turned = {bone("root"): trunk}
    for name, bend in zip(("spine04", "spine03", "spine02", "spine01"), turns(y, ALONG_SPINE * a["bend"]), strict=True):
        turned[bone(name)] = trunk @ bend
    nods = turns(y, ALONG_SPINE * a["head_tilt"]) @ turns(x, ALONG_SPINE * a["head_flexion"])
    nods = turned[bone("spine01")] @ nods @ turns(z, ALONG_SPINE * a["head_turn"])
    for name, nod in zip(("neck01", "neck02", "neck03", "head"), nods, strict=True):
        turned[bone(name)] = nod
    return turned


def _lean(skeleton: Skeleton, rest: Array) -> float:
    """Angle (rad) by which the trunk leans back until its upper half touches the couch as its lower half does."""
    points = rest[surface_of(skeleton.template, "trunk").index]
    upper = points[:, 2] > (points[:, 2].min() + points[:, 2].max()) / 2
    low, high = (part[part[:, 1].argmax()] for part in (points[~upper], points[upper]))
    return float(np.clip(np.arctan2(low[1] - high[1], high[2] - low[2]), -MAX_LEAN_RAD, MAX_LEAN_RAD))


def _find_couch(skeleton: Skeleton, rest: Array, chest: Vector, parameters: Parameters) -> tuple[Couch, Flesh]:
    """The couch under the settled trunk, and how its flesh lies there."""
    template = skeleton.template
    surface = surface_of(template, "trunk")
    points, normals = surface.pose(template, rest, skeleton)
    flesh = flesh_of(template, points, parameters)
    points = flesh.settle(template, points, skeleton.rotations.astype(np.float32), surface.index)
    skin, facing = (part.astype(np.float64) @ chest for part in (points, normals))
    root = chest.T @ skeleton.positions[template.bone("root")]
    thighs = rest[surface_of(template, "thigh", "L").index]
    thighs = thighs[thighs[:, 2] > skeleton.heads[template.bone("upperleg01.L"), 2] - UPPER_THIGH_M]
    front = facing[:, 1] < FRONT
    couch = Couch(
        level=flesh.level,
        half_breadth=float(thighs[:, 0].max()),
        middle=float(root[0]),
        hips=float(root[2]),
        skin=skin,
        normals=facing,
        front=skin[front],
        front_normals=facing[front],
    )
    return couch, flesh
