"""One virtual subject, posed and seen: a mesh in viewing coordinates with exact landmarks, made from its id alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from synth.body import PHENOTYPES, Array, Shape, landmarks_of, rest_mesh, sample_shape, skin
from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.patch import Crop, apply_affine, invert_affine
from synth.pose import (
    BodyPose,
    HandPose,
    Skeleton,
    about,
    hand_frame,
    pose_body,
    pose_hand,
    sample_body_pose,
    sample_hand_pose,
)
from synth.template import Template, load_template

DEPTH_MARGIN_MM = 10.0  # the zero plane lies this far before the nearest surface


@dataclass(frozen=True, kw_only=True)
class RenderRecipe:
    """What is rendered: shapes, poses and crop of one anatomy, and rows per shard."""

    anatomy: str
    shape: Shape = Shape()
    hand_pose: HandPose | None = None
    body_pose: BodyPose | None = None
    crop: Crop = Crop()
    shard_rows: int = 512

    def __post_init__(self) -> None:
        anatomy_named(self.anatomy)
        needed, other = (self.hand_pose, self.body_pose) if self.anatomy == "hand" else (self.body_pose, self.hand_pose)
        if needed is None or other is not None:
            raise ValueError(f"recipe for {self.anatomy} needs {self.anatomy}_pose and only that")
        if self.shard_rows < 1 or self.shard_rows % GROUP:
            raise ValueError(f"render.shard_rows is {self.shard_rows}; allowed: multiples of {GROUP}")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON types; its hash names the data it makes."""
        dumped: dict[str, Any] = TypeAdapter(RenderRecipe).dump_python(self, mode="json")
        return dumped


GROUP = 16  # figures per Blender render call; shards hold whole groups, so that a sample never depends on its shard


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A posed subject in viewing coordinates, millimetres: x to the image's right, y down, z away from the viewer.

    vertices (V, 3), landmarks (K, 3), joints (J, 3) float32; parameters (P,) float32, see parameter_names.
    """

    vertices: Array
    landmarks: Array
    joints: Array
    parameters: Array


def sample_figure(recipe: RenderRecipe, template: Template, rng: np.random.Generator) -> Figure:
    """A figure drawn from the recipe's shapes and poses."""
    shape = sample_shape(recipe.shape, template.changes, rng)
    factors = sample_proportions(recipe.shape, rng)
    return pose_figure(recipe, template, shape, rng, factors)


def pose_figure(
    recipe: RenderRecipe,
    template: Template,
    shape: NDArray[np.float64],
    rng: np.random.Generator,
    factors: dict[str, float],
) -> Figure:
    """A subject of the given shape (see sample_shape) and hand proportions in a pose drawn from the recipe."""
    anatomy = anatomy_named(recipe.anatomy)
    vertices, heads = rest_mesh(template, shape)
    if recipe.hand_pose is None:
        assert recipe.body_pose is not None
        angles = sample_body_pose(recipe.body_pose, rng)
        skeleton = pose_body(template, heads, angles)
        factors = {}
    else:
        angles = sample_hand_pose(recipe.hand_pose, rng)
        vertices, heads = proportion_hand(template, vertices, heads, factors)
        skeleton = pose_hand(template, heads, angles)
    rotations, positions = skeleton.rotations.astype(np.float32), skeleton.positions.astype(np.float32)
    posed = skin(template, vertices, heads, rotations, positions)
    marks = landmarks_of(template, anatomy, (vertices, heads), rotations, positions, posed)
    if recipe.hand_pose is not None:
        posed = cut_forearm(template, posed, skeleton, angles)
    view = _view_of(template, recipe, heads, angles)
    used = template.weights.any(0)
    return Figure(
        vertices=(posed @ view.T).astype(np.float32),
        landmarks=(marks @ view.T).astype(np.float32),
        joints=(positions[used] @ view.T).astype(np.float32),
        parameters=np.array([*shape, *factors.values(), *angles.values()], np.float32),
    )


def parameter_names(recipe: RenderRecipe, template: Template) -> list[str]:
    """Names of Figure.parameters, in order."""
    rng = np.random.default_rng(0)
    if recipe.hand_pose is not None:
        drawn = [*sample_proportions(recipe.shape, rng), *sample_hand_pose(recipe.hand_pose, rng)]
    else:
        assert recipe.body_pose is not None
        drawn = list(sample_body_pose(recipe.body_pose, rng))
    return [*PHENOTYPES, *template.changes, *drawn]


def joint_names(template: Template) -> list[str]:
    """Names of Figure.joints, in order: the heads of all bones that move the skin of this template."""
    return [name for name, moves in zip(template.bones, template.weights.any(0), strict=True) if moves]


def sample_proportions(shape: Shape, rng: np.random.Generator) -> dict[str, float]:
    """Factors by which each finger is longer and thicker, and the palm wider, than the body model's."""
    factors = {}
    for digit in range(1, 6):
        factors[f"length_{digit}"] = float(np.exp(rng.normal(0, shape.finger_length)))
        factors[f"width_{digit}"] = float(np.exp(rng.normal(0, shape.finger_width)))
    factors["palm"] = float(np.exp(rng.normal(0, shape.palm_width)))
    return factors


def proportion_hand(
    template: Template, vertices: Array, heads: Array, factors: dict[str, float]
) -> tuple[Array, Array]:
    """(vertices, heads) of a rest hand with each finger scaled along and across its own axis, and the palm across."""
    side, _, _ = hand_frame(template, heads.astype(np.float64))
    moved, joints = vertices.astype(np.float64), heads.astype(np.float64)
    for digit in range(1, 6):
        bones = [template.bone(f"finger{digit}-{joint}.L") for joint in (1, 2, 3)]
        chain = bones[1:] if digit == 1 else bones  # the thumb's first bone is its metacarpal, part of the palm
        base = joints[chain[0]].copy()
        axis = joints[chain[-1]] - base
        axis /= np.linalg.norm(axis)
        share = template.weights[:, chain].sum(1)
        length, width = factors[f"length_{digit}"], factors[f"width_{digit}"]
        moved += share[:, None] * _stretch(moved - base, axis, length, width)
        joints[chain] += _stretch(joints[chain] - base, axis, length, 1.0)
    palm = (factors["palm"] - 1) * side
    centre = joints[template.bone("finger3-1.L")]
    moved += ((moved - centre) @ side)[:, None] * palm
    joints += ((joints - centre) @ side)[:, None] * palm
    return moved.astype(np.float32), joints.astype(np.float32)


def _stretch(
    offsets: NDArray[np.float64], axis: NDArray[np.float64], length: float, width: float
) -> NDArray[np.float64]:
    along = np.maximum(offsets @ axis, 0)[:, None] * axis
    across = offsets - (offsets @ axis)[:, None] * axis
    return np.asarray((length - 1) * along + (width - 1) * across)


def cut_forearm(template: Template, posed: Array, skeleton: Skeleton, angles: dict[str, float]) -> Array:
    """The posed hand (V, 3) cut off at a plane across the forearm: what lies beyond is drawn onto the plane.

    The plane lies `forearm` hand lengths below the wrist and is tilted by `cut_tilt` in the plane of the hand.
    """
    positions = skeleton.positions
    wrist, elbow = positions[template.bone("wrist.L")], positions[template.bone("lowerarm01.L")]
    length = 2.0 * np.linalg.norm(positions[template.bone("finger3-1.L")] - wrist)
    down = (elbow - wrist) / np.linalg.norm(elbow - wrist)
    _, _, back = hand_frame(template, skeleton.heads)
    tilt = np.deg2rad(angles["cut_tilt"])
    normal = np.cos(tilt) * down + np.sin(tilt) * np.cross(down, back)
    origin = wrist + angles["forearm"] * length * down
    beyond = (posed - origin) @ normal
    reach = np.maximum(beyond, 0) / (down @ normal)
    axis_point = origin + ((posed - origin) @ down)[:, None] * down
    # Rings far beyond the plane would stick out where the forearm is thicker: they shrink towards its axis.
    shrink = np.where(reach > 0.02, 0.5, 1.0)[:, None]
    drawn = axis_point + (posed - axis_point) * shrink
    onto = drawn - (np.maximum((drawn - origin) @ normal, 0) / (down @ normal))[:, None] * down
    digits = [j for j, name in enumerate(template.bones) if name.startswith("finger")]
    cut = (beyond > 0) & (template.weights[:, digits].sum(1) < 0.5)  # a thumb far out may reach below the plane
    return np.where(cut[:, None], onto, posed).astype(np.float32)


def _view_of(template: Template, recipe: RenderRecipe, heads: Array, angles: dict[str, float]) -> NDArray[np.float64]:
    """(3, 3) from model metres to viewing millimetres: x right, y down, z away from the viewer."""
    if recipe.hand_pose is None:
        return np.array([[1000.0, 0, 0], [0, 0, -1000.0], [0, 1000.0, 0]])
    side, up, back = hand_frame(template, heads.astype(np.float64))
    turn, lean, nod = (np.deg2rad(angles[name]) for name in ("rotation", "tilt_up", "tilt_side"))
    rotation = about([0, 0, 1], turn) @ about([0, 1, 0], lean) @ about([1, 0, 0], nod)
    return np.asarray(1000 * rotation @ np.stack([side, -up, -back]), np.float64)


@dataclass(frozen=True, kw_only=True)
class Framed:
    """A figure in its patch: vertices (V, 3) and landmarks (K, 3) as (x px, y px, depth mm), pixel_mm (2,) float32."""

    vertices: Array
    landmarks: Array
    pixel_mm: Array
    figure: Figure


def frame_figure(recipe: RenderRecipe, figure: Figure, anatomy: Anatomy) -> Framed:
    """The figure cropped and scaled into the anatomy's patch, its depth measured from the zero plane."""
    low, high = figure.vertices.min(0).astype(np.float64), figure.vertices.max(0).astype(np.float64)
    window = recipe.crop.window(np.array([low[0], low[1], high[0], high[1]]), anatomy.size, source_pixel_mm=1.0)
    to_patch = invert_affine(window)
    zero = low[2] - DEPTH_MARGIN_MM

    def place(points: Array) -> Array:
        plane = apply_affine(to_patch, points[:, :2].astype(np.float64))
        return np.column_stack([plane, points[:, 2] - zero]).astype(np.float32)

    return Framed(
        vertices=place(figure.vertices),
        landmarks=place(figure.landmarks),
        pixel_mm=np.diag(window[:, :2]).astype(np.float32),
        figure=figure,
    )


def draw(recipe: RenderRecipe, template: Template, seed: int, sample_id: int) -> Framed:
    """Sample `sample_id`: a function of recipe, seed and id alone."""
    figure = sample_figure(recipe, template, np.random.default_rng([seed, sample_id]))
    return frame_figure(recipe, figure, anatomy_named(recipe.anatomy))


def template_of(recipe: RenderRecipe) -> Template:
    """The template of the recipe's anatomy."""
    return load_template(recipe.anatomy)
