"""Landmarks of virtual patients, by definitions of their own: the generator's are not looked at.

Tips and the crown are read from the scanned person's skin. Shoulders and knees are centres of bones that are placed
under the skin of the standing person by means of adults with a spread between people, and then go with the skin of
their limb. So they differ from what a network was trained on as one reader's landmarks differ from another's.
Which skin belongs to which limb is the body model's own division into bones (Template.weights).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.bones import Bone, ball
from synth.template import Template

Points = NDArray[np.float64]
CAP_MM = 1.5  # a tip is the middle of the outermost skin, this deep
FIRM = 0.9  # skin that a limb's bones move by at least this share shows how the limb lies


@dataclass(frozen=True, kw_only=True)
class Build:
    """What is drawn of one person's joints, mm.

    humeral_head: radius; shoulder_cover: skin to humeral head over the shoulder; shoulder_off (2,): the head's centre
      behind the middle of the shoulder, and medial of the arm's axis
    condyle: radius of each femoral condyle; epicondyles: distance between them; knee_up: their middle above the crease
      of the knee; knee_off (2,): to the side and backwards from the middle of the thigh's skin
    """

    humeral_head: float
    shoulder_cover: float
    shoulder_off: tuple[float, float]
    condyle: float
    epicondyles: float
    knee_up: float
    knee_off: tuple[float, float]


# Means of women and men, and deviations: typical adult values in mm, rounded, of no single source. Radius of the
# humeral head 23 and 25; skin, fat, acromion and cuff over it in somebody standing 26 and 29; radius of the posterior
# condyles 20 and 22; breadth over the epicondyles 76 and 85.
_MEANS = {"female": (22.8, 26.0, 20.0, 76.0), "male": (25.2, 29.0, 22.0, 85.0)}
_SPREAD = (1.5, 3.5, 1.2, 4.0)
_COVER_BMI = 0.35  # mm more over the shoulder for each kg/m² above 25
_KNEE_UP, _KNEE_SPREAD = 25.0, 4.0
# A humeral head's centre lies about 7 mm medial of the shaft's axis (a typical adult value), half way through the
# shoulder from front to back; epicondyles behind the middle of the knee's skin, which the patella brings forward.
_OFF = (0.0, 6.9, 0.0, 8.0)
_OFF_SPREAD = 3.0
_BONE_SHARE = 0.81  # of a distal phalanx with its pulp is bone; source: as synth.hand.proportion
_SHOULDER_MM = (10.0, 200.0, 1.0)  # where a humeral head is looked for, above the middle of the arm


def sample_build(sex: str, bmi: float, rng: np.random.Generator) -> Build:
    """The joints of one "female" or "male" person, drawn."""
    drawn = np.array(_MEANS[sex]) + np.array(_SPREAD) * np.clip(rng.normal(size=4), -2.5, 2.5)
    head, cover, condyle, breadth = (float(v) for v in drawn)
    cover += _COVER_BMI * float(np.clip(bmi - 25, -6, 25))
    knee_up, *off = (float(v) for v in rng.normal((_KNEE_UP, *_OFF), (_KNEE_SPREAD, *[_OFF_SPREAD] * 4)))
    return Build(
        humeral_head=head,
        shoulder_cover=max(cover, 8.0),
        shoulder_off=(off[0], off[1]),
        condyle=condyle,
        epicondyles=breadth,
        knee_up=knee_up,
        knee_off=(off[2], off[3]),
    )


def joint_bones(template: Template, build: Build, rest: Points, skin: Points) -> tuple[Bone, ...]:
    """Humeral heads and femoral condyles, patient mm.

    rest (V, 3): skin of the standing person, mm; z up, +x the person's left, facing -y; skin (V, 3): as scanned
    """
    bones = []
    for side, word, sign in (("L", "left", 1.0), ("R", "right", -1.0)):
        arm = Limb.of(template, [f"upperarm01.{side}", f"upperarm02.{side}"], f"lowerarm01.{side}", rest, skin)
        thigh = Limb.of(template, [f"upperleg01.{side}", f"upperleg02.{side}"], f"lowerleg01.{side}", rest, skin)
        head = _humeral_head(template, build, rest, arm, side, sign)
        bones.append(ball(f"{word}_humeral_head", arm.carry(head[None])[0], build.humeral_head))
        outward, inward = thigh.carry(_condyles(template, build, rest, thigh, side, sign))
        bones.append(ball(f"{word}_lateral_condyle", outward, build.condyle))
        bones.append(ball(f"{word}_medial_condyle", inward, build.condyle))
    return tuple(bones)


def body_landmarks(template: Template, skin: Points, bones: tuple[Bone, ...]) -> dict[str, Points]:
    """(3,) patient mm by name: the crown, shoulders, tips of middle fingers, knees, tips of big toes."""
    centre = {bone.name: bone.start for bone in bones}
    own = skin[_skin_of(template, ["head"])]
    found = {"head_top": own[own[:, 2].argmax()]}
    for side, word in (("L", "left"), ("R", "right")):
        found[f"{word}_shoulder"] = centre[f"{word}_humeral_head"]
        found[f"{word}_knee"] = (centre[f"{word}_lateral_condyle"] + centre[f"{word}_medial_condyle"]) / 2
        found[f"{word}_middle_fingertip"] = tip(template, skin, f"finger3-3.{side}", f"finger3-2.{side}")
        found[f"{word}_big_toe"] = tip(template, skin, f"toe1-2.{side}", f"toe1-1.{side}")
    return found


def hand_landmarks(template: Template, skin: Points, joints: Mapping[str, Points]) -> dict[str, Points]:
    """(3,) patient mm by name: the five fingertips, on the skin and on bone; joints: (3,) by the rig's names."""
    found = {}
    for digit, name in enumerate(("thumb", "index", "middle", "ring", "little"), start=1):
        end = tip(template, skin, f"finger{digit}-3.L", f"finger{digit}-2.L")
        joint = joints[f"finger{digit}-3.L"]
        found[f"{name}_tip"] = end
        found[f"{name}_bone_tip"] = joint + _BONE_SHARE * (end - joint)
    return found


def tip(template: Template, skin: Points, last: str, before: str) -> Points:
    """(3,) the end of a digit: the middle of the skin of its last part that lies farthest along that part's own axis.

    The axis runs from the middle of the crease, where the part `before` ends, to the middle of the last part's skin.
    """
    corners = template.triangles[(template.dominant[template.triangles] == template.bone(last)).all(1)]
    a, b, c = (skin[corners[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    centres = (a + b + c) / 3
    axis = np.average(centres, axis=0, weights=area) - _crease(template, skin, [before], [last])
    axis /= np.linalg.norm(axis)
    reach = np.stack([a, b, c]) @ axis
    cap = reach.max(0) > reach.max() - CAP_MM
    outermost = np.average(centres[cap], axis=0, weights=area[cap])
    return np.asarray(outermost + (reach.max() - outermost @ axis) * axis)


@dataclass(frozen=True, kw_only=True)
class Limb:
    """A limb standing and as scanned.

    middle (3,): of its skin at rest, half way down; axis (3,): from there to its lower end
    taken (4, 3): the affine map that takes its skin best from rest to where it was scanned
    """

    middle: Points
    axis: Points
    taken: Points

    @classmethod
    def of(cls, template: Template, bones: list[str], below: str, rest: Points, skin: Points) -> "Limb":
        """The limb whose skin these bones move, and which ends where the skin of the bone `below` begins."""
        own = np.flatnonzero(template.weights[:, [template.bone(name) for name in bones]].sum(1) > FIRM)
        middle = _crease(template, rest, bones[:1], bones[1:])
        axis = _crease(template, rest, bones[1:], [below]) - middle
        known = np.column_stack([rest[own] - middle, np.ones(len(own))])
        return cls(
            middle=middle,
            axis=axis / np.linalg.norm(axis),
            taken=np.linalg.lstsq(known, skin[own], rcond=None)[0],
        )

    def carry(self, points: Points) -> Points:
        """(N, 3) points of the standing person, where they went with the limb."""
        return np.asarray(np.column_stack([points - self.middle, np.ones(len(points))]) @ self.taken)

    def nearest(self, point: Points) -> Points:
        """(3,) the point of the limb's axis nearest to `point`."""
        return np.asarray(self.middle + ((point - self.middle) @ self.axis) * self.axis)


def _humeral_head(template: Template, build: Build, rest: Points, arm: Limb, side: str, sign: float) -> Points:
    """(3,) centre: where the arm's axis, drawn on from the elbow, lies as deep under the shoulder as a head does."""
    own = [f"{name}.{side}" for name in ("clavicle", "shoulder01", "upperarm01", "upperarm02")]
    shoulder = np.isin(template.dominant, [template.bone(name) for name in own])
    corners = rest[template.triangles[shoulder[template.triangles].any(1)]]
    candidates = arm.middle - np.arange(*_SHOULDER_MM)[:, None] * arm.axis
    depth = _skin_along(2, corners, candidates)[1] - candidates[:, 2]
    wanted = build.humeral_head + build.shoulder_cover
    centre = candidates[np.nanargmin(np.abs(depth - wanted))]
    inwards = np.cross(arm.axis, [0.0, 1.0, 0.0])
    inwards *= -sign * np.sign(inwards[0]) / np.linalg.norm(inwards)
    centre = centre + build.shoulder_off[1] * inwards
    centre[1] = _skin_along(1, rest[template.triangles], centre[None]).mean() + build.shoulder_off[0]
    return np.asarray(centre)


def _skin_along(axis: int, corners: Points, points: Points) -> Points:
    """(2, N) least and greatest coordinate of skin (T, 3, 3) on the lines along an axis through points (N, 3); NaN
    where a line meets none."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    a, b, c = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = b[:, i] * c[:, j] - b[:, j] * c[:, i]
    x, y = (points[:, None, k] - a[:, k] for k in (i, j))
    with np.errstate(divide="ignore", invalid="ignore"):  # triangles seen from the side have no area
        u, v = (x * c[:, j] - y * c[:, i]) / area, (b[:, i] * y - b[:, j] * x) / area
    met = np.where((u >= 0) & (v >= 0) & (u + v <= 1), a[:, axis] + u * b[:, axis] + v * c[:, axis], np.nan)
    missed = np.isnan(met).all(1)
    met[missed] = 0
    return np.where(missed, np.nan, [np.nanmin(met, 1), np.nanmax(met, 1)])


def _condyles(template: Template, build: Build, rest: Points, thigh: Limb, side: str, sign: float) -> Points:
    """(2, 3) centres of the lateral and the medial condyle, which reach to the epicondyles, above the knee's crease."""
    crease = _crease(template, rest, [f"upperleg02.{side}"], [f"lowerleg01.{side}"])
    middle = crease - build.knee_up * thigh.axis + np.array([*build.knee_off, 0.0])
    across = np.cross([0.0, 1.0, 0.0], thigh.axis)
    across *= sign * np.sign(across[0]) / np.linalg.norm(across)
    half = build.epicondyles / 2 - build.condyle
    return np.stack([middle + half * across, middle - half * across])


def _crease(template: Template, skin: Points, above: list[str], below: list[str]) -> Points:
    """(3,) the middle of the skin where what some bones move most borders on that of others."""
    owners = template.dominant[template.triangles]
    crossing = np.logical_and(
        *(np.isin(owners, [template.bone(name) for name in bones]).any(1) for bones in (above, below))
    )
    a, b, c = skin[template.triangles[crossing]].swapaxes(0, 1)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return np.asarray(np.average((a + b + c) / 3, axis=0, weights=area))


def _skin_of(template: Template, bones: list[str]) -> NDArray[np.intp]:
    """Indices of the vertices that these bones move most."""
    return np.flatnonzero(np.isin(template.dominant, [template.bone(name) for name in bones]))


def ordered(found: Mapping[str, Points], names: tuple[str, ...]) -> Points:
    """(K, 3) the landmarks of these names. Raises ValueError for one that virtual patients do not have."""
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"virtual patients have no {', '.join(missing)}; there are {', '.join(found)}")
    return np.stack([found[name] for name in names])
