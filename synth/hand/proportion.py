"""Proportions of a hand: where its knuckles lie, how long and how thick each phalanx is.

Everything here is in hand axes: x towards the thumb, y from the wrist to the middle knuckle, z out of the back.
"""

import numpy as np
from numpy.typing import NDArray

from synth.hand.rig import KNOBS, HandRig, Index, hand_frame, hand_rig
from synth.mesh import Array, Parameters, skin
from synth.template import Template

# Means of 901 hands (Digital Hand Atlas, points on bone; wrist = middle of the distal ends of radius and ulna), as
# shares of the hand's length from the wrist to the tip of the straight middle finger's bone. The body model has its
# ring and little knuckles up to 8 mm too far out and its proximal phalanges too short. Roots: (x, y) of the thumb's
# saddle joint and the four knuckles. The thumb lies foreshortened in radiographs: its bones after Buryanov & Kotiuk
# 2010 (Int J Morphol 28:755), as is the soft tissue from the bone's tip to the skin's.
_ROOTS = np.array([[0.174, 0.186], [0.118, 0.553], [0.0, 0.542], [-0.095, 0.488], [-0.181, 0.423]])
_PHALANGES = np.array(
    [
        [0.237, 0.157, 0.115],
        [0.196, 0.118, 0.088],
        [0.221, 0.143, 0.094],
        [0.207, 0.136, 0.096],
        [0.161, 0.095, 0.085],
    ]
)
TISSUE = np.array([0.030, 0.021, 0.021, 0.021, 0.020])
MIDDLE_KNUCKLE = _ROOTS[2, 1]


def proportion_hand(
    template: Template, vertices: Array, heads: Array, parameters: Parameters
) -> tuple[Array, Array, NDArray[np.float64]]:
    """(vertices (V, 3), joint heads (J, 3), radii (5, 3) of the digits' bones) of the rest hand, metres.

    In hand axes, the wrist at the origin. Each bone is stretched along and thickened across its own axis, and its skin
    goes along.
    """
    rig = hand_rig(template)
    frame = hand_frame(template, heads.astype(np.float64))
    placed, joints = ((points.astype(np.float64) - heads[rig.wrist]) @ frame.T for points in (vertices, heads))
    bones, ends = _bones(rig, placed, joints)
    moved, offsets = _layout(rig, joints, ends, parameters)
    across = np.array([parameters["palm"], 1.0, 1.0])
    stretch = np.tile(np.eye(3), (len(joints), 1, 1))
    for bone in (rig.wrist, *rig.palm, *rig.limb):
        stretch[bone] = np.diag(across)
    axes = ends / np.linalg.norm(ends, axis=1, keepdims=True)
    widths = np.repeat([parameters[f"width_{digit}"] for digit in range(1, 6)], 3)
    widths[0] = 1.0  # the thumb's metacarpal lies in the palm
    along = axes[:, :, None] * axes[:, None]
    stretch[rig.digits.ravel()] = widths[:, None, None] * (np.eye(3) - along[:15]) + along[:15]
    base = stretch[bones]
    slack = offsets - np.einsum("nab,nb->na", base, ends)
    stretch[bones] = base + slack[:, :, None] * (axes / np.linalg.norm(ends, axis=1, keepdims=True))[:, None]
    last = rig.digits[:, 2]
    moved[rig.ends] = moved[last] + np.einsum("dab,db->da", stretch[last], joints[rig.ends] - joints[last])
    old, new, maps = (numbers.astype(np.float32) for numbers in (joints, moved, stretch))
    rest = skin(rig.supple, placed.astype(np.float32), old, maps, new)
    return rest, new, _swell(rig, rest, new, parameters)


def hand_length(rig: HandRig, heads: Array) -> float:
    """Length in metres from the wrist to the tip of the straight middle finger's bone, of a proportioned hand."""
    return float(np.linalg.norm(heads[rig.digits[2, 0]] - heads[rig.wrist]) / MIDDLE_KNUCKLE)


def _bones(
    rig: HandRig, vertices: NDArray[np.float64], joints: NDArray[np.float64]
) -> tuple[Index, NDArray[np.float64]]:
    """(19,) bones, digits before metacarpals, and (19, 3) where each ends, seen from its head."""
    chains = np.concatenate([joints[rig.digits], vertices[rig.tips][:, None]], axis=1)
    ends = np.diff(chains, axis=1).reshape(15, 3)
    palm = joints[rig.digits[1:, 0]] - joints[rig.palm]
    return np.concatenate([rig.digits.ravel(), rig.palm]), np.concatenate([ends, palm])


def _layout(
    rig: HandRig, joints: NDArray[np.float64], ends: NDArray[np.float64], parameters: Parameters
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(J, 3) new heads and (19, 3) new ends of the bones, as `_bones` orders them."""
    lengths = np.linalg.norm(ends[:15], axis=1).reshape(5, 3)
    unit = (np.linalg.norm(joints[rig.digits[2, 0]]) + lengths[2].sum()) / (1 + TISSUE[2])
    factors = np.array([[parameters[f"length_{d}_{j}"] for j in (1, 2, 3)] for d in range(1, 6)])
    shares = _PHALANGES * factors
    shares[:, 2] += TISSUE
    aims = ends[:15].reshape(5, 3, 3) * (unit * shares / lengths)[:, :, None]
    moved = joints * [parameters["palm"], 1.0, 1.0]
    roots = moved[rig.digits[:, 0]]
    roots[:, 0] = _ROOTS[:, 0] * unit * parameters["palm"]
    shifts = [0.0, parameters["knuckle_2"], 0.0, parameters["knuckle_4"], parameters["knuckle_5"]]
    roots[:, 1] = (_ROOTS[:, 1] + shifts) * unit
    moved[rig.digits] = roots[:, None] + np.cumsum(aims, axis=1) - aims
    palm = roots[1:] - moved[rig.palm]
    return moved, np.concatenate([aims.reshape(15, 3), palm])


def _swell(rig: HandRig, rest: Array, heads: Array, parameters: Parameters) -> NDArray[np.float64]:
    """(5, 3) mean radius of each digit bone's skin, after its joints in `rest` were thickened by `swelling_d_j`."""
    shares = np.array([parameters[f"swelling_{digit}_{joint}"] for digit, joint in KNOBS], np.float32)
    roots = heads[rig.digits].reshape(15, 3)
    ends = np.diff(np.concatenate([heads[rig.digits], rest[rig.tips][:, None]], axis=1), axis=1).reshape(15, 3)
    axes = (ends / np.linalg.norm(ends, axis=1, keepdims=True)).take(rig.owner, 0)
    offsets = rest.take(rig.skin, 0) - roots.take(rig.owner, 0)
    across = offsets - np.einsum("va,va->v", offsets, axes)[:, None] * axes
    thicker = rig.bumps @ shares
    rest[rig.skin] += thicker[:, None] * across
    radii = np.sqrt(np.einsum("va,va->v", across, across)) * (1 + thicker)
    return np.asarray((np.bincount(rig.owner, radii, minlength=15) / np.bincount(rig.owner)).reshape(5, 3))
