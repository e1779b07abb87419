"""Thickness of meshes: closed forms, and what a volume of the same figure projects to."""

import numpy as np
import pytest
import trimesh

from pipelines.recipes import body, hand
from synth.domain.anatomy import anatomy_named
from synth.domain.projection import Volume, project
from synth.figure import draw, template_of
from synth.thickness import thickness_mm
from synth.voxels import voxelise

SIZE = (40, 30)


def box(low, high):
    mesh = trimesh.creation.box(bounds=[low, high])
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)


def together(*meshes):
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    vertices = np.concatenate([vertices for vertices, _ in meshes])
    return vertices, np.concatenate([faces + start for (_, faces), start in zip(meshes, starts, strict=False)])


def test_a_box_is_as_thick_as_it_is_deep():
    found = thickness_mm(*together(box([5.2, 10.2, 20], [15.2, 30.2, 32])), SIZE)
    assert found[10:30, 5:15] == pytest.approx(12) and found.sum() == pytest.approx(12 * 20 * 10)


def test_air_between_parts_does_not_count_and_overlap_counts_once():
    apart = thickness_mm(*together(box([5.2, 5.2, 0], [9.2, 9.2, 10]), box([5.2, 5.2, 50], [9.2, 9.2, 55])), SIZE)
    assert apart[5:9, 5:9] == pytest.approx(15)
    nested = thickness_mm(*together(box([5.2, 5.2, 0], [9.2, 9.2, 10]), box([5.2, 5.2, 4], [9.2, 9.2, 12])), SIZE)
    assert nested[5:9, 5:9] == pytest.approx(12)


def test_a_sphere_has_its_chords():
    sphere = trimesh.creation.icosphere(subdivisions=5, radius=12.0)
    vertices = np.asarray(sphere.vertices + np.array([15, 20, 40]), np.float32)
    found = thickness_mm(vertices, np.asarray(sphere.faces, np.int32), SIZE)
    y, x = np.indices(SIZE) + 0.5
    chord = 2 * np.sqrt(np.maximum(144 - (x - 15) ** 2 - (y - 20) ** 2, 0))
    inner = chord > 4
    assert np.abs(found - chord)[inner].max() < 0.1 and (found[chord == 0] == 0).all()


@pytest.mark.parametrize("recipe", [hand().render, body().render], ids=["hand", "body"])
def test_figures_are_as_thick_as_volumes_of_them(recipe):
    template, size = template_of(recipe), anatomy_named(recipe.anatomy).size
    framed = draw(recipe, template, 3, 1)
    found = thickness_mm(framed.vertices, template.triangles, size)
    scale = np.array([framed.pixel_mm[0], framed.pixel_mm[1], 1.0])
    seen = framed.vertices.astype(np.float64) * scale  # x right, y down, z away: as patient mm with z = -y
    patient = np.column_stack([seen[:, 0], seen[:, 2], -seen[:, 1]])
    step = float(framed.pixel_mm[0]) / 3
    mask, to_patient = voxelise(patient, template.triangles, (step, step, step), 10.0)
    view = project(Volume(voxels=mask.astype(np.float32), index_to_patient=to_patient), threshold=0.5)
    rows, cols = np.nonzero(found > 0)
    at = np.column_stack([(cols + 0.5) * scale[0], np.zeros(len(rows)), -(rows + 0.5) * scale[1]])
    back = np.linalg.inv(np.vstack([view.to_patient, [0, 0, 0, 1]]))
    x, y = (at @ back[:2, :3].T + back[:2, 3]).T
    inside = (x >= 0) & (y >= 0) & (x < view.silhouette.shape[1]) & (y < view.silhouette.shape[0])
    assert inside.mean() > 0.99
    theirs = view.thickness_mm[y[inside].astype(int), x[inside].astype(int)]
    error = np.abs(theirs - found[rows[inside], cols[inside]])
    assert (error <= 2 * step).mean() > 0.85 and np.median(error) <= step  # steep flanks differ by the pixel
