"""One posed hand with its cut forearm, from its parameters alone."""

import numpy as np
from numpy.typing import NDArray

from synth.hand.pose import hand_frame, pose_hand
from synth.hand.shape import proportion_hand
from synth.mesh import Array, Parameters, Posed, rest_mesh, skin
from synth.skeleton import Skeleton, about
from synth.template import Template


def hand_of(template: Template, parameters: Parameters) -> Posed:
    """The left hand with these shape and pose parameters, its forearm cut off."""
    rest, heads = proportion_hand(template, *rest_mesh(template, parameters), parameters)
    skeleton = pose_hand(template, heads, parameters)
    rotations, positions = skeleton.rotations.astype(np.float32), skeleton.positions.astype(np.float32)
    whole = skin(template, rest, heads, rotations, positions)
    return Posed(
        vertices=cut_forearm(template, whole, skeleton, parameters),
        rotations=rotations,
        positions=positions,
        rest=rest,
        heads=heads,
        view=_view(template, heads, parameters),
    )


def _view(template: Template, heads: Array, angles: Parameters) -> NDArray[np.float64]:
    """(3, 3) from model metres to viewing millimetres: the back of the hand towards the viewer, fingers up."""
    side, up, back = hand_frame(template, heads.astype(np.float64))
    turn, lean, nod = (np.deg2rad(angles[name]) for name in ("rotation", "tilt_up", "tilt_side"))
    rotation = about([0, 0, 1], turn) @ about([0, 1, 0], lean) @ about([1, 0, 0], nod)
    return np.asarray(1000 * rotation @ np.stack([side, -up, -back]), np.float64)


def cut_forearm(template: Template, posed: Array, skeleton: Skeleton, angles: Parameters) -> Array:
    """The posed hand (V, 3) cut off at a plane across the forearm: what lies beyond is drawn onto the plane.

    The plane lies `forearm` hand lengths below the wrist and is tilted by `cut_tilt` in the plane of the hand.
    """
    positions = skeleton.positions
    wrist, elbow = positions[template.bone("wrist.L")], positions[template.bone("lowerarm01.L")]
    length = 2.0 * np.linalg.norm(positions[template.bone("finger3-1.L")] - wrist)
    down = (elbow - wrist) / np.linalg.norm(elbow - wrist)
    _, _, back = hand_frame(template, skeleton.heads)
    tilt = np.deg2rad(angles["cut_tilt"])
    normal = np.cos(tilt) * down + np.sin(tilt) * np.cross(down, back)
    origin = wrist + angles["forearm"] * length * down
    beyond = (posed - origin) @ normal
    reach = np.maximum(beyond, 0) / (down @ normal)
    axis_point = origin + ((posed - origin) @ down)[:, None] * down
    # Rings far beyond the plane would stick out where the forearm is thicker: they shrink towards its axis.
    shrink = np.where(reach > 0.02, 0.5, 1.0)[:, None]
    drawn = axis_point + (posed - axis_point) * shrink
    onto = drawn - (np.maximum((drawn - origin) @ normal, 0) / (down @ normal))[:, None] * down
    digits = [j for j, name in enumerate(template.bones) if name.startswith("finger")]
    cut = (beyond > 0) & (template.weights[:, digits].sum(1) < 0.5)  # a thumb far out may reach below the plane
    return np.where(cut[:, None], onto, posed).astype(np.float32)
