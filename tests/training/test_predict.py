"""Predictions of a case: status, millimetres, mirrored hands, what is known of their errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import HAND
from synth.domain.patch import Crop
from synth.domain.radiograph import Image
from synth.domain.schema import unpack_silhouettes
from synth.domain.settings import ImportSettings
from synth.domain.study import Prepared, prepare
from tests.training.toy import toy_card, toy_samples
from training.checkpoint import Conformal, LoadedModel, ModelCard
from training.models import LandmarkNet, ModelRecipe, Output
from training.predict import predict_case
from training.surface import Beneath


class Fixed(LandmarkNet):
    """Says the same of every patch."""

    def __init__(self, points, sigma: float, depth=None) -> None:
        super().__init__(HAND, (1.0, 1.0), has_covariance=True)
        self.points, self.sigma = torch.tensor(points, dtype=torch.float32), sigma
        self.depth = depth

    def forward(self, images):
        covariance = torch.eye(2) * self.sigma**2
        depth = None if self.depth is None else torch.tensor(self.depth).expand(len(images), 5)
        return Output(self.points.expand(len(images), 5, 2), covariance.expand(len(images), 5, 2, 2), depth)

    def summary(self, images):
        return images.mean((2, 3))

    def move(self, shift):
        self.points += shift

    def head_parameters(self):
        return []

    def decoder_parameters(self):
        return []


def hand_image(spacing: float | None) -> Image:
    pixels = np.pad(unpack_silhouettes(toy_samples(1, 1).packed, HAND.size)[0], 20).astype(np.float32)
    viewer = np.array([[1.0, 0, -0.5], [0, 1, -0.5]])
    return Image(pixels=pixels, spacing_mm=None if spacing is None else (spacing, spacing), to_viewer=viewer)


def case(side: str = "left", spacing: float | None = 2.0) -> Prepared:
    return prepare(hand_image(spacing), HAND, Crop(), ImportSettings(side=side, threshold=0.5))


def loaded(points=None, sigma: float = 1.0, depth=None, **changes) -> LoadedModel:
    card: ModelCard = replace(toy_card(ModelRecipe()), **{"sigma_scale": (2.0,) * 5, **changes})
    return LoadedModel(model=Fixed(points or [[48.0, 60.0]] * 5, sigma, depth), card=card)


def test_sigma_and_radii_are_in_mm():
    prepared = case()
    mm = float(prepared.pixel_mm[0])
    found = predict_case(loaded(conformal=Conformal(radii=(1.0, None, 3.0, 4.0, 5.0))), prepared)
    assert found.status == ("ok",) * 5 and np.allclose(found.sigma_mm, 2 * mm)
    assert found.radius90_mm[0] == 1 and np.isnan(found.radius90_mm[1])
    in_px = predict_case(loaded(conformal=Conformal(unit="patch_px", radii=(1.0,) * 5)), prepared)
    assert np.allclose(in_px.radius90_mm, mm) and np.isnan(in_px.radius90_all_mm).all()
    calibrated = Conformal(unit="sigma", radii=(3.0,) * 5, num_subjects=(12,) * 5, simultaneous=4.0)
    wide, narrow = (predict_case(loaded(sigma=sigma, conformal=calibrated), prepared) for sigma in (1.0, 0.5))
    assert np.allclose(wide.radius90_mm, 3 * 2 * mm) and np.allclose(wide.radius90_all_mm, 4 * 2 * mm)
    assert np.allclose(wide.radius90_mm, 2 * narrow.radius90_mm) and wide.rows("a")[0].num_calibration == 12
    assert np.allclose(found.patient_mm[:, :2], (found.source - 0.5) * 2) and found.depth_source == ("",) * 5


def test_without_spacing_there_are_pixels_alone():
    found = predict_case(loaded(), case(spacing=None))
    assert np.isnan(found.patient_mm).all() and np.isnan(found.sigma_mm).all() and np.isfinite(found.source).all()


def test_a_right_hand_is_mirrored_in_and_out():
    points = [[40.0, 60.0]] * 5
    left, right = (predict_case(loaded(points), case(side)) for side in ("left", "right"))
    box = np.flatnonzero(hand_image(2.0).pixels.any(0))
    middle = (box[0] + box[-1] + 1) / 2
    assert np.allclose(left.source[:, 0] - middle, middle - right.source[:, 0], atol=1e-6)
    assert np.allclose(left.source[:, 1], right.source[:, 1])


def test_a_point_without_tissue_or_too_uncertain_is_untrusted_and_has_no_position():
    found = predict_case(loaded([[3.0, 3.0], [48.0, 60.0], [-70.0, 5.0], [48.0, 60.0], [48.0, 60.0]]), case())
    assert found.status == ("untrusted", "ok", "outside", "ok", "ok")
    assert np.isnan(found.positions()[[0, 2]]).all() and np.isfinite(found.positions()[1]).all()
    assert predict_case(loaded(sigma=5.0), case()).status == ("untrusted",) * 5
    assert [row.status for row in found.rows("a")] == list(found.status)


def slanted_case() -> tuple[Prepared, np.ndarray]:
    """A case whose depth is a slanted plane, and that depth map."""
    prepared = case()
    depth = np.where(prepared.silhouette, 30.0 + np.arange(96)[None] / 10, 0).astype(np.float32)
    return replace(prepared, depth_mm=depth), depth


def test_a_regressed_depth_is_scaled_by_the_cases_own_map():
    prepared, depth = slanted_case()
    said = [0.0, 1.0, -1.0, 0.5, 0.0]
    found = predict_case(loaded(depth=said, depth_regressed=True, mean_depth=(9.0,) * 5), prepared)
    tissue = depth[depth > 0].astype(np.float64)
    lifted = np.column_stack([found.patch, tissue.mean() + np.array(said) * tissue.std()])
    assert found.depth_source == ("regressed",) * 5 and {row.depth_source for row in found.rows("a")} == {"regressed"}
    assert np.allclose(found.patient_mm, prepared.patch_map.patient_points(lifted), atol=1e-3)
    forgotten = predict_case(loaded(depth=said, mean_depth=(9.0,) * 5), prepared)
    assert forgotten.depth_source == ("mean",) * 5
    assert predict_case(loaded(depth=said), case()).depth_source == ("",) * 5


def test_landmarks_lie_beneath_the_surface_where_that_tells_more():
    prepared, depth = slanted_case()
    beneath = Beneath(mm=(2.0, None, -1.5, None, 0.0), own_share=(0.0, 1.0, 0.0, 1.0, 0.0))
    found = predict_case(loaded([[48.5, 60.5]] * 5, mean_depth=(0.0,) * 5, beneath=beneath), prepared)
    assert found.depth_source == ("surface", "mean", "surface", "mean", "surface")
    seen = depth[60, 48] + np.array([2.0, np.nan, -1.5, np.nan, 0.0])
    lifted = np.column_stack([found.patch, np.where(np.isnan(seen), depth[depth > 0].mean(dtype=np.float64), seen)])
    assert np.allclose(found.patient_mm, prepared.patch_map.patient_points(lifted), atol=1e-3)


def test_depth_is_the_mean_of_the_training_data():
    prepared, depth = slanted_case()
    found = predict_case(loaded(mean_depth=(0.0, 1.0, -1.0, 0.0, 0.0)), prepared)
    tissue = depth[depth > 0].astype(np.float64)
    assert np.allclose(found.viewer[:, :2], found.source - 0.5) and found.depth_source == ("mean",) * 5
    expected = tissue.mean() + np.array([0, 1, -1, 0, 0]) * tissue.std()
    lifted = np.column_stack([found.patch, expected])
    assert np.allclose(found.patient_mm, prepared.patch_map.patient_points(lifted), atol=1e-3)
    with pytest.raises(ValueError, match="no landmark depths"):
        predict_case(loaded(), prepared)
