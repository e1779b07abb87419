"""One virtual subject, posed and seen: a mesh in viewing coordinates with exact landmarks, made from its id alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from synth.body.child import ChildShape
from synth.body.model import bodies_of, sample_bodies
from synth.body.pose import BodyPose, sample_body_pose
from synth.body.shape import AdultShape, BodyShape
from synth.domain.anatomy import Anatomy, anatomy_named
from synth.domain.patch import Crop, apply_affine, invert_affine
from synth.hand.model import hand_of
from synth.hand.pose import HandPose, sample_hand_pose
from synth.hand.shape import HandShape, sample_hand_shape
from synth.mesh import Array, Parameters, Posed, stored
from synth.points import points_of
from synth.template import Template, load_template

DEPTH_MARGIN_MM = 10.0  # the zero plane lies this far before the nearest surface
GROUP = 16  # figures per Blender render call; shards hold whole groups, so that a sample never depends on its shard
TOGETHER = 128  # figures drawn at once, at most: bodies cost half of what they do one by one; 0.1 GB for their meshes


@dataclass(frozen=True, kw_only=True)
class HandRange:
    """Which hands are drawn: their shapes and poses."""

    shape: HandShape = HandShape()
    pose: HandPose = HandPose()


@dataclass(frozen=True, kw_only=True)
class BodyRange:
    """Which bodies are drawn: their shapes and poses."""

    shape: AdultShape | ChildShape | BodyShape = AdultShape()
    pose: BodyPose = BodyPose()


@dataclass(frozen=True, kw_only=True)
class RenderRecipe:
    """What is rendered: shapes and poses of hands or bodies (the other is None), crop, rows per shard.

    anatomy: a name or a TOML file, as anatomy_named takes it; its base says which of the two.
    thickness: whether shards hold how thick a figure is along each ray, too; a hand costs 2 ms more, a body 8
    engine: of Blender, see blender.py: "cycles" is the reference, "raycast" makes the same pictures, faster
    """

    anatomy: str
    hand: HandRange | None = None
    body: BodyRange | None = None
    crop: Crop = Crop()
    engine: Literal["cycles", "raycast"] = "raycast"
    shard_rows: int = 512
    thickness: bool = False

    def __post_init__(self) -> None:
        base = anatomy_named(self.anatomy).base
        needed, other = (self.hand, self.body) if base == "hand" else (self.body, self.hand)
        if needed is None or other is not None:
            raise ValueError(f"recipe for {self.anatomy} needs `{base}` and only that")
        if self.shard_rows < 1 or self.shard_rows % GROUP:
            raise ValueError(f"render.shard_rows is {self.shard_rows}; allowed: multiples of {GROUP}")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON types; its hash names the data it makes."""
        dumped: dict[str, Any] = TypeAdapter(RenderRecipe).dump_python(self, mode="json")
        if not self.thickness:
            del dumped["thickness"]  # its hash is that of data made before there was the field: they can be continued
        return dumped


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A posed subject in viewing coordinates, millimetres: x to the image's right, y down, z away from the viewer.

    vertices (V, 3), points (P, 3), landmarks (K, 3), joints (J, 3) float32: points are all that the anatomy names,
    landmarks some of them. parameters: all that made it, see figure_of.
    """

    vertices: Array
    points: Array
    landmarks: Array
    joints: Array
    parameters: Parameters


def sample_people(recipe: RenderRecipe, template: Template, rngs: Sequence[np.random.Generator]) -> list[Parameters]:
    """The shape parameters of subjects drawn from the recipe, one per generator; each as if it were alone."""
    if recipe.hand is not None:
        shape = recipe.hand.shape
        return [stored(sample_hand_shape(shape, template.changes, rng)) for rng in rngs]
    assert recipe.body is not None
    return [stored(person) for person in recipe.body.shape.sample(template, rngs)]


def sample_person(recipe: RenderRecipe, template: Template, rng: np.random.Generator) -> Parameters:
    """The shape parameters of a subject drawn from the recipe."""
    return sample_people(recipe, template, [rng])[0]


def sample_pose(recipe: RenderRecipe, rng: np.random.Generator) -> Parameters:
    """The pose parameters of one image of a subject, drawn from the recipe."""
    if recipe.hand is not None:
        return stored(sample_hand_pose(recipe.hand.pose, rng))
    assert recipe.body is not None
    return stored(sample_body_pose(recipe.body.pose, rng))


def sample_figure(
    recipe: RenderRecipe, template: Template, rng: np.random.Generator, person: Parameters | None = None
) -> Figure:
    """As sample_figures, one figure."""
    return sample_figures(recipe, template, [rng], None if person is None else [person])[0]


def sample_figures(
    recipe: RenderRecipe,
    template: Template,
    rngs: Sequence[np.random.Generator],
    people: Sequence[Parameters] | None = None,
) -> list[Figure]:
    """Figures drawn from the recipe with `rngs`, one each; of the given people where there are any, else of their own.

    Poses in which a body's limbs reach into each other are drawn again, from the same generator. A figure has the same
    bits whichever others are drawn beside it; bodies take less time several at once.
    """
    if people is None:
        people = sample_people(recipe, template, rngs)
    anatomy = anatomy_named(recipe.anatomy)
    if recipe.body is None:
        drawn = [person | sample_pose(recipe, rng) for person, rng in zip(people, rngs, strict=True)]
        return figures_of(anatomy, template, drawn)
    bodies, parameters = sample_bodies(recipe.body.pose, template, people, rngs)
    return [_figure(anatomy, template, body, made_of) for body, made_of in zip(bodies, parameters, strict=True)]


def figures_of(anatomy: Anatomy, template: Template, rows: Sequence[Parameters]) -> list[Figure]:
    """The figures that these parameters (sample_person | sample_pose) make, each with the same bits each time."""
    if anatomy.base == "hand":
        made = [hand_of(template, row) for row in rows]
    else:
        made = [body for k in range(0, len(rows), TOGETHER) for body in bodies_of(template, rows[k : k + TOGETHER])]
    return [_figure(anatomy, template, posed, row) for posed, row in zip(made, rows, strict=True)]


def figure_of(anatomy: Anatomy, template: Template, parameters: Parameters) -> Figure:
    """As figures_of, one figure."""
    return figures_of(anatomy, template, [parameters])[0]


def _figure(anatomy: Anatomy, template: Template, posed: Posed, parameters: Parameters) -> Figure:
    view = posed.view.T.astype(np.float32)
    points = points_of(template, anatomy, posed) @ view
    return Figure(
        vertices=posed.vertices @ view,
        points=points,
        landmarks=points[anatomy.rows],
        joints=posed.positions[template.moving] @ view,
        parameters=parameters,
    )


def parameter_names(recipe: RenderRecipe, template: Template) -> list[str]:
    """Names of a figure's parameters, in the order in which shards store them."""
    rng = np.random.default_rng(0)
    return list(sample_person(recipe, template, rng) | sample_pose(recipe, rng))


def joint_names(template: Template) -> list[str]:
    """Names of Figure.joints, in order: the heads of all bones that move the skin of this template."""
    return [template.bones[bone] for bone in template.moving]


@dataclass(frozen=True, kw_only=True)
class Framed:
    """A figure in its patch: vertices (V, 3), points (P, 3) and landmarks (K, 3) as (x px, y px, depth mm).

    pixel_mm (2,); all float32.
    """

    vertices: Array
    points: Array
    landmarks: Array
    pixel_mm: Array
    figure: Figure


def frame_figure(crop: Crop, figure: Figure, anatomy: Anatomy) -> Framed:
    """The figure cropped and scaled into the anatomy's patch, its depth measured from the zero plane."""
    axes = np.ascontiguousarray(figure.vertices.T)
    low, high = axes.min(1), axes.max(1)
    window = crop.window(np.concatenate([low[:2], high[:2]]).astype(np.float64), anatomy.size, source_pixel_mm=1.0)
    to_patch = np.eye(3, 4, dtype=np.float32)
    to_patch[:2, [0, 1, 3]] = invert_affine(window)
    to_patch[2, 3] = DEPTH_MARGIN_MM - low[2]
    points = apply_affine(to_patch, figure.points)
    return Framed(
        vertices=apply_affine(to_patch, figure.vertices),
        points=points,
        landmarks=points[anatomy.rows],
        pixel_mm=np.diag(window[:, :2]).astype(np.float32),
        figure=figure,
    )


def draw(recipe: RenderRecipe, template: Template, seed: int, sample_id: int) -> Framed:
    """Sample `sample_id`: a function of recipe, seed and id alone."""
    return draw_several(recipe, template, seed, [sample_id])[0]


def draw_several(recipe: RenderRecipe, template: Template, seed: int, ids: Sequence[int]) -> list[Framed]:
    """The samples `ids`, each as `draw` makes it alone."""
    anatomy, framed = anatomy_named(recipe.anatomy), []
    for start in range(0, len(ids), TOGETHER):
        rngs = [np.random.default_rng([seed, sample_id]) for sample_id in ids[start : start + TOGETHER]]
        framed += [frame_figure(recipe.crop, figure, anatomy) for figure in sample_figures(recipe, template, rngs)]
    return framed


def template_of(recipe: RenderRecipe) -> Template:
    """The template of the recipe's anatomy."""
    return load_template(anatomy_named(recipe.anatomy).base)
