"""Labelled virtual scans: what a scanner would make of subjects that the generator does not render.

A phantom differs from a rendering in every step: other ranges of shape and pose, a smooth random deformation, voxels,
partial volume, noise, and for CT a couch. Its random stream is its own (TAG), never the renderer's.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synth.acquisition import Acquisition, turn_bones, turn_joints, turn_points
from synth.body.arms import ArmPose
from synth.body.legs import LegPose
from synth.body.pose import BodyPose
from synth.body.shape import AdultShape
from synth.body.surface import surface_of
from synth.bones import Bone, bones_along
from synth.compartments import Insides, label_voxels
from synth.couches import ROOM_MM, CouchKind
from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.patch import Matrix
from synth.domain.projection import Volume
from synth.figure import BodyRange, HandRange, RenderRecipe, joint_names, sample_figure, sample_person
from synth.hand.pose import HandPose
from synth.hand.shape import HandShape
from synth.mesh import PHENOTYPES
from synth.points import finder_of
from synth.template import Template
from synth.voxels import ct_volume, mr_volume, sample_deformation, voxelise

TAG = 7_401  # third word of every phantom seed, so that no phantom repeats a rendering
SUBJECT, CASE, SCAN, EXPORT = range(4)  # fourth word: what the stream draws


@dataclass(frozen=True, kw_only=True)
class PhantomRecipe:
    """A virtual study: who is scanned, and how.

    count: cases; cases_per_subject: scans of one shape in different poses; side: of a hand (every case of a study)
    hand, body: as for renderings, but with ranges of their own
    deformation_mm: root mean square of a smooth displacement with waves of wavelength_mm
    spacing_mm: (x, y, z) voxel; blur_voxels: partial volume; noise: deviation in HU (CT) or of tissue = 420 (MR)
    modality: "ct" or "mr"; couch: what a CT patient lies on, see couches.py, "any" draws it for each case
    insides: what is inside a CT patient, see compartments.py; None: one value throughout
    acquisition: how cases are exported
    """

    anatomy: str
    count: int = 24
    cases_per_subject: int = 1
    side: Literal["left", "right"] = "left"
    hand: HandRange | None = None
    body: BodyRange | None = None
    deformation_mm: float = 1.5
    wavelength_mm: tuple[float, float] = (60.0, 200.0)
    modality: Literal["ct", "mr"] = "mr"
    spacing_mm: tuple[float, float, float] = (0.8, 1.0, 0.8)
    blur_voxels: float = 0.6
    noise: float = 25.0
    couch: CouchKind = "none"
    insides: Insides | None = None
    acquisition: Acquisition = Acquisition()

    def __post_init__(self) -> None:
        self.figure  # noqa: B018  validates anatomy and pose
        if self.count < 1 or self.cases_per_subject < 1:
            counts = f"{self.count}, {self.cases_per_subject}"
            raise ValueError(f"phantom.count, cases_per_subject are {counts}; allowed: at least 1")
        if not 0.3 <= min(self.spacing_mm) <= max(self.spacing_mm) <= 20:
            raise ValueError(f"phantom.spacing_mm is {self.spacing_mm}; allowed: 0.3 to 20 per axis")
        if min(self.blur_voxels, self.noise, self.deformation_mm) < 0:
            values = f"{self.blur_voxels}, {self.noise}, {self.deformation_mm}"
            raise ValueError(f"phantom.blur_voxels, noise, deformation_mm are {values}; allowed: >= 0")
        sample_deformation(self.deformation_mm, self.wavelength_mm, np.random.default_rng([0, TAG]))

    @property
    def figure(self) -> RenderRecipe:
        """The shapes and poses as the generator takes them."""
        return RenderRecipe(anatomy=self.anatomy, hand=self.hand, body=self.body)


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
    )  # fmt: skip


def body_phantoms() -> PhantomRecipe:
    """CT volumes of supine bodies on a couch; wider masses and poses than are rendered."""
    return PhantomRecipe(
        anatomy="body",
        count=20,
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


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A virtual patient before the scan, in patient mm (LPS).

    vertices (V, 3), landmarks (K, 3) float64; joints: of the rig, name -> (3,); bones: along them
    attributes: gender and age in the body model's units, 0..1
    """

    case: str
    subject: str
    vertices: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    joints: dict[str, NDArray[np.float64]]
    bones: tuple[Bone, ...]
    attributes: dict[str, float]


def make_patient(recipe: PhantomRecipe, template: Template, seed: int, index: int) -> Patient:
    """Case `index` of the study that recipe and seed define; cases of one subject share the shape, not the pose."""
    anatomy = anatomy_named(recipe.anatomy)
    number = index // recipe.cases_per_subject
    personal = np.random.default_rng([seed, number, TAG, SUBJECT])
    person = sample_person(recipe.figure, template, personal)
    rng = np.random.default_rng([seed, index, TAG, CASE])
    figure = sample_figure(recipe.figure, template, rng, person)
    field = sample_deformation(recipe.deformation_mm, recipe.wavelength_mm, rng)
    place = rng.uniform(-40, 40, 3)
    vertices, landmarks, at = (
        field.apply(_patient_axes(points, recipe.side)) + place
        for points in (figure.vertices, figure.landmarks, figure.joints)
    )
    joints = dict(zip(joint_names(template), at, strict=True))
    return Patient(
        case=f"{anatomy.name}-{index:04d}",
        subject=f"subject-{number:04d}",
        vertices=vertices,
        landmarks=_highest(template, landmarks, vertices, anatomy),
        joints=joints,
        bones=bones_along(joints),
        attributes={name: round(person[name], 4) for name in PHENOTYPES},
    )


def turned(patient: Patient, rotation: Matrix) -> Patient:
    """The patient in the axes of a scanner that is turned by `rotation` (3, 3) about the patient's origin."""
    return replace(
        patient,
        vertices=turn_points(patient.vertices, rotation),
        landmarks=turn_points(patient.landmarks, rotation),
        joints=turn_joints(patient.joints, rotation),
        bones=turn_bones(patient.bones, rotation),
    )


def scan(recipe: PhantomRecipe, template: Template, patient: Patient, seed: int, index: int) -> Volume:
    """The CT or MR volume of a patient, with its own noise."""
    rng = np.random.default_rng([seed, index, TAG, SCAN])
    margin = (20.0, 10.0 if recipe.couch == "none" else ROOM_MM, 10.0 + 2 * recipe.spacing_mm[2])
    mask, affine = voxelise(patient.vertices, template.triangles, recipe.spacing_mm, margin)
    if recipe.modality == "ct":
        head = None
        if recipe.couch != "none":
            skin = patient.vertices[surface_of(template, "head").index]
            head = np.stack([skin.min(0), skin.max(0)])
        labels = None
        if recipe.insides is not None:
            labels = label_voxels(mask, affine, patient.joints, patient.bones, recipe.insides, rng)
        return ct_volume(mask, affine, recipe.noise, recipe.blur_voxels, rng, recipe.couch, head, labels)
    return mr_volume(mask, affine, recipe.noise, recipe.blur_voxels, rng)


def _patient_axes(points: NDArray[np.float32], side: str) -> NDArray[np.float64]:
    """Viewing coordinates (x right, y down, z away) as LPS; a right hand is the mirror image of a left one."""
    x, y, z = points.astype(np.float64).T
    return np.column_stack([-x if side == "right" else x, z, -y])


def _highest(
    template: Template, landmarks: NDArray[np.float64], vertices: NDArray[np.float64], anatomy: Anatomy
) -> NDArray[np.float64]:
    """The landmarks, with the most cranial ones of a bone's skin where the deformed skin is highest now."""
    highest = landmarks.copy()
    for extremum in finder_of(template, anatomy).extrema:
        name = anatomy.points[extremum.row].name
        if name in anatomy.names and anatomy.points[extremum.row].direction == "cranial":
            own = vertices[extremum.own]
            highest[anatomy.names.index(name)] = own[own[:, 2].argmax()]
    return highest
