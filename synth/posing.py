"""A virtual person in a pose, with those structured shifts that change pose, bones or flesh: see shifts.py."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from synth.bent import CURVES, LIMBS, bend_spine, shorten
from synth.body.model import sample_bodies
from synth.body.pose import BodyPose
from synth.hand.model import hand_of
from synth.hand.pose import HandPose, sample_hand_pose
from synth.hand.rig import KNOBS
from synth.mesh import Parameters, Posed, stored
from synth.patient import Move, Points, to_patient
from synth.people import Person
from synth.template import Template

Drawn = Mapping[str, np.random.Generator]  # the shifts that a case has, with the generators of how much
Record = dict[str, str | float]
FADE_MM = 250.0
KNEE_REST = (20.0, 50.0)  # degrees of flexion; renderings have 10 to 40


def pose_body(
    pose: BodyPose, template: Template, person: Person, drawn: Drawn, rng: np.random.Generator
) -> tuple[Posed, Record]:
    """A body drawn from `pose` and what of its shifts concerns the pose."""
    shifts: Record = {}
    if "knee_rest" in drawn:
        pose = replace(pose, legs=replace(pose.legs, rest=1.0, crossed=0.0, contracted=0.0, rest_knee=KNEE_REST))
        shifts["knee_rest"] = 1
    if "belly_hands" in drawn:
        pose = replace(pose, arms=replace(pose.arms, belly=1.0, up=0.0, one_up=0.0))
        shifts["belly_hands"] = 1
    if "obesity" in drawn:
        shifts["obesity"] = round(person.bmi, 1)
    return sample_bodies(pose, template, [person.parameters], [rng])[0][0], shifts


def bend_body(template: Template, posed: Posed, drawn: Drawn) -> tuple[Posed, Record]:
    """The posed body with a crooked spine or a short limb, and which."""
    shifts: Record = {}
    if rng := drawn.get("scoliosis"):
        curve = list(CURVES)[rng.integers(len(CURVES))]
        cobb = float(rng.uniform(20, 50))  # between the steepest parts of the spine, which slope to both sides
        left = bool(rng.random() < 0.5)
        posed = bend_spine(template, posed, curve, np.deg2rad(cobb / 2) * (1 if left else -1))
        shifts["scoliosis"] = f"{curve} {cobb:.0f} degrees {'left' if left else 'right'}"
    if rng := drawn.get("unequal_limbs"):
        limb, side = list(LIMBS)[rng.integers(len(LIMBS))], "LR"[rng.integers(2)]
        factor = float(rng.uniform(0.90, 0.97))
        posed = shorten(template, posed, limb, side, factor)
        shifts["unequal_limbs"] = f"{limb} {side} {factor:.3f}"
    return posed, shifts


def pose_hand(
    pose: HandPose, template: Template, person: Person, drawn: Drawn, rng: np.random.Generator
) -> tuple[Posed, Record]:
    """A hand drawn from `pose`, with its shifts, which all are numbers of its shape and pose."""
    parameters: Parameters = person.parameters | sample_hand_pose(pose, rng)
    shifts: Record = {}
    if own := drawn.get("swollen_joints"):
        swollen = [knob for knob, chance in zip(KNOBS, own.random(len(KNOBS)), strict=True) if chance < 0.7]
        for digit, joint in swollen:
            parameters[f"swelling_{digit}_{joint}"] += float(own.uniform(0.20, 0.45))
        shifts["swollen_joints"] = len(swollen)
    if own := drawn.get("ulnar_deviation"):
        angle = float(own.uniform(15, 30))
        parameters["middle"] -= angle
        parameters["thumb_index"] += angle  # the thumb stays
        shifts["ulnar_deviation"] = round(angle, 1)
    if own := drawn.get("short_finger"):
        shifts["short_finger"] = _shorten_finger(parameters, 5, float(own.uniform(0.55, 0.80)))
    if own := drawn.get("unequal_limbs"):
        digit = int(own.integers(1, 6))
        shifts["unequal_limbs"] = _shorten_finger(parameters, digit, float(own.uniform(0.90, 0.97)))
    return hand_of(template, stored(parameters)), shifts


def _shorten_finger(parameters: Parameters, digit: int, factor: float) -> str:
    for joint in (1, 2, 3):
        parameters[f"length_{digit}_{joint}"] *= factor
    return f"digit {digit} {factor:.3f}"


@dataclass(frozen=True, kw_only=True)
class Flattening:
    """Flesh that spreads on a couch: trunk and thighs less deep towards the back and wider, fading at knees and neck.

    share: of the depth that is lost; middle: x, back: y of the couch; low, high: z between which it is whole, mm
    """

    share: float
    middle: float
    back: float
    low: float
    high: float

    def apply(self, points: Points) -> Points:
        """(N, 3) points in patient mm, moved."""
        x, y, z = points.T
        below, above = (z - self.low + FADE_MM) / FADE_MM, (self.high + FADE_MM - z) / FADE_MM
        amount = np.clip(np.minimum(below, above), 0, 1)
        amount = self.share * amount * amount * (3 - 2 * amount)
        wider = 1 + 0.7 * amount  # part of the volume goes to the head and to the feet
        return np.column_stack([self.middle + (x - self.middle) * wider, self.back - (self.back - y) * (1 - amount), z])


def flatten_body(template: Template, posed: Posed, drawn: Drawn) -> tuple[tuple[Move, ...], Record]:
    """How the posed body's flesh spreads, where it does."""
    rng = drawn.get("flattening")
    if rng is None:
        return (), {}
    skin, joints = (to_patient(points, posed, "left") for points in (posed.vertices, posed.positions))
    hips, necks = (joints[[template.bone(f"{name}.{side}") for side in "LR"]] for name in ("upperleg01", "clavicle"))
    flat = Flattening(
        share=float(rng.uniform(0.05, 0.15)),
        middle=float(hips[:, 0].mean()),
        back=float(skin[:, 1].max()),
        low=float(hips[:, 2].mean()),
        high=float(necks[:, 2].mean()) - FADE_MM,
    )
    return (flat.apply,), {"flattening": round(flat.share, 3)}
