"""Virtual patients: labelled scans of subjects that the generator does not render, by definitions that it does not use.

A patient differs from a rendering in every step: other ranges of shape, proportion and pose, shape changes that no
rendering has (held_out.py), structured shifts (shifts.py), a smooth random deformation, landmarks of its own kind
(reference.py), then voxels, partial volume, noise, and for CT a couch. Its random streams are its own (TAG).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synth.acquisition import Acquisition
from synth.body.arms import ArmPose
from synth.body.legs import LegPose
from synth.body.pose import BodyPose
from synth.body.shape import AdultShape
from synth.body.surface import surface_of
from synth.compartments import Insides, Label, label_voxels
from synth.couches import ROOM_MM, CouchKind
from synth.domain.anatomy import anatomy_named
from synth.domain.projection import Volume
from synth.figure import BodyRange, HandRange, RenderRecipe
from synth.hand.pose import HandPose
from synth.hand.shape import HandShape
from synth.held_out import change, held_out_of, sample_changes
from synth.mesh import Posed
from synth.mr_artefacts import pressed
from synth.mr_scans import ArtefactRange, usual_artefacts
from synth.patient import Move, Patient, lay_body, lay_hand
from synth.people import Person, check_female, sample_adult, sample_hand, sex_of
from synth.posing import Drawn, Record, bend_body, flatten_body, pose_body, pose_hand
from synth.reference import sample_build
from synth.shifts import Shifts, draw_cut
from synth.template import Template
from synth.voxels import ct_volume, mr_volume, sample_deformation, voxelise

TAG = 7_401  # third word of every phantom seed, so that no phantom repeats a rendering
SUBJECT, CASE, SCAN, SEX, CHANGES, BONES, FIELD, PLACE, SPACING, EXPORT, ARTEFACTS = range(
    11
)  # fourth word: what the stream draws


@dataclass(frozen=True, kw_only=True)
class PhantomRecipe:
    """A virtual study: who is scanned, and how.

    count: cases; cases_per_subject: scans of one shape in different poses; side: of a hand (every case of a study)
    hand, body: as for renderings, but with ranges of their own; a body's are those of adults
    female: share of women, in tenths, held in every ten people
    held_out: deviation of shape changes that no rendering has; widen: times the measured spread of a body's proportions
    shifts: structured ones, see shifts.py; two have their switches here: couch, and
    deformation_mm: root mean square of a smooth displacement with waves of wavelength_mm; 0: none
    spacing_mm: (x, y, z) voxel; coarser: up to how many times larger it is drawn, in plane and from slice to slice
    blur_voxels: partial volume; noise: deviation in HU (CT) or of muscle = 420 (MR)
    modality: "ct" (slices along z) or "mr" (along y); couch: what a CT patient lies on, see couches.py, "any" draws it
    insides: what is inside a patient, see compartments.py; None: one tissue throughout
    artefacts: what is wrong with an MR scan, see mr_scans.py
    acquisition: how cases are exported
    """

    anatomy: str
    count: int = 24
    cases_per_subject: int = 1
    side: Literal["left", "right"] = "left"
    hand: HandRange | None = None
    body: BodyRange | None = None
    female: float = 0.5
    held_out: float = 0.4
    widen: float = 1.3
    shifts: Shifts = Shifts()
    deformation_mm: float = 1.5
    wavelength_mm: tuple[float, float] = (60.0, 200.0)
    modality: Literal["ct", "mr"] = "mr"
    spacing_mm: tuple[float, float, float] = (0.8, 1.0, 0.8)
    coarser: tuple[float, float] = (1.0, 1.0)
    blur_voxels: float = 0.6
    noise: float = 25.0
    couch: CouchKind = "none"
    insides: Insides | None = None
    artefacts: ArtefactRange = ArtefactRange()
    acquisition: Acquisition = Acquisition()

    def __post_init__(self) -> None:
        self.figure  # noqa: B018  validates anatomy and pose
        self.shifts.check(anatomy_named(self.anatomy).base)
        check_female(self.female)
        if self.body is not None and not isinstance(self.body.shape, AdultShape):
            raise ValueError("phantom.body.shape is that of children or plain; allowed: AdultShape")
        if self.count < 1 or self.cases_per_subject < 1:
            counts = f"{self.count}, {self.cases_per_subject}"
            raise ValueError(f"phantom.count, cases_per_subject are {counts}; allowed: at least 1")
        if not 0.3 <= min(self.spacing_mm) <= max(self.spacing_mm) <= 20:
            raise ValueError(f"phantom.spacing_mm is {self.spacing_mm}; allowed: 0.3 to 20 per axis")
        if not 1 <= min(self.coarser) <= max(self.coarser) <= 20:
            raise ValueError(f"phantom.coarser is {self.coarser}; allowed: 1 to 20 each")
        if min(self.blur_voxels, self.noise, self.deformation_mm) < 0:
            values = f"{self.blur_voxels}, {self.noise}, {self.deformation_mm}"
            raise ValueError(f"phantom.blur_voxels, noise, deformation_mm are {values}; allowed: >= 0")
        if not 0 <= self.held_out <= 1 or not 0 <= self.widen <= 3:
            raise ValueError(f"phantom.held_out, widen are {self.held_out}, {self.widen}; allowed: 0 to 1, 0 to 3")
        sample_deformation(self.deformation_mm, self.wavelength_mm, np.random.default_rng([0, TAG]))

    @property
    def figure(self) -> RenderRecipe:
        """The shapes and poses as the generator takes them."""
        return RenderRecipe(anatomy=self.anatomy, hand=self.hand, body=self.body)


def make_patient(recipe: PhantomRecipe, template: Template, seed: int, index: int) -> Patient:
    """Case `index` of the study that recipe and seed define; cases of one subject share the shape, not the pose."""
    anatomy = anatomy_named(recipe.anatomy)
    number = index // recipe.cases_per_subject

    def stream(kind: int, who: int = number) -> np.random.Generator:
        return np.random.default_rng([seed, who, TAG, kind])

    drawn = recipe.shifts.draw(seed, number, index, TAG + 1)
    sex = sex_of(number, recipe.female, stream(SEX, number // 10))
    person = _draw_person(recipe, template, sex, drawn, stream(SUBJECT))
    posed, shifts = _pose(recipe, template, person, drawn, stream(CASE, index))
    held_out = held_out_of(template, anatomy.base)
    posed = change(template, held_out, posed, sample_changes(held_out, recipe.held_out, stream(CHANGES)))
    field = sample_deformation(recipe.deformation_mm, recipe.wavelength_mm, stream(FIELD, index))
    place = stream(PLACE, index).uniform(-40, 40, 3)
    after: tuple[Move, ...] = (field.apply, lambda points: points + place)
    if recipe.hand is not None:
        laid = lay_hand(template, anatomy, posed, after, recipe.side)
    else:
        build = sample_build(person.sex, person.bmi, stream(BONES))
        posed, bent = bend_body(template, posed, drawn)
        flat, flattened = flatten_body(template, posed, drawn)
        laid = lay_body(template, anatomy, posed, (*flat, *after), build)
        shifts |= bent | flattened
    if cut := draw_cut(drawn):
        shifts["field_of_view"] = f"{cut[0]} {cut[1]:.3f}"
    return Patient(
        case=f"{anatomy.name}-{index:04d}",
        subject=f"subject-{number:04d}",
        vertices=laid.skin,
        landmarks=laid.landmarks,
        joints=laid.joints,
        bones=laid.bones,
        attributes=person.attributes,
        shifts=shifts,
        cut=cut,
    )


def scan(recipe: PhantomRecipe, template: Template, patient: Patient, seed: int, index: int) -> Volume:
    """The CT or MR volume of a patient, with its own noise."""
    rng = np.random.default_rng([seed, index, TAG, SCAN])
    spacing = _spacing(recipe, np.random.default_rng([seed, index, TAG, SPACING]))
    margin = (20.0, 10.0 if recipe.couch == "none" else ROOM_MM, 10.0 + 2 * spacing[2])
    mask, affine = voxelise(patient.vertices, template.triangles, spacing, margin)
    if recipe.modality == "mr":
        artefacts, louder = recipe.artefacts.sample(np.random.default_rng([seed, index, TAG, ARTEFACTS]))
        mask = pressed(mask, spacing, artefacts.pressed_mm)
    labels = None
    if recipe.insides is not None:
        labels = label_voxels(mask, affine, patient.joints, patient.bones, recipe.insides, rng)
    if recipe.modality == "mr":
        tissue = mask * np.uint8(Label.MUSCLE) if labels is None else labels
        volume = mr_volume(tissue, affine, louder * recipe.noise, recipe.blur_voxels, rng, artefacts)
    else:
        head = None
        if recipe.couch != "none":
            skin = patient.vertices[surface_of(template, "head").index]
            head = np.stack([skin.min(0), skin.max(0)])
        volume = ct_volume(mask, affine, recipe.noise, recipe.blur_voxels, rng, recipe.couch, head, labels)
    return volume if patient.cut is None else _ended(volume, *patient.cut)


def _draw_person(recipe: PhantomRecipe, template: Template, sex: str, drawn: Drawn, rng: np.random.Generator) -> Person:
    """One person of the study."""
    if recipe.hand is not None:
        return sample_hand(recipe.hand.shape, template, sex, rng)
    assert recipe.body is not None and isinstance(recipe.body.shape, AdultShape)
    return sample_adult(recipe.body.shape, template, sex, recipe.widen, drawn.get("obesity"), rng)


def _pose(
    recipe: PhantomRecipe, template: Template, person: Person, drawn: Drawn, rng: np.random.Generator
) -> tuple[Posed, Record]:
    """The person in one pose of the study, and which shifts that holds."""
    if recipe.hand is not None:
        return pose_hand(recipe.hand.pose, template, person, drawn, rng)
    assert recipe.body is not None
    return pose_body(recipe.body.pose, template, person, drawn, rng)


def _spacing(recipe: PhantomRecipe, rng: np.random.Generator) -> tuple[float, float, float]:
    """(x, y, z) mm of a case's voxels."""
    plane, slices = (most ** rng.random() for most in recipe.coarser)
    x, y, z = recipe.spacing_mm
    return (x * plane, y * plane, z * slices) if recipe.modality == "ct" else (x * plane, y * slices, z * plane)


def _ended(volume: Volume, side: str, share: float) -> Volume:
    """The volume without a share of it at one side: "superior", "inferior", "left" or "right" of the patient."""
    axis = 2 if side in ("superior", "inferior") else 0
    size = volume.voxels.shape[2 - axis]
    lost = round(share * size)
    first, last = (lost, size) if side in ("inferior", "right") else (0, size - lost)
    start = volume.index_to_patient.copy()
    start[:, 3] += first * start[:, axis]
    kept = np.take(volume.voxels, np.arange(first, last), axis=2 - axis)
    return Volume(voxels=np.ascontiguousarray(kept), index_to_patient=start)


def hand_phantoms() -> PhantomRecipe:
    """MR volumes of left hands lying flat, two poses a person; other proportions and spreads than are rendered."""
    return PhantomRecipe(
        anatomy="hand",
        cases_per_subject=2,
        hand=HandRange(
            shape=HandShape(
                age_years=(7.0, 70.0), gender_spread=0.4, muscle=(0.45, 0.25), weight=(0.45, 0.3), height=(0.5, 0.25),
                changes=0.5, finger_length=0.07, finger_width=0.08, palm_width=0.08,
            ),
            pose=HandPose(
                index_middle=(1.0, 22.0), middle_ring=(0.0, 18.0), ring_little=(3.0, 30.0), thumb_index=(5.0, 55.0),
                flexion=(0.0, 20.0), palmar=(5.0, 40.0), rotation=(-18.0, 18.0), wide=0.1,
            ),
        ),
        insides=Insides(skin_mm=(0.8, 1.6)),
        artefacts=usual_artefacts(),
    )  # fmt: skip


def body_phantoms() -> PhantomRecipe:
    """CT volumes of supine bodies on a couch, 14 women and 6 men; wider masses and poses than are rendered."""
    return PhantomRecipe(
        anatomy="body",
        count=20,
        female=0.7,
        body=BodyRange(
            shape=AdultShape(age=(20.0, 88.0), usual_bmi=(26.0, 0.25), any_bmi=0.4),
            pose=BodyPose(
                arms=ArmPose(
                    belly=0.2, up=0.25, clavicle=(-3.0, 22.0), clavicle_sides=5.0, abduction=(2.0, 42.0),
                    elbow=(3.0, 55.0), elevation=(120.0, 180.0), wrist=(-22.0, 22.0),
                ),
                legs=LegPose(rest=0.4, contracted=0.08, hip_rotation=(-15.0, 55.0), foot=(-15.0, 60.0)),
                head_turn=(-55.0, 55.0), head_flexion=(-5.0, 40.0), bend=(-14.0, 14.0), roll=(-10.0, 10.0),
                flesh=(0.0, 1.0),
            ),
        ),
        deformation_mm=4.0,
        wavelength_mm=(200.0, 700.0),
        modality="ct",
        spacing_mm=(3.0, 3.0, 4.0),
        noise=20.0,
        couch="any",
        insides=Insides(),
    )  # fmt: skip
