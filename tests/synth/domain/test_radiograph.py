"""Outlines of flat images: photographs, plain silhouettes, radiographs. The hand is drawn of rods."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from synth.domain.anatomy import HAND
from synth.domain.field import find_field
from synth.domain.flesh import flesh_notes, reach, thin_share
from synth.domain.patch import Crop
from synth.domain.projection import otsu
from synth.domain.radiograph import Image, outline
from synth.domain.reader import Reader
from synth.domain.study import ImportSettings, prepare
from tests.dicoms import write_radiograph

SHAPE = (320, 260)
TIPS = ((45, 130), (80, 62), (120, 50), (160, 58), (232, 150))  # x, y of the ends of the fingers' axes
RADIUS = 10.0


def thickness(scale: float = 1.0, finger: float = RADIUS) -> np.ndarray:
    """(H, W) chords through a palm, five fingers of some radius, and a forearm that leaves the lower border."""
    height, width = (int(n * scale) for n in SHAPE)
    y, x = (np.mgrid[:height, :width] + 0.5) / scale
    rods = [((105, 215), (145, 215), 45.0), ((125, 250), (125, 400), 34.0)]
    roots = ((90, 200), (100, 180), (122, 178), (144, 182), (150, 220))
    rods += [(root, tip, finger) for root, tip in zip(roots, TIPS, strict=True)]
    chord = np.zeros((height, width))
    for (x0, y0), (x1, y1), radius in rods:
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        away = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
        chord = np.maximum(chord, 2 * np.sqrt(np.maximum(radius**2 - away**2, 0)))
    return chord


def exposed(chord: np.ndarray, seed: int = 1) -> np.ndarray:
    """(H, W) float32 the picture of it: flesh bright, bones brighter, air at 100 with noise."""
    bone = np.maximum(chord - 14, 0)
    noise = np.random.default_rng([seed, 31]).normal(0, 4, chord.shape)
    return (100 + 12 * chord + 25 * bone + noise).astype(np.float32)


def image(pixels: np.ndarray, bright: bool | None = None) -> Image:
    return Image(pixels=pixels.astype(np.float32), spacing_mm=None, to_viewer=np.eye(2, 3), bright=bright)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


HAND_MM = thickness()
TRUE = HAND_MM > 0
RAMP = np.add.outer(np.linspace(0, 150, SHAPE[0]), np.linspace(-100, 100, SHAPE[1]))


@pytest.mark.parametrize("invert", [False, True])
def test_outline_takes_its_polarity_from_the_border(invert):
    pixels = np.full((40, 30), 20, np.float32)
    pixels[10:30, 8:20] = 200
    view = outline(Image(pixels=220 - pixels if invert else pixels, spacing_mm=None, to_viewer=np.eye(2, 3)))
    assert view.bright is not invert
    assert view.silhouette.sum() == 240 and view.silhouette[10:30, 8:20].all()
    assert view.depth_mm is None and np.array_equal(view.to_patient, np.eye(3, 4))


def test_flesh_is_found_up_to_its_faint_edge_where_one_threshold_finds_bone():
    pixels = exposed(HAND_MM)
    assert dice(pixels > otsu(pixels), TRUE) < 0.8
    assert dice(outline(image(pixels)).silhouette, TRUE) > 0.98


def test_an_exposure_that_falls_off_does_not_move_the_outline():
    plain, sloped = (outline(image(exposed(HAND_MM) + ramp)).silhouette for ramp in (0, RAMP))
    assert dice(plain, sloped) > 0.99


def test_tips_are_kept():
    found = outline(image(exposed(HAND_MM) + RAMP)).silhouette
    for x, y in TIPS:
        towards = np.array([x - 125, y - 215]) / np.hypot(x - 125, y - 215)
        edge = np.array([x, y]) + (RADIUS - 2) * towards
        assert found[int(edge[1]), int(edge[0])]


def test_an_inverted_picture_has_the_same_outline():
    pixels = exposed(HAND_MM)
    np.testing.assert_array_equal(outline(image(pixels)).silhouette, outline(image(2000 - pixels)).silhouette)


@pytest.mark.parametrize("value", [0.0, 1600.0])
def test_what_a_frame_covers_is_not_observed(value):
    pixels = exposed(HAND_MM)
    framed = np.full((400, 340), value, np.float32)
    framed[30:-50, 50:-30] = pixels
    view = outline(image(framed))
    field = np.zeros(framed.shape, bool)
    field[30:-50, 50:-30] = True
    assert view.observed is not None and dice(view.observed, field) > 0.99
    assert dice(view.silhouette[30:-50, 50:-30], TRUE) > 0.975 and not view.silhouette[~field].any()
    patch = prepare(image(framed), HAND, Crop(margin=0.2), ImportSettings(side="left"))
    assert not patch.observed[:, 0].any() and patch.observed[HAND.size[0] // 2, HAND.size[1] // 2]
    assert any("frame" in note for note in patch.notes)


def test_air_around_a_closed_hand_is_no_frame():
    y, x = np.mgrid[:200, :160]
    fist = ((x - 80) / 50.0) ** 2 + ((y - 100) / 70.0) ** 2 < 1
    assert find_field((fist * 200).astype(np.float32)).all()


def test_a_marker_that_touches_the_hand_is_cut_off():
    pixels, marker = exposed(HAND_MM), np.zeros(SHAPE, bool)
    marker[215:245, 50:54], marker[240:245, 50:72] = True, True  # an L beside the palm
    pixels[marker] = 3300
    view = outline(image(pixels))
    left = view.silhouette & ndimage.binary_dilation(marker, iterations=2) & ~TRUE
    assert left.sum() < 0.3 * (marker & ~TRUE).sum()
    assert dice(view.silhouette, TRUE) > 0.98
    assert any("marker" in note for note in view.notes)


def test_text_and_a_ruler_beside_the_hand_are_left_out():
    pixels = exposed(HAND_MM)
    pixels[10:300:10, 2:10], pixels[8:300, 2:4], pixels[10:18, 200:240:3] = 1600, 1600, 1600
    assert dice(outline(image(pixels)).silhouette, TRUE) > 0.98


@pytest.mark.parametrize("told", [True, False, None])
def test_the_picture_is_believed_against_the_header_and_a_note_says_so(told):
    view = outline(image(exposed(HAND_MM), bright=told))
    assert view.bright and any("header" in note for note in view.notes) is (told is False)


def test_a_header_that_the_picture_contradicts_is_told_from_the_file_on(tmp_path):
    pixels = np.round(exposed(HAND_MM)).astype(np.uint16)
    paths = [
        write_radiograph(tmp_path / f"{kind}.dcm", pixels, PhotometricInterpretation=kind)
        for kind in ("MONOCHROME1", "MONOCHROME2")
    ]
    with Reader() as reader:
        views = [outline(reader.read(path)) for path in paths]
    assert [any("header" in note for note in view.notes) for view in views] == [True, False]
    assert dice(views[0].silhouette, views[1].silhouette) > 0.999


@pytest.mark.parametrize("edge", [0.0, 0.8])
def test_a_plain_silhouette_is_what_its_threshold_says(edge):
    pixels = 20 + 180 * ndimage.gaussian_filter(TRUE.astype(np.float32), edge)
    view = outline(image(pixels))
    np.testing.assert_array_equal(view.silhouette, pixels > otsu(pixels))
    assert view.notes == () and view.observed is None


@pytest.mark.parametrize(("cloth", "skin"), [(40, 150), (220, 110)])
def test_a_hand_photographed_on_cloth_is_found(cloth, skin):
    rng = np.random.default_rng([1, 32])
    weave = ndimage.gaussian_filter(rng.normal(0, 12, SHAPE), 1.0) + 8 * np.sin(np.arange(SHAPE[1]) / 3)
    light = 1 + 0.1 * np.linspace(-1, 1, SHAPE[0])[:, None]
    share = ndimage.gaussian_filter(TRUE.astype(np.float32), 0.8)
    pixels = light * ((1 - share) * (cloth + weave) + share * (skin + 0.5 * HAND_MM)) + rng.normal(0, 2, SHAPE)
    found = outline(image(pixels)).silhouette
    wide, narrow = ndimage.binary_dilation(TRUE, iterations=3), ndimage.binary_erosion(TRUE, iterations=3)
    assert dice(found, TRUE) > 0.985 and not (found & ~wide).any() and not (narrow & ~found).any()


def test_a_large_picture_has_the_outline_of_a_small_one():
    large = outline(image(exposed(thickness(4)))).silhouette
    assert large.shape == (1280, 1040)
    assert dice(large, thickness(4) > 0) > 0.98


def test_bones_alone_are_refused_with_what_to_do():
    bones = image(np.maximum(exposed(HAND_MM) - 360, 0))  # a window above all flesh of fingers
    with pytest.raises(ValueError, match=r"shows bones.*export it without a window"):
        prepare(bones, HAND, Crop(), ImportSettings(side="left"))


def test_air_at_one_value_is_noted():
    view = outline(image(np.maximum(exposed(HAND_MM) - 120, 0)))
    assert view.clipped and any("fingertips" in note for note in view.notes)


def test_a_hand_is_no_thinner_than_a_hand():
    assert flesh_notes(outline(image(exposed(HAND_MM)))) == ()
    assert thin_share(thickness(finger=5.0) > 0) > thin_share(TRUE)
    assert reach(TRUE) > 2.75 > reach(ndimage.binary_opening(TRUE, np.ones((41, 41))))


def test_an_own_threshold_is_taken_as_it_is():
    pixels = exposed(HAND_MM)
    view = outline(image(pixels), threshold=300.0)
    assert view.threshold == 300.0 and not (view.silhouette & (pixels < 300)).sum() > 0.01 * view.silhouette.sum()


def test_two_hands_are_not_chosen_between():
    two = np.concatenate([exposed(HAND_MM), exposed(HAND_MM[:, ::-1])], axis=1)
    with pytest.raises(ValueError, match="two hands"):
        prepare(image(two), HAND, Crop(), ImportSettings(side="left"))


def test_a_constant_picture_is_refused():
    with pytest.raises(ValueError, match="every value"):
        outline(replace(image(TRUE), pixels=np.zeros(SHAPE, np.float32)))
