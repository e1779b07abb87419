"""Where a body is measured: its joints, and the bands and patches of skin whose extremes are sought."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.mesh import rest_mesh
from synth.template import Template

Indices = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where a template is measured.

    arm, leg (V,): shares of skin weight that arms and legs have in each vertex, both sides.
    chest, waist, hips: bands of vertices around the trunk; soles, crown, foot, tip (of the middle finger): vertices
    among which extremes are sought; bones: indices of the joints that matter.
    """

    arm: NDArray[np.float32]
    leg: NDArray[np.float32]
    chest: Indices
    waist: Indices
    hips: Indices
    soles: Indices
    crown: Indices
    foot: Indices
    tip: Indices
    bones: dict[str, int]


ARM = ("upperarm", "lowerarm", "wrist", "metacarpal", "finger")
LEG = ("upperleg", "lowerleg", "foot", "toe")
SPINE = ("spine04", "spine03", "spine02", "spine01", "neck01", "neck02")  # below, flesh widens about spine04
_NAMED = {
    "hip": "upperleg01.L", "knee": "lowerleg01.L", "ankle": "foot.L", "shoulder": "upperarm01.L",
    "elbow": "lowerarm01.L", "wrist": "wrist.L", "neck": "neck01", "skull": "neck02", "finger1": "finger3-1.L",
    "finger2": "finger3-2.L", "finger3": "finger3-3.L",
}  # fmt: skip


@lru_cache(maxsize=8)
def plan_of(template: Template) -> Plan:
    """The plan of a body template; bands lie at the heights the survey measures them at (of an average person)."""
    middle, heads = rest_mesh(template, {"age": 0.75})
    bone = {name: template.bone(label) for name, label in _NAMED.items()}
    bone |= {label: template.bone(label) for label in SPINE}
    arm, leg = (_share(template, names) for names in (ARM, LEG))
    hip, shoulder = (float(heads[bone[name], 2]) for name in ("hip", "shoulder"))
    level = (middle[:, 2] - hip) / (shoulder - hip)  # hip joint 0, shoulder joint 1
    central = arm < 0.02
    sole = np.flatnonzero((leg > 0.5) & (template.vertices[:, 0] > 0) & (middle[:, 2] < heads[bone["ankle"], 2]))
    reach = middle[sole, 1]
    return Plan(
        arm=arm,
        leg=leg,
        chest=np.flatnonzero(central & (abs(level - 0.71) < 0.04)),
        waist=np.flatnonzero(central & (abs(level - 0.28) < 0.03)),
        hips=np.flatnonzero(central & (abs(level) < 0.08)),  # not below: there the resting legs part
        soles=np.flatnonzero((leg > 0.5) & (middle[:, 2] < middle[:, 2].min() + 0.002)),
        crown=np.flatnonzero(middle[:, 2] > middle[:, 2].max() - 0.02),
        foot=sole[(reach < reach.min() + 0.015) | (reach > reach.max() - 0.015)],
        tip=np.flatnonzero(template.dominant == bone["finger3"]),
        bones=bone,
    )


def _share(template: Template, names: tuple[str, ...]) -> NDArray[np.float32]:
    own = [j for j, name in enumerate(template.bones) if name.startswith(names)]
    return np.asarray(np.clip(template.weights[:, own].sum(1), 0, 1), np.float32)
