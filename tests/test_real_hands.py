"""The script that draws real hands: exact positions, and a plain word where the data is missing."""

import numpy as np
import pytest

from synth.domain.anatomy import HAND
from synth.domain.landmarks import read_csv
from synth.domain.patch import silhouette_box
from synth.domain.radiograph import outline
from synth.domain.volume import read
from tests import real_hands


def test_outlines_are_drawn_where_their_landmarks_are(tmp_path):
    shape = np.array([[0, 0], [0.5, 0], [0.5, 1], [0.25, 0.6], [0, 1]], np.float32) + 0.125
    stored = {"contour_xy": np.stack([shape, shape]), "person": np.array([1, 2]), "tip_index": np.arange(5)}
    np.savez(tmp_path / "hands.npz", **stored)
    assert real_hands.main(["--data", str(tmp_path / "hands.npz"), "--out", str(tmp_path / "out")]) == 0
    marks = read_csv(tmp_path / "out" / "landmarks.csv", HAND)
    assert [item.subject for item in marks.values()] == ["person-1", "person-2"]
    picture = read(tmp_path / "out" / "images" / "real-00.png")
    box = silhouette_box(outline(picture).silhouette)
    points = marks["real-00"].points[:, :2]
    np.testing.assert_allclose(box, [*points.min(0), *points.max(0)], atol=1.0)


def test_missing_data_is_said_and_nothing_is_drawn(tmp_path, capsys):
    assert real_hands.main(["--data", str(tmp_path / "none.npz"), "--out", str(tmp_path / "out")]) == 0
    assert "skipped" in capsys.readouterr().out and not (tmp_path / "out").exists()


@pytest.mark.skipif(not real_hands.data_path().is_file(), reason="the development data is not here")
def test_the_real_outlines_can_be_drawn(tmp_path):
    assert real_hands.draw_hands(real_hands.data_path(), tmp_path / "out") == 20
