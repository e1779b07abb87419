"""Voxelised meshes against closed forms, deformations, noise, and the couch."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from synth.compartments import Label
from synth.domain.patch import apply_affine
from synth.domain.projection import project
from synth.voxels import ct_volume, mr_volume, sample_deformation, voxelise


def ball(radius=40.0, centre=(5.0, -3.0, 60.0), count=3000):
    """A closed triangle mesh of a sphere, oriented outwards: hull of a Fibonacci lattice."""
    k = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    points = np.column_stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)])
    faces = ConvexHull(points).simplices
    a, b, c = (points[faces[:, j]] for j in range(3))
    inward = np.einsum("ta,ta->t", np.cross(b - a, c - a), a) < 0
    faces[inward] = faces[inward][:, ::-1]
    return points * radius + np.array(centre), faces.astype(np.int32)


def box(low, high):
    corners = np.array([[(low, high)[i >> a & 1][a] for a in range(3)] for i in range(8)], float)
    quads = [(0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6)]
    return corners, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], np.int32)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 2.0, 1.5)])
def test_voxels_of_a_sphere_are_those_inside_it(spacing):
    vertices, triangles = ball()
    mask, affine = voxelise(vertices, triangles, spacing, 5.0)
    centres = apply_affine(affine, np.argwhere(np.ones_like(mask))[:, ::-1].astype(float))
    radius = np.linalg.norm(centres - [5, -3, 60], axis=1).reshape(mask.shape)
    assert mask[radius < 39.8].all() and not mask[radius > 40].any()


def test_voxels_of_a_box_are_exact_where_faces_meet_centres_and_edges():
    mask, affine = voxelise(*box((0, 0, 0), (10, 6, 8)), (1.0, 1.0, 1.0), 2.0)
    assert mask.sum() == 480
    assert apply_affine(affine, np.argwhere(mask)[:, ::-1].astype(float)).mean(0) == pytest.approx([5, 3, 4])


def test_orientation_of_the_whole_mesh_does_not_matter():
    vertices, triangles = ball()
    one, _ = voxelise(vertices, triangles, (2.0, 2.0, 2.0), 4.0)
    other, _ = voxelise(vertices, triangles[:, ::-1], (2.0, 2.0, 2.0), 4.0)
    np.testing.assert_array_equal(one, other)


def test_overlapping_parts_are_one_body():
    (a, ta), (b, tb) = box((0, 0, 0), (10, 6, 8)), box((4, 2, 2), (14, 10, 6))
    mask, _ = voxelise(np.vstack([a, b]), np.vstack([ta, tb + 8]), (1.0, 1.0, 1.0), 2.0)
    assert mask.sum() == 480 + 320 - 6 * 4 * 4


def test_slightly_open_mesh_does_not_leak():
    vertices, triangles = ball()
    closed, _ = voxelise(vertices, triangles, (1.0, 1.0, 1.0), 5.0)
    front = vertices[triangles].mean(1)[:, 1].argsort()[:8]
    opened, _ = voxelise(vertices, np.delete(triangles, front, 0), (1.0, 1.0, 1.0), 5.0)
    assert (closed & opened).sum() / (closed | opened).sum() > 0.995
    assert (opened.any(1) == closed.any(1)).all()


def test_deformation_is_seeded_smooth_and_of_the_amplitude_asked():
    points = np.random.default_rng([4, 1]).uniform(-300, 300, (4000, 3))
    field = sample_deformation(3.0, (100.0, 300.0), np.random.default_rng([4, 2]))
    again = sample_deformation(3.0, (100.0, 300.0), np.random.default_rng([4, 2]))
    moved = field.apply(points)
    np.testing.assert_array_equal(moved, again.apply(points))
    assert np.sqrt(((moved - points) ** 2).sum(1).mean()) == pytest.approx(3.0, rel=0.25)
    step = 0.01
    jacobian = np.stack([(field.apply(points + step * e) - moved) / step for e in np.eye(3)], axis=2)
    assert np.linalg.det(jacobian).min() > 0.2
    still = sample_deformation(0.0, (100.0, 300.0), np.random.default_rng([4, 2]))
    np.testing.assert_array_equal(still.apply(points), points)


HEAD = np.array([[-10.0, -10.0, 90.0], [20.0, 10.0, 100.0]])


def test_deformation_that_could_fold_is_refused():
    with pytest.raises(ValueError, match="fold"):
        sample_deformation(10.0, (50.0, 60.0), np.random.default_rng([4, 3]))


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_silhouette_of_a_noisy_scan_is_that_of_the_body(modality):
    vertices, triangles = ball()
    mask, affine = voxelise(vertices, triangles, (1.5, 1.5, 1.5), (6.0, 50.0, 6.0))
    rng = np.random.default_rng([4, 4])
    scan = (
        ct_volume(mask, affine, 20.0, 0.6, rng, "plates", HEAD)
        if modality == "ct"
        else mr_volume(mask * np.uint8(Label.MUSCLE), affine, 20.0, 0.6, rng)
    )
    view = project(scan, couch="accumulate" if modality == "ct" else "none")
    truth = mask.any(1)[::-1]
    assert (view.silhouette & truth).sum() / (view.silhouette | truth).sum() > 0.95
    if modality == "ct":
        assert project(scan).silhouette.all()  # the couch is there
    rows, cols = np.nonzero(view.silhouette)
    front = apply_affine(view.to_patient, np.column_stack([cols + 0.5, rows + 0.5, view.depth_mm[rows, cols]]))
    middle = np.hypot(front[:, 0] - 5, front[:, 2] - 60) < 20
    assert np.abs(np.linalg.norm(front - [5, -3, 60], axis=1) - 40)[middle].max() < 1.5
