"""A blanket is no patient, whatever the voxels."""

import numpy as np
import pytest

from synth.couches import furnish
from synth.domain.blanket import cut_blanket_out
from synth.domain.projection import Volume, project


def lying(spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """((z, y, x) bool a trunk and an arm beside it, values in HU of them and of air)."""
    shape = tuple(int(size / step) for size, step in zip((300, 200, 480), spacing[::-1], strict=True))
    z, y, x = np.indices(shape, np.float32) * np.float32(spacing[::-1])[:, None, None, None]
    trunk = ((x - 230) / (130 - 0.15 * z)) ** 2 + ((y - 60) / 50) ** 2 < 1
    mask = (
        trunk
        | ((x - 400) ** 2 + (y - 78) ** 2 < 22**2)
        | (z > 250) & (z < 280) & (y > 65) & (y < 85) & (x > 225) & (x < 400)
    )
    return mask, np.where(mask, np.float32(40), np.float32(-1000))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 4.0), (1.5, 1.5, 4.0), (3.0, 3.0, 4.0)])
def test_the_silhouette_under_a_blanket_is_that_without(spacing: tuple[float, float, float]) -> None:
    mask, values = lying(spacing)
    affine = np.diag([*spacing, 1.0])[:3]
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 20, mask.shape).astype(np.float32)
    truth = project(Volume(voxels=(values + noise).astype(np.int16), index_to_patient=affine), couch="fit")
    head = np.array([[80.0, 0.0, 600.0], [200.0, 80.0, 700.0]])
    furnish(values, mask, affine, "blanket", head, rng)
    found = project(Volume(voxels=(values + noise).astype(np.int16), index_to_patient=affine), couch="fit")
    both = found.silhouette.sum() + truth.silhouette.sum()
    assert 2 * (found.silhouette & truth.silhouette).sum() / both > 0.99


def test_a_patient_without_a_blanket_loses_nothing_thick() -> None:
    mask, _ = lying((1.0, 1.0, 4.0))
    left = mask.copy()
    cut_blanket_out(left, (1.0, 1.0, 4.0))
    assert (mask & ~left).sum() < 0.001 * mask.sum()
