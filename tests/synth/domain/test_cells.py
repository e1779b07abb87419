"""Cells of a volume: what is pooled comes back, which air is outside, and what the body's thickness makes of it."""

import numpy as np
import pytest

from synth.domain.cells import Grid, grid_over, grown, largest_piece, outside_air


@pytest.mark.parametrize("steps", [(1, 1, 1), (2, 3, 4), (5, 7, 3)])
def test_cells_hold_what_any_of_their_voxels_holds(steps):
    shape = (11, 13, 10)
    mask = np.random.default_rng(1).random(shape) < 0.02
    grid = Grid(steps=steps, shape=shape)
    cells = grid.pooled(mask)
    expected = np.zeros_like(cells)
    expected[tuple(index // step for index, step in zip(np.nonzero(mask), steps, strict=True))] = True
    assert np.array_equal(cells, expected)
    spread = np.stack([grid.spread(cells[k // steps[0]]) for k in range(shape[0])])
    assert spread.shape == shape and spread[mask].all()


def test_cells_are_millimetres_in_a_body_and_voxels_in_a_hand():
    assert grid_over((900, 512, 512), (0.98, 0.98, 1.0)).steps == (4, 4, 4)
    assert grid_over((64, 256, 128), (1.0, 1.0, 2.0)).steps == (1, 1, 1)


def trunk() -> np.ndarray:
    """(z, y, x) bool: a trunk of 30 slices with an arm beside it, hollow from slice 5 on to the end of the scan."""
    body = np.zeros((30, 40, 60), bool)
    body[:, 10:30, 10:40] = True
    body[:, 15:25, 45:55] = True
    body[5:, 14:26, 15:35] = False
    return body


def test_air_that_a_body_encloses_is_not_outside_though_the_scan_ends_in_it():
    body = trunk()
    outside = outside_air(body)
    assert not outside[5:, 14:26, 15:35].any()
    assert outside[:, 10:30, 40:45].all() and outside[:, :10].all()


def test_an_airway_does_not_open_the_lungs():
    body = trunk()
    body[10:12, 10:14, 24:26] = False  # from the front, in two slices
    outside = outside_air(body)
    assert not outside[12:, 14:26, 15:35].any()


def test_air_that_an_arm_encloses_in_a_few_slices_is_outside():
    body = trunk()
    body[12:15, 22:25, 40:45] = body[12:15, 15:18, 40:45] = True  # two bridges from trunk to arm, air between
    assert outside_air(body)[12:15, 18:22, 40:45].all()


def test_one_piece_is_kept_and_growing_goes_round_corners():
    body = trunk()
    assert np.array_equal(largest_piece(body), body & (np.arange(60) < 42))
    dot = np.zeros((5, 5, 5), bool)
    dot[2, 2, 2] = True
    assert grown(dot, (1, 1, 1)).sum() == 27 and grown(dot, (0, 2, 5)).sum() == 25
