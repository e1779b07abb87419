"""What a reconstruction did not see is unknown where the body meets it, and background elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from synth.domain.anatomy import anatomy_named
from synth.domain.padding import padding_value
from synth.domain.patch import Crop
from synth.domain.projection import Volume, project
from synth.domain.study import ImportSettings, prepare

NUMBER, EDGE = 40, 120


def scan(centre: tuple[float, float], padding: float, air: float = -1000.0) -> np.ndarray:
    """(z, y, x) int16: a trunk of 80 voxels across at (x, y), noise, and padding beyond the largest circle."""
    _, y, x = np.indices((NUMBER, EDGE, EDGE))
    values = np.where(((x - centre[0]) / 40) ** 2 + ((y - centre[1]) / 25) ** 2 < 1, 40.0, air)
    values += np.random.default_rng([7, 1]).normal(0, 20, values.shape)
    values = np.maximum(values, -1024)
    values[np.hypot(y - 59.5, x - 59.5) > 60] = padding
    return values.astype(np.int16)


def seen(voxels: np.ndarray) -> np.ndarray | None:
    return project(Volume(voxels=voxels, index_to_patient=np.diag([4.0, 4, 4, 1])[:3])).observed


@pytest.mark.parametrize("padding", [-1024, -2000, -3024, -8192])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_that_meets_the_body_is_unknown_on_that_side_alone(padding, side) -> None:
    voxels = scan((30, 28), padding)
    observed = seen(voxels if side == "left" else voxels[:, :, ::-1])
    assert observed is not None
    if side == "right":
        observed = observed[:, ::-1]
    assert observed[:, 10:].all() and 0.01 < 1 - observed[:, :10].mean() < 0.5


@pytest.mark.parametrize("padding", [-1024, -2000, -3024, -8192])
def test_padding_that_the_body_does_not_reach_hides_nothing(padding) -> None:
    assert padding_value(scan((60, 60), padding)) == padding
    assert seen(scan((60, 60), padding)) is None


def test_clipped_and_noiseless_air_is_no_padding() -> None:
    assert padding_value(np.full((3, 50, 50), -1024, np.int16)) is None
    clipped = scan((60, 60), -1024, air=-1015)
    assert padding_value(np.maximum(clipped, -1010)) is None


def test_a_body_that_leaves_the_circle_is_told_and_what_it_hides_is_not_observed() -> None:
    volume = Volume(voxels=scan((30, 28), -2000), index_to_patient=np.diag([4.0, 4, 4, 1])[:3])
    prepared = prepare(volume, anatomy_named("body"), Crop(), ImportSettings(couch="none"))
    assert any("cut off at the left by the field of view" in note for note in prepared.notes)
    air = np.random.default_rng([7, 2]).normal(-1000, 20, volume.voxels.shape).astype(np.int16)
    filled = replace(volume, voxels=np.where(volume.voxels == -2000, air, volume.voxels))
    whole = prepare(filled, anatomy_named("body"), Crop(), ImportSettings(couch="none"))
    assert (whole.observed & ~prepared.observed).any() and not (prepared.silhouette & ~prepared.observed).any()
