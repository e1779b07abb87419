"""The pose parameters of several bodies as arrays, angles in radians. Limbs are rows, as in rig.py."""

from collections.abc import Sequence

import numpy as np

from synth.body.surface import SIDES
from synth.mesh import Parameters
from synth.skeleton import Vector

TRUNK = ("head_turn", "head_flexion", "head_tilt", "bend", "roll", "yaw")
ARMS = (
    "arm_place", "clavicle", "protraction", "curl", "arm_abduction", "elbow", "arm_plane", "arm_reach", "arm_rise",
    "pronation", "wrist_flexion", "wrist_deviation",
)  # fmt: skip
LEGS = ("knee", "hip_rotation", "foot")
PLAIN = ("arm_place", "arm_reach", "arm_rise")  # of ARMS, those that are not in degrees

Angles = dict[str, Vector]


def trunk_angles(bodies: Sequence[Parameters]) -> Angles:
    """TRUNK by name: (N,) rad."""
    values = np.array([[body[name] for name in TRUNK] for body in bodies])
    return dict(zip(TRUNK, np.deg2rad(values.T), strict=True))


def arm_angles(bodies: Sequence[Parameters]) -> Angles:
    """ARMS and `hand_above` by name: (2 N,) rad but for PLAIN."""
    angles = _sided(bodies, ARMS) | _shared(bodies, ("hand_above",))
    return {name: value if name in (*PLAIN, "hand_above") else np.deg2rad(value) for name, value in angles.items()}


def leg_angles(bodies: Sequence[Parameters]) -> Angles:
    """LEGS by name: (2 N,) rad; and as they are what both legs share."""
    angles = {name: np.deg2rad(value) for name, value in _sided(bodies, LEGS).items()}
    return angles | _shared(bodies, ("leg_place", "leg_above", "heels", "heels_aside"))


def _sided(bodies: Sequence[Parameters], names: tuple[str, ...]) -> Angles:
    values = np.array([[body[f"{name}.{side}"] for body in bodies for side in SIDES] for name in names])
    return dict(zip(names, values, strict=True))


def _shared(bodies: Sequence[Parameters], names: tuple[str, ...]) -> Angles:
    values = np.repeat([[body[name] for body in bodies] for name in names], 2, axis=1)
    return dict(zip(names, values, strict=True))
