"""From the angles of a hand's pose to its bone frames, in hand axes (see proportion.py)."""

import numpy as np
from numpy.typing import NDArray

from synth.hand.overlap import part_digits
from synth.hand.rig import hand_rig
from synth.mesh import Array, Parameters
from synth.template import Template

Vector = NDArray[np.float64]

# The thumb's metacarpal turns by a third of what its tip does (regression over the 901 hands of proportion.py), but its
# knuckle bends sideways only so far, towards and away from the palm (0.5-99.5 % of the same).
_METACARPAL_REST, _METACARPAL_SHARE = np.deg2rad(22.7), 0.34
_KNUCKLE = np.deg2rad((-13.0, 36.0))
# A finger's tip lies on the asked line though its joints bend sideways: a bend turns the line from knuckle to tip by
# the share of the finger that lies beyond it, half beyond the middle joint and a fifth beyond the last.
_MIDDLE_PART, _LAST_PART = 0.52, 0.21


def pose_hand(
    template: Template, rest: Array, heads: Array, radii: Vector, angles: Parameters
) -> tuple[Vector, Vector]:
    """(rotations (J, 3, 3), positions (J, 3)) of a hand's bones; the palm stays, the forearm turns at the wrist.

    radii (5, 3): of the digits' bones, so that crossing fingers lie on each other.
    """
    rig = hand_rig(template)
    a = {name: np.deg2rad(value) for name, value in angles.items()}
    chains = np.concatenate([heads[rig.digits], rest[rig.tips][:, None]], axis=1).astype(np.float64)
    ends = np.diff(chains, axis=1)
    lengths = np.linalg.norm(ends, axis=2)
    spreads, flexions = _spreads(a), _flexions(a)
    flexions = part_digits(chains[:, 0], heads[rig.palm].astype(np.float64), lengths, radii, spreads, flexions)
    aims = directions(spreads, flexions)
    turned = _turn_chains(ends / lengths[:, :, None], aims)
    limb = _swing(
        _unit(heads[rig.forearm] - heads[rig.wrist])[None],
        directions(np.pi + a["wrist_deviation"], a["wrist_flexion"])[None],
    )[0]
    rotations = np.tile(limb, (len(heads), 1, 1))
    positions = heads @ limb.T
    hand = np.array([rig.wrist, *rig.palm])
    rotations[hand], positions[hand] = np.eye(3), heads[hand]
    rotations[rig.digits] = turned
    steps = aims * lengths[:, :, None]
    positions[rig.digits] = chains[:, :1] + np.cumsum(steps, axis=1) - steps
    last = rig.digits[:, 2]
    rotations[rig.ends] = turned[:, 2]
    positions[rig.ends] = positions[last] + np.einsum("dab,db->da", turned[:, 2], heads[rig.ends] - heads[last])
    return rotations, positions


def directions(spread: Vector | float, flexion: Vector | float) -> Vector:
    """(..., 3) unit vectors: `spread` from the fingers' direction towards the thumb, then `flexion` into the palm."""
    across, along = np.sin(spread), np.cos(spread)
    return np.asarray(
        np.stack([np.cos(flexion) * across, np.cos(flexion) * along, -np.sin(flexion) + 0 * across], axis=-1)
    )


def _spreads(a: Parameters) -> Vector:
    """(5, 3) direction of each digit bone in the plane of the hand."""
    middle = a["middle"]
    ring = middle - a["middle_ring"]
    index = middle + a["index_middle"]
    lines = np.array([index + a["thumb_index"], index, middle, ring, ring - a["ring_little"]])
    bends = np.array([[a[f"bend_{digit}_{joint}"] for joint in (1, 2)] for digit in range(1, 6)])
    first = lines + _MIDDLE_PART * bends[:, 0] + _LAST_PART * bends[:, 1]
    spreads = np.stack([first, first - bends[:, 0], first - bends.sum(1)], axis=1)
    metacarpal = lines[0] + np.clip(_METACARPAL_REST + (_METACARPAL_SHARE - 1) * lines[0] + bends[0, 0], *_KNUCKLE)
    spreads[0] = metacarpal, lines[0] + bends[0, 1] / 2, lines[0] - bends[0, 1] / 2
    return np.asarray(spreads)


def _flexions(a: Parameters) -> Vector:
    """(5, 3) angle of each digit bone out of the plane of the hand, towards the palm."""
    joints = np.array([[a[f"flexion_{digit}_{joint}"] for joint in (1, 2, 3)] for digit in range(1, 6)])
    flexions = np.cumsum(joints, axis=1)
    flexions[0] = a["palmar"] * np.array([1.0, 0.5, 0.5]) + 0.7 * np.array([0.0, flexions[0, 0], flexions[0, 1]])
    return np.asarray(flexions)


def _turn_chains(axes: Vector, aims: Vector) -> Vector:
    """(5, 3, 3, 3) rotations from rest that aim every bone, each turned as little as possible from its parent."""
    turned = np.empty((5, 3, 3, 3))
    parent = np.tile(np.eye(3), (5, 1, 1))
    for joint in range(3):
        reached = np.einsum("dab,db->da", parent, axes[:, joint])
        parent = _swing(reached, aims[:, joint]) @ parent
        turned[:, joint] = parent
    return turned


def _swing(start: Vector, end: Vector) -> Vector:
    """(n, 3, 3) smallest rotations between unit vectors (n, 3) that are not opposite."""
    x, y, z = (start[:, [1, 2, 0]] * end[:, [2, 0, 1]] - start[:, [2, 0, 1]] * end[:, [1, 2, 0]]).T
    cross = np.zeros((len(start), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
    cosine = (start * end).sum(1)
    assert cosine.min() > -0.999, "a bone may not be turned right round"
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine)[:, None, None])


def _unit(vector: Vector | Array) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)
