"""Virtual radiographs: what an X-ray tube, a detector and a film archive make of a hand, with its outline known.

A hand's path lengths through flesh and bone (`expose`) attenuate a beam; whatever lies in the beam with it is added
there, what an archive prints over the picture afterwards. Attenuations are in nats, pixels are square, y points down.
"""

import io
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from synth.domain.anatomy import HAND
from synth.figure import sample_figure
from synth.phantom import PhantomRecipe
from synth.template import Template
from synth.voxels import sample_deformation, voxelise
from synth.xray_bones import bone_mm
from synth.xray_objects import cassette, letters, ruler, specks, tilted_box, wedge

FLESH, BONE, LEAD = 0.022, 0.05, 4.0  # nats per mm of soft tissue, and what a mm of bone adds (50 kV); nats of a marker
TAG = 9_173  # second word of every seed here
SCATTER_MM = 25.0
Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RadiographRecipe:
    """How a hand is exposed and shown; the defaults are a clean digital radiograph.

    pixel_mm; photons: per pixel in air; blur_mm: deviation of the point spread; scatter: share of the signal
    gradient: nats over the picture, across and along (heel); vignetting: nats lost in the corners
    curve: "log" of a digital detector, "film": S-shaped; faint: 0..1, how far overexposed: flesh fades into air
    clipped: air lies below the window; bone_only: all flesh does; inverted: air is bright; bits; jpeg: quality
    frame: what lies around the field: unexposed ("lead"), a black shutter, white paper; corners: cut off the field
    marker: a lead letter, free or touching the hand; forearm: leaves the lower border, else ends in the picture
    """

    pixel_mm: float = 0.5
    photons: float = 5000.0
    blur_mm: float = 0.3
    scatter: float = 0.1
    gradient: tuple[float, float] = (0.0, 0.0)
    vignetting: float = 0.0
    curve: Literal["log", "film"] = "log"
    faint: float = 0.0
    clipped: bool = False
    bone_only: bool = False
    inverted: bool = False
    bits: int = 12
    jpeg: int | None = None
    frame: Literal["none", "lead", "shutter", "paper"] = "none"
    corners: bool = False
    marker: Literal["none", "free", "touching"] = "none"
    text: bool = False
    ruler: bool = False
    wedge: bool = False
    cassette: bool = False
    dust: int = 0
    forearm: bool = False

    def __post_init__(self) -> None:
        if not 0.05 <= self.pixel_mm <= 2:
            raise ValueError(f"radiograph.pixel_mm is {self.pixel_mm}; allowed: 0.05 to 2")
        if min(self.photons, self.blur_mm) <= 0 or not 0 <= self.scatter < 1 or not 0 <= self.faint <= 1:
            values = f"{self.photons}, {self.blur_mm}, {self.scatter}, {self.faint}"
            raise ValueError(f"radiograph.photons, blur_mm, scatter, faint are {values}; allowed: > 0, > 0, 0..1, 0..1")
        if not 8 <= self.bits <= 16 or (self.jpeg is not None and self.bits != 8):
            raise ValueError(f"radiograph.bits is {self.bits}; allowed: 8 to 16, and 8 for a JPEG")


@dataclass(frozen=True, kw_only=True)
class Exposed:
    """A hand in the beam: flesh_mm, bone_mm (H, W) path lengths; silhouette (H, W); landmarks (K, 2) px."""

    flesh_mm: Plane
    bone_mm: Plane
    silhouette: Mask
    landmarks: NDArray[np.float64]
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in px."""
        height, width = self.silhouette.shape
        return height, width


@dataclass(frozen=True, kw_only=True)
class Radiograph:
    """pixels (H, W) uint8 or uint16 with what is known: silhouette and field (H, W) bool, landmarks (K, 2) px."""

    pixels: NDArray[np.unsignedinteger[Any]]
    silhouette: Mask
    field: Mask
    landmarks: NDArray[np.float64]
    pixel_mm: float


def radiograph(recipe: RadiographRecipe, hands: PhantomRecipe, template: Template, seed: int, index: int) -> Radiograph:
    """Case `index`: a function of recipe, hands and seed; the hand does not depend on how it is exposed."""
    exposed = expose(recipe, hands, template, np.random.default_rng([seed, TAG, index, 0]))
    return develop(recipe, exposed, np.random.default_rng([seed, TAG, index, 1]))


def expose(recipe: RadiographRecipe, hands: PhantomRecipe, template: Template, rng: np.random.Generator) -> Exposed:
    """A hand of the phantoms, deformed, seen from its back."""
    figure = sample_figure(hands.figure, template, rng)
    field = sample_deformation(hands.deformation_mm, hands.wavelength_mm, rng)
    skin, points = (field.apply(part.astype(np.float64)) for part in (figure.vertices, figure.points))
    step = recipe.pixel_mm
    lying = skin[:, [0, 2, 1]]  # voxels are summed along their second axis
    mask, affine = voxelise(lying, template.triangles[:, ::-1], (step, step, step), (3.0, 2 * step, 3.0))
    flat = (points[:, :2] - affine[[0, 2], 3]) / step + 0.5
    flesh = mask.sum(1, dtype=np.float32) * np.float32(step)
    margins = (rng.uniform(12, 45, 4) / step).astype(int)
    if recipe.forearm:
        flesh = _continued(flesh, margins[1], step)
        margins[1] = 0
    flesh = np.pad(flesh, ((margins[0], margins[1]), (margins[2], margins[3])))
    flat = flat + margins[[2, 0]]
    silhouette = flesh > 0
    return Exposed(
        flesh_mm=flesh,
        bone_mm=np.minimum(bone_mm(flat, silhouette, step), flesh),
        silhouette=silhouette,
        landmarks=flat[HAND.rows],
        pixel_mm=step,
    )


def develop(recipe: RadiographRecipe, hand: Exposed, rng: np.random.Generator) -> Radiograph:
    """The picture of a hand, with what lies in the beam beside it and what is printed over it."""
    shape, step = hand.shape, recipe.pixel_mm
    field = _field(recipe, hand, rng)
    nats = FLESH * hand.flesh_mm + BONE * hand.bone_mm + _objects(recipe, hand, field, rng)
    if recipe.frame == "lead":
        nats = nats + 4.5 * ndimage.gaussian_filter((~field).astype(np.float32), 0.8 / step)
    nats = nats + _unevenness(recipe, shape, rng)
    shown = _curve(recipe, _detect(recipe, nats, rng))
    if recipe.frame in ("shutter", "paper"):
        shown = np.where(field, shown, np.float32(recipe.frame == "paper"))
    if recipe.text:
        shown = np.where(letters(shape, "ID 0042 07", 5 / step, (0.04, 0.03), rng), np.float32(1), shown)
    shown = specks(shown, recipe.dust, rng)
    return Radiograph(
        pixels=_stored(recipe, shown),
        silhouette=hand.silhouette & field,
        field=field,
        landmarks=hand.landmarks,
        pixel_mm=step,
    )


def _continued(flesh: Plane, rows: int, pixel_mm: float) -> Plane:
    """Path lengths with the forearm carried on: the last row above its oblique cut, repeated `rows` beyond the end."""
    area, above = flesh.sum(1), int(5 / pixel_mm)
    whole = area[above:] >= 0.98 * area[:-above]
    last = int(np.flatnonzero(whole)[-1]) + above
    return np.concatenate([flesh[:last], np.repeat(flesh[last : last + 1], rows + len(flesh) - last, 0)])


def _field(recipe: RadiographRecipe, hand: Exposed, rng: np.random.Generator) -> Mask:
    """(H, W) what the beam reaches, or the shutter leaves: a box around the hand, tilted a little."""
    if recipe.frame == "none":
        return np.ones(hand.shape, np.bool_)
    rows, cols = (np.flatnonzero(hand.silhouette.any(axis)) for axis in (1, 0))
    room = rng.uniform(5, 12, 4) / recipe.pixel_mm
    box = np.array([cols[0] - room[0], rows[0] - room[1], cols[-1] + room[2], rows[-1] + room[3]])
    if recipe.forearm:
        box[3] = rows[-1] - rng.uniform(2, 10) / recipe.pixel_mm
    return tilted_box(hand.shape, box, rng.uniform(-3, 3), 0.12 if recipe.corners else 0.0)


def _objects(recipe: RadiographRecipe, hand: Exposed, field: Mask, rng: np.random.Generator) -> Plane:
    """(H, W) nats of what lies beside the hand."""
    shape, step = hand.shape, recipe.pixel_mm
    nats = np.zeros(shape, np.float32)
    if recipe.marker != "none":
        place = _beside(hand, field, 12 / step, recipe.marker == "touching", rng)
        nats += LEAD * letters(shape, str(rng.choice(["L", "R"])), 12 / step, place, rng)
    if recipe.ruler:
        nats += LEAD * ruler(shape, 10 / step, rng)
    if recipe.wedge:
        nats += wedge(shape, 8 / step, rng)
    if recipe.cassette:
        nats += cassette(shape, 4 / step, rng)
    return nats


def _beside(hand: Exposed, field: Mask, size: float, touching: bool, rng: np.random.Generator) -> tuple[float, float]:
    """(y, x) shares of the picture where a letter of `size` px goes: on the skin's edge, or clear of it."""
    away = ndimage.distance_transform_edt(~hand.silhouette)
    inside = ndimage.distance_transform_edt(np.pad(field, 1))[1:-1, 1:-1] > 0.8 * size
    low, high = (0.25 * size, 0.4 * size) if touching else (1.1 * size, 2.5 * size)
    tips = np.zeros_like(field)
    tips[tuple(np.clip(hand.landmarks[:, ::-1].astype(int), 0, np.array(field.shape) - 1).T)] = True
    clear = ndimage.distance_transform_edt(~tips) > 1.5 * size  # nobody can tell a tip under lead
    places = np.argwhere((away > low) & (away < high) & inside & clear)
    if len(places) == 0:
        places = np.argwhere((away > low) & inside)
    y, x = places[rng.integers(len(places))] / hand.silhouette.shape
    return float(y), float(x)


def _unevenness(recipe: RadiographRecipe, shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """(H, W) nats by which the beam is weaker than in the middle."""
    y, x = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in shape)
    signs = rng.choice([-1.0, 1.0], 2)
    heel = signs[0] * recipe.gradient[0] * x + signs[1] * recipe.gradient[1] * (y + 0.4 * y * y)[:, None]
    return np.asarray(heel + 2 * recipe.vignetting * (x * x + (y * y)[:, None]), np.float32)


def _detect(recipe: RadiographRecipe, nats: Plane, rng: np.random.Generator) -> Plane:
    """(H, W) nats that a detector measures: the beam blurred, scattered, and counted."""
    beam = ndimage.gaussian_filter(np.exp(-nats), recipe.blur_mm / recipe.pixel_mm)
    glare = ndimage.gaussian_filter(beam, SCATTER_MM / recipe.pixel_mm)
    beam = (1 - recipe.scatter) * beam + recipe.scatter * glare
    counted = rng.poisson(beam * recipe.photons).astype(np.float32)
    return np.asarray(-np.log(np.maximum(counted, 0.5) / np.float32(recipe.photons)), np.float32)


def _curve(recipe: RadiographRecipe, nats: Plane) -> Plane:
    """(H, W) 0..1, tissue bright."""
    if recipe.curve == "film":
        return np.asarray(1 / (1 + np.exp(-(5 + 2 * recipe.faint) * (nats - 0.4 - 0.35 * recipe.faint))), np.float32)
    spread = 0.6 * sum(recipe.gradient) + 0.5 * recipe.vignetting
    low = 0.5 if recipe.bone_only else 0.1 if recipe.clipped else -0.1 - spread
    return np.asarray(np.clip((nats - low) / (1.2 + spread - low), 0, 1) ** (1 + 1.5 * recipe.faint), np.float32)


def _stored(recipe: RadiographRecipe, shown: Plane) -> NDArray[np.unsignedinteger[Any]]:
    top = 2**recipe.bits - 1
    values = np.rint((1 - shown if recipe.inverted else shown) * top)
    if recipe.bits > 8:
        return np.asarray(values, np.uint16)
    pixels = np.asarray(values, np.uint8)
    if recipe.jpeg is None:
        return pixels
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=recipe.jpeg)
    return np.asarray(Image.open(stream), np.uint8)


def troubled(recipe: RadiographRecipe, rng: np.random.Generator) -> RadiographRecipe:
    """The recipe with every trouble drawn at random, about half of them at once; one hand stays visible."""

    def sometimes(share: float) -> bool:
        return bool(rng.random() < share)

    bits = int(rng.choice([8, 10, 12, 16]))
    return replace(
        recipe,
        photons=float(np.exp(rng.uniform(np.log(800), np.log(20_000)))),
        blur_mm=float(rng.uniform(0.15, 0.5)),
        scatter=float(rng.uniform(0, 0.3)),
        gradient=tuple(rng.uniform(0, 0.25, 2).tolist()) if sometimes(0.6) else (0.0, 0.0),
        vignetting=float(rng.uniform(0, 0.3)) if sometimes(0.4) else 0.0,
        curve="film" if sometimes(0.4) else "log",
        faint=float(rng.uniform(0, 0.8)) if sometimes(0.3) else 0.0,
        clipped=sometimes(0.2),
        inverted=sometimes(0.4),
        bits=bits,
        jpeg=int(rng.integers(60, 95)) if bits == 8 and sometimes(0.5) else None,
        frame=str(rng.choice(["none", "lead", "shutter", "paper"])),  # type: ignore[arg-type]
        corners=sometimes(0.3),
        marker=str(rng.choice(["none", "free", "touching"], p=[0.3, 0.4, 0.3])),  # type: ignore[arg-type]
        text=sometimes(0.3),
        ruler=sometimes(0.2),
        wedge=sometimes(0.2),
        cassette=sometimes(0.15),
        dust=int(rng.integers(0, 40)) if sometimes(0.4) else 0,
        forearm=sometimes(0.6),
    )
