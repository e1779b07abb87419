"""What is inside a virtual patient: skin, fat, muscle, bones, lungs, gas and metal, as a label for each voxel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.bones import Bone, Vector
from synth.cavities import Chest, airway_of, chest_of, gas_in, lungs_in, organ_fat_in, ribs_in, skull_in
from synth.domain.patch import Matrix
from synth.voxel_grid import Grid

HAND_BMI = 25.0  # of a patient who shows nothing but a hand
CORTEX_MM = 3.5  # thickness, at most a third of the bone's radius
BELOW_SKIN_MM = 1.0  # from a bone to the skin, at least

# (joint, joint, fat below the skin as a share of that of the trunk); S stands for the side.
# Set by hand: thickest at the belly, then thighs and arms, next to none at hands, feet and face.
_PLACES = (
    ("spine05", "spine03", 1.1), ("spine03", "spine01", 0.8), ("spine01", "neck01", 0.6), ("neck01", "head", 0.35),
    ("head", "eye.L", 0.15), ("head", "eye.R", 0.15), ("upperleg01.S", "lowerleg01.S", 0.6),
    ("lowerleg01.S", "foot.S", 0.3), ("foot.S", "toe3-1.S", 0.15), ("upperarm01.S", "lowerarm01.S", 0.45),
    ("lowerarm01.S", "wrist.S", 0.25), ("wrist.S", "finger3-3.S", 0.12), ("finger1-1.S", "finger1-3.S", 0.12),
    ("finger2-1.S", "finger2-3.S", 0.1), ("finger4-1.S", "finger4-3.S", 0.1), ("finger5-1.S", "finger5-3.S", 0.1),
)  # fmt: skip


class Label(IntEnum):
    """What a voxel is made of."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3  # and all other soft tissue
    LUNG = 4
    CORTEX = 5
    MARROW = 6
    GAS = 7  # bowel, mouth and windpipe
    METAL = 8


@dataclass(frozen=True, kw_only=True)
class Insides:
    """What is drawn for each scan. Ranges are (low, high); airway and metal are shares of patients, 0 to 1.

    skin_mm: thickness; fat: of what is usual at the patient's BMI; gas: blobs in the bowel
    airway: mouth and windpipe are open to the outside; metal: a hip or dental implant
    """

    skin_mm: tuple[float, float] = (1.5, 2.5)
    fat: tuple[float, float] = (0.7, 1.3)
    gas: tuple[int, int] = (3, 9)
    airway: float = 0.5
    metal: float = 0.1

    def __post_init__(self) -> None:
        for name, (low, high) in (("skin_mm", self.skin_mm), ("fat", self.fat), ("gas", self.gas)):
            if not 0 <= low <= high:
                raise ValueError(f"insides.{name} is {low}, {high}; allowed: 0 <= low <= high")
        for name, share in (("airway", self.airway), ("metal", self.metal)):
            if not 0 <= share <= 1:
                raise ValueError(f"insides.{name} is {share}; allowed: 0 to 1")


def label_voxels(
    mask: NDArray[np.bool_],
    affine: Matrix,
    joints: Mapping[str, Vector],
    bones: Sequence[Bone],
    insides: Insides,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """(z, y, x) uint8 labels of a patient's voxels `mask`: above 0 exactly where the mask is set.

    affine (3, 4): voxel -> patient mm; joints: of the rig, name -> (3,) patient mm; bones: in patient mm.
    A joint that is not there (all but a hand's) leaves out what hangs on it.
    """
    labels = np.zeros(mask.shape, np.uint8)
    box = _box(mask)
    inner, grid = mask[box], Grid.of(mask.shape, affine).part(box)
    skin_mm, plump = rng.uniform(*insides.skin_mm), rng.uniform(*insides.fat)
    depth = _depth(inner, grid)
    bmi = bmi_of(float(mask.sum() * grid.spacing.prod()) / 1e6, joints)
    fat_mm = plump * usual_fat_mm(bmi)
    fat_depth = skin_mm + fat_mm * _fat_share(joints, grid)
    part = np.where(inner, np.uint8(Label.MUSCLE), np.uint8(Label.AIR))
    part[inner & (depth < fat_depth)] = Label.FAT
    chest = chest_of(joints)
    if chest is not None:
        below_fat, belly = depth - fat_depth, grid.box(*chest.belly)
        within = organ_fat_in(chest, below_fat[belly], grid.part(belly), min(plump * bmi / 100, 0.6), rng)
        part[belly][within] = Label.FAT
        _fill_trunk(part, depth, below_fat, grid, chest, insides, rng)
    _lay_bones(part, depth - skin_mm, grid, bones)
    part[skull_in(depth, joints, grid)] = Label.CORTEX
    part[(inner & (depth < skin_mm)) | (inner & ~ndimage.binary_erosion(inner, border_value=1))] = Label.SKIN
    _open_airway(part, inner, joints, grid, rng.random() < insides.airway)
    _implant(part, depth - skin_mm, grid, joints, rng.random() < insides.metal, rng)
    labels[box] = part
    return labels


def usual_fat_mm(bmi: float) -> float:
    """Thickness of the fat below the skin of the trunk in mm; about 20 at a BMI of 25 and 45 at 40.

    Set by hand, no measurement stands behind the line; Insides.fat spreads it.
    """
    return float(np.clip(1.65 * (bmi - 12.8), 5, 70))


def bmi_of(litres: float, joints: Mapping[str, Vector]) -> float:
    """BMI in kg/m² of a body of this volume, 1 kg a litre, whose stature is the sum of its joints' distances."""
    chain = ("foot.L", "lowerleg01.L", "upperleg01.L", "spine05", "spine03", "spine01", "neck01", "head")
    if any(name not in joints for name in chain):
        return HAND_BMI
    at = np.array([joints[name] for name in chain])
    steps = np.diff(at, axis=0)
    steps[2, :2] = 0  # from the hip to the middle of the pelvis only the height counts
    stature = np.linalg.norm(steps, axis=1).sum() + 80 + 140  # to the sole, to the crown
    return litres / float(stature / 1000) ** 2


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The box of a mask with a voxel of air around it, where the volume has one. Raises ValueError for none."""
    found = ndimage.find_objects(mask.view(np.uint8))
    if not found:
        raise ValueError("the patient has no voxel; give a smaller spacing_mm")
    z, y, x = (slice(max(s.start - 1, 0), s.stop + 1) for s in found[0])
    return z, y, x


def _depth(inner: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    """(z, y, x) distance in mm to the surface, which lies half a voxel before the nearest air; 0 in air.

    scipy's own distances take twice the time: they are worked out in float64, for air as well.
    """
    nearest = ndimage.distance_transform_edt(inner, grid.spacing[::-1], return_distances=False, return_indices=True)
    at = np.nonzero(inner)
    squares = np.zeros(len(at[0]), np.float32)
    for axis, step in enumerate(grid.spacing[::-1]):
        squares += (np.float32(step) * (nearest[axis][at] - at[axis])) ** 2
    depth = np.zeros(inner.shape, np.float32)
    depth[at] = np.sqrt(squares) - np.float32(grid.spacing.min() / 2)
    return depth


def _fat_share(joints: Mapping[str, Vector], grid: Grid) -> NDArray[np.float32]:
    """(z, y, x) fat below the skin as a share of that of the trunk: of the places near, weighted by their distance."""
    coarse = grid.coarse(16.0)
    points = coarse.points(coarse.all)
    weight, total = np.full(points.shape[:3], 1e-12, np.float32), np.full(points.shape[:3], 1e-12, np.float32)
    for side in "LR":
        for start, end, share in _PLACES:
            a, b = (joints.get(name.replace("S", side)) for name in (start, end))
            if a is not None and b is not None:
                near = 1 / (_along(points, a, b)[0] + 5) ** 4
                weight += near
                total += share * near
    return coarse.interpolate(total / weight, grid)


def _along(points: NDArray[np.float32], a: Vector, b: Vector) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(distance in mm of points (..., 3) to the stretch from a to b, how far along it the nearest lies, 0 to 1)."""
    axis = (b - a).astype(np.float32)
    relative = points - a.astype(np.float32)
    share = np.clip(relative @ axis / max(float(axis @ axis), 1e-9), 0, 1)
    return np.linalg.norm(relative - share[..., None] * axis, axis=-1), share


def _fill_trunk(
    part: NDArray[np.uint8],
    depth: NDArray[np.float32],
    below_fat: NDArray[np.float32],
    grid: Grid,
    chest: Chest,
    insides: Insides,
    rng: np.random.Generator,
) -> None:
    """Put lungs, ribs and bowel gas into the labels, in place."""
    box = grid.box(*chest.thorax)
    own = grid.part(box)
    inside, lungs = part[box], lungs_in(chest, below_fat[box], own, rng)
    ribs = ribs_in(chest, lungs, depth[box], below_fat[box], own)
    inside[ribs] = Label.CORTEX
    inside[lungs] = Label.LUNG
    for _ in range(int(rng.integers(insides.gas[0], insides.gas[1], endpoint=True))):
        gas, box = gas_in(chest, below_fat, grid, rng)
        part[box][gas] = Label.GAS


def _lay_bones(part: NDArray[np.uint8], below_skin: NDArray[np.float32], grid: Grid, bones: Sequence[Bone]) -> None:
    """Put cortex and marrow into the labels, in place, where they lie well below the skin."""
    for label, inset in ((Label.CORTEX, 0.0), (Label.MARROW, 1.0)):  # all cortex first: bones grow together at joints
        for bone in bones:
            reach = max(bone.radius_start_mm, bone.radius_end_mm)
            ends = np.stack([bone.start, bone.end])
            box = grid.box(ends.min(0) - reach, ends.max(0) + reach)
            away, share = _along(grid.points(box), bone.start, bone.end)
            radius = bone.radius_start_mm + share * (bone.radius_end_mm - bone.radius_start_mm)
            radius = radius - inset * np.minimum(CORTEX_MM, radius / 3)
            part[box][(away < radius) & (below_skin[box] > BELOW_SKIN_MM)] = label


def _open_airway(
    part: NDArray[np.uint8], inner: NDArray[np.bool_], joints: Mapping[str, Vector], grid: Grid, opened: bool
) -> None:
    """Put mouth and windpipe into the labels, in place."""
    for start, end, radius in airway_of(joints, opened):
        ends = np.stack([start, end])
        box = grid.box(ends.min(0) - radius, ends.max(0) + radius)
        tube = _along(grid.points(box), start, end)[0] < radius
        part[box][tube & inner[box] & (opened | (part[box] != Label.SKIN))] = Label.GAS


def _implant(
    part: NDArray[np.uint8],
    below_skin: NDArray[np.float32],
    grid: Grid,
    joints: Mapping[str, Vector],
    present: bool,
    rng: np.random.Generator,
) -> None:
    """Put a hip's head and stem, or a dental bridge, into the labels, in place."""
    side, hip = "LR"[int(rng.integers(2))], bool(rng.random() < 0.6)
    if not present or "eye.L" not in joints:
        return
    if hip:
        head, knee = joints[f"upperleg01.{side}"], joints[f"lowerleg01.{side}"]
        pieces = [(head, head, 16.0), (head, head + 0.35 * (knee - head), 7.0)]
    else:
        tooth = _deepest(below_skin, grid, airway_of(joints, opened=False)[0][0], 25.0)
        pieces = [(tooth, tooth + np.array([14.0, 0.0, 0.0]), 5.0)]
    for start, end, radius in pieces:
        ends = np.stack([start, end])
        box = grid.box(ends.min(0) - radius, ends.max(0) + radius)
        near = _along(grid.points(box), start, end)[0] < radius
        part[box][near & (below_skin[box] > BELOW_SKIN_MM)] = Label.METAL


def _deepest(depth: NDArray[np.float32], grid: Grid, middle: Vector, reach_mm: float) -> Vector:
    """(3,) the deepest voxel around a point, in patient mm: a mouth may be hollow, and its teeth lie in what is not."""
    box = grid.box(middle - reach_mm, middle + reach_mm)
    z, y, x = np.unravel_index(int(depth[box].argmax()), depth[box].shape)
    return np.array([grid.x[box[2]][x], grid.y[box[1]][y], grid.z[box[0]][z]])
