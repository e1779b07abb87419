"""The pose parameters of several bodies as arrays, angles in radians."""

from collections.abc import Sequence

import numpy as np

from synth.body.surface import SIDES
from synth.mesh import Parameters
from synth.skeleton import Vector

# Of the whole body, and of its left and right side; `arm_place`, `leg_place` and *_above are codes (arms.py, legs.py)
WHOLE = ("head_turn", "head_flexion", "head_tilt", "bend", "roll", "yaw")
BOTH = ("hand_above", "leg_place", "leg_above", "heels", "heels_aside")
SIDED = (
    "arm_place", "clavicle", "protraction", "curl", "arm_abduction", "elbow", "arm_plane", "arm_reach", "pronation",
    "wrist_flexion", "wrist_deviation", "arm_rise", "knee", "hip_rotation", "foot",
)  # fmt: skip
PLAIN = ("arm_place", "arm_rise", "arm_reach", *BOTH)  # not in degrees

Angles = dict[str, Vector]


def trunk_angles(bodies: Sequence[Parameters]) -> Angles:
    """WHOLE by name: (N,) rad."""
    values = np.array([[body[name] for name in WHOLE] for body in bodies])
    return dict(zip(WHOLE, np.deg2rad(values.T), strict=True))


def limb_angles(bodies: Sequence[Parameters]) -> Angles:
    """SIDED and BOTH by name: (2 N,), one row per limb (rig.py); in rad but for those of PLAIN."""
    values = np.array(
        [
            [body[f"{name}.{side}"] for name in SIDED] + [body[name] for name in BOTH]
            for body in bodies
            for side in SIDES
        ]
    )
    scales = np.array([1.0 if name in PLAIN else np.pi / 180 for name in (*SIDED, *BOTH)])
    return dict(zip((*SIDED, *BOTH), (values * scales).T.copy(), strict=True))
