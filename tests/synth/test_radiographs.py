"""Virtual radiographs: functions of seed and index, whose pictures show the outline that they tell."""

from dataclasses import replace

import numpy as np
import pytest

from synth.domain.flesh import LOST, REACH, reach, thin_share
from synth.phantom import hand_phantoms
from synth.radiographs import FLESH, Exposed, RadiographRecipe, develop, radiograph, troubled
from synth.template import load_template

SHAPE = (120, 90)


def block() -> Exposed:
    """A block of 20 mm of flesh that stands in for a hand."""
    flesh = np.zeros(SHAPE, np.float32)
    flesh[30:90, 25:65] = 20.0
    return Exposed(
        flesh_mm=flesh,
        bone_mm=np.zeros_like(flesh),
        silhouette=flesh > 0,
        landmarks=np.full((5, 2), 40.0),
        pixel_mm=1.0,
    )


def test_flesh_attenuates_by_beer_and_lambert():
    recipe = RadiographRecipe(pixel_mm=1.0, photons=1e7, scatter=0.0, bits=16)
    shown = develop(recipe, block(), np.random.default_rng([1, 1])).pixels / 65535 * 1.3 - 0.1
    assert np.median(shown[40:80, 35:55]) == pytest.approx(FLESH * 20, abs=0.005)
    assert np.median(shown[:15]) == pytest.approx(0, abs=0.005)


def test_noise_is_that_of_the_photons_counted():
    recipe = RadiographRecipe(pixel_mm=1.0, photons=2000.0, scatter=0.0, bits=16)
    shown = develop(recipe, block(), np.random.default_rng([1, 2])).pixels / 65535 * 1.3
    assert np.std(shown[:15]) == pytest.approx(2000**-0.5, rel=0.1)


def test_inversion_turns_every_value_round():
    plain, inverted = (
        develop(RadiographRecipe(pixel_mm=1.0, inverted=turned), block(), np.random.default_rng([1, 3])).pixels
        for turned in (False, True)
    )
    np.testing.assert_allclose(plain.astype(int), 4095 - inverted.astype(int), atol=1)


def test_nothing_is_known_outside_the_field():
    made = develop(RadiographRecipe(pixel_mm=1.0, frame="paper"), block(), np.random.default_rng([1, 4]))
    assert 0.2 < made.field.mean() < 0.9 and (made.pixels[~made.field] == 4095).all()
    assert not (made.silhouette & ~made.field).any()


@pytest.mark.slow
def test_a_radiograph_is_a_function_of_seed_and_index_alone():
    template, hands = load_template("hand"), hand_phantoms()
    recipe = troubled(RadiographRecipe(pixel_mm=1.0), np.random.default_rng([1, 5]))
    one, again, other = (radiograph(recipe, hands, template, seed, 3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.pixels, again.pixels)
    assert one.pixels.shape != other.pixels.shape or (one.pixels != other.pixels).any()


@pytest.mark.slow
def test_a_hand_does_not_depend_on_how_it_is_exposed():
    template, hands = load_template("hand"), hand_phantoms()
    recipes = RadiographRecipe(pixel_mm=1.0), RadiographRecipe(pixel_mm=1.0, inverted=True, marker="free", dust=9)
    one, other = (radiograph(recipe, hands, template, 1, 0) for recipe in recipes)
    np.testing.assert_array_equal(one.silhouette, other.silhouette)
    rows, cols = one.landmarks[:, ::-1].astype(int).T
    assert one.silhouette[rows, cols].mean() >= 0.6  # a tip lies on the outline


@pytest.mark.slow
def test_hands_of_all_ages_have_fingers_by_the_bounds_that_tell_them_from_bones():
    template, hands = load_template("hand"), hand_phantoms()
    for index in range(8):
        recipe = RadiographRecipe(pixel_mm=1.0, forearm=index % 2 == 0)
        mask = radiograph(recipe, hands, template, 1, index).silhouette
        assert thin_share(mask) < 0.5 * LOST and reach(mask) > REACH


@pytest.mark.parametrize(
    "bad", [{"pixel_mm": 0.0}, {"photons": 0.0}, {"scatter": 1.0}, {"faint": 2.0}, {"bits": 17}, {"jpeg": 80}]
)
def test_recipe_is_checked(bad):
    with pytest.raises(ValueError, match="allowed"):
        replace(RadiographRecipe(), **bad)
