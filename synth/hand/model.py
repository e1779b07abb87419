"""One posed hand with its cut forearm, from its parameters alone."""

import numpy as np
from numpy.typing import NDArray

from synth.hand.kinematics import directions, pose_hand
from synth.hand.proportion import hand_length, proportion_hand
from synth.hand.rig import hand_rig
from synth.mesh import Array, Parameters, Posed, rest_mesh, skin
from synth.skeleton import about
from synth.template import Template

_VIEW_AXES = np.eye(3)[::-1]  # z, y and x, about which a hand is turned and tilted in its picture
_TO_VIEW = np.array([1.0, -1.0, -1.0])  # from hand axes to those of the picture
_TAPER_M = 0.04  # beyond the cut a ring shrinks by 1/e over this length: faster than any forearm thickens


def hand_of(template: Template, parameters: Parameters) -> Posed:
    """The left hand with these shape and pose parameters, its forearm cut off.

    In hand axes: x towards the thumb, y from the wrist to the middle knuckle, z out of the back.
    """
    rest, heads, radii = proportion_hand(template, *rest_mesh(template, parameters), parameters)
    turned, placed = pose_hand(template, rest, heads, radii, parameters)
    rotations, positions = turned.astype(np.float32), placed.astype(np.float32)
    whole = skin(hand_rig(template).supple, rest, heads, rotations, positions)
    return Posed(
        vertices=cut_forearm(template, whole, heads, parameters),
        rotations=rotations,
        positions=positions,
        rest=rest,
        heads=heads,
        view=_view(parameters),
    )


def _view(angles: Parameters) -> NDArray[np.float64]:
    """(3, 3) from hand axes in metres to viewing millimetres: the back of the hand towards the viewer, fingers up."""
    degrees = np.array([angles[name] for name in ("rotation", "tilt_up", "tilt_side")])
    turn, lean, nod = about(_VIEW_AXES, np.deg2rad(degrees))
    return np.asarray(1000 * turn @ lean @ nod * _TO_VIEW)


def cut_plane(
    angles: Parameters, length: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(origin, normal, axis), each (3,): the plane that cuts the forearm, and the forearm's axis away from the hand.

    The plane lies `forearm` hand lengths (`length`, metres) below the wrist, tilted by `cut_tilt` in the hand's plane.
    """
    down = directions(np.pi + np.deg2rad(angles["wrist_deviation"]), np.deg2rad(angles["wrist_flexion"]))
    tilt = np.deg2rad(angles["cut_tilt"])
    normal = np.cos(tilt) * down + np.sin(tilt) * np.cross(down, [0.0, 0.0, 1.0])
    return angles["forearm"] * length * down, normal, down


def cut_forearm(template: Template, posed: Array, heads: Array, angles: Parameters) -> Array:
    """The posed hand (V, 3) cut off at `cut_plane`: the skin beyond lies on the plane, inside the cut's outline."""
    rig = hand_rig(template)
    origin, normal, down = cut_plane(angles, hand_length(rig, heads))
    distance = posed @ normal.astype(np.float32) - np.float32(origin @ normal)
    past = distance > 0
    cut = rig.limb_skin[past[rig.limb_skin]]  # not the digits: a thumb far out may reach below the plane
    reach = distance[cut][:, None] / (down @ normal)
    done = posed.copy()
    # Rings far beyond would stick out where the forearm is thicker: they shrink towards the axis, within the plane.
    done[cut] = origin + (posed[cut] - reach * down - origin) * np.exp(-reach / _TAPER_M)
    crossing = past[rig.borders[:, 1]] & ~past[rig.borders[:, 0]]
    kept, beyond = rig.borders[crossing].T
    share = (distance[kept] / (distance[kept] - distance[beyond]))[:, None]
    done[beyond] = posed[kept] + share * (posed[beyond] - posed[kept])  # the first ring is the outline itself
    done[rig.rim[past[rig.rim]]] = origin  # the open end closes in a point
    return done
