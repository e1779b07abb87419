"""Outlines of flat images: photographs, plain silhouettes, radiographs."""

import numpy as np
import pytest

from synth.domain.radiograph import Image, outline


@pytest.mark.parametrize("invert", [False, True])
def test_outline_takes_its_polarity_from_the_border(invert):
    pixels = np.full((40, 30), 20, np.float32)
    pixels[10:30, 8:20] = 200
    view = outline(Image(pixels=220 - pixels if invert else pixels, spacing_mm=None, to_viewer=np.eye(2, 3)))
    assert view.bright is not invert
    assert view.silhouette.sum() == 240 and view.silhouette[10:30, 8:20].all()
    assert view.depth_mm is None and np.array_equal(view.to_patient, np.eye(3, 4))
