"""The classifier between renderings and patients: finds a difference where there is one, and none where not."""

import numpy as np

from tests.benchmarks.domain_gap import auc, picture_features, point_features


def test_auc_is_half_for_the_same_and_one_for_the_different() -> None:
    rng = np.random.default_rng(1)
    ours, same = rng.normal(size=(2, 200, 6))
    groups = list(range(400))
    assert all(abs(value - 0.5) < 0.1 for value in auc(ours, same, groups, 1).values())
    assert all(value > 0.99 for value in auc(ours, same + 4, groups, 1).values())


def test_rows_of_a_person_are_never_on_both_sides() -> None:
    """Noise that a person's two rows share is of no use: by row it would be learnt."""
    rng = np.random.default_rng(2)
    ours, theirs = (np.repeat(rng.normal(size=(60, 4)), 2, axis=0) for _ in range(2))
    groups = [k // 2 for k in range(240)]
    assert all(abs(value - 0.5) < 0.15 for value in auc(ours, theirs, groups, 1).values())


def test_features_are_those_of_a_box() -> None:
    mask = np.zeros((48, 24), bool)
    mask[12:36, 6:18] = True
    depth = np.where(mask, 30.0, 0).astype(np.float32)
    features = picture_features(mask, depth)
    assert features[0] == 0.25 and np.isfinite(features).all()
    np.testing.assert_allclose(features[1:3], 0.5, atol=0.02)
    assert features[-12:].max() == 0  # no depth in it
    points = np.array([[0, 0, 5], [3, 4, 2]], np.float32)
    np.testing.assert_allclose(point_features(points), [5, 3])
