"""Depth cameras: a virtual one above a couch sees what a rendering of the same body shows, and refuses what cannot be.

How near: printed and written by tests/benchmarks/depth_camera.py.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from synth.depth_camera import Sensor
from synth.domain.anatomy import BODY
from synth.domain.cloud import Camera, Cloud, depth_cloud, flying, read_camera
from synth.domain.cloud_files import read_cloud, read_points
from synth.domain.couch_plane import find_plane, plane_of
from synth.domain.overhead import overlook
from synth.domain.patch import Crop, apply_affine, invert_affine
from synth.domain.radiograph import Image
from synth.domain.settings import ImportSettings
from synth.domain.study import prepare
from synth.figure import sample_figure, template_of
from tests.benchmarks.depth_camera import CAMERA, RECIPE, agreement, seen


def box(head="up"):
    """A camera's view of a box 80 x 200 mm, 60 mm high, on a couch 1 m away; its head end has a knob on the left."""
    depth = np.full((240, 320), 1000.0, np.float32)
    depth[70:170, 140:180] = 940
    depth[50:70, 140:150] = 940
    turns = {"up": 0, "left": 1, "down": 2, "right": 3}[head]  # quarter turns against the clock
    depth = np.rot90(depth, turns)
    height, width = depth.shape
    camera = Camera(fx=400, fy=400, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height, unit_mm=1.0)
    return Image(pixels=np.ascontiguousarray(depth), spacing_mm=None, to_viewer=np.eye(2, 3)), camera


def test_a_box_has_its_size_its_height_and_its_place():
    image, camera = box()
    view = overlook(depth_cloud(image, camera), "up")
    size = view.silhouette.sum() * view.pixel_mm[0] ** 2
    true = (40 * 100 + 10 * 20) * (940 / 400) ** 2
    assert size == pytest.approx(true, rel=0.03)
    np.testing.assert_allclose(view.depth_mm[view.silhouette], 10, atol=0.5)
    rows, cols = np.nonzero(view.silhouette)
    points = np.column_stack([cols + 0.5, rows + 0.5, view.depth_mm[rows, cols]])
    there = apply_affine(view.to_patient, points)
    np.testing.assert_allclose(there[:, 2], 940, atol=0.5)
    assert there[:, 0].min() == pytest.approx((140 - 159.5) * 940 / 400, abs=4)
    assert there[:, 1].max() == pytest.approx((169 - 119.5) * 940 / 400, abs=4)


@pytest.mark.parametrize("head", ["down", "left", "right"])
def test_wherever_the_head_lies_the_body_looks_the_same(head):
    up = prepare(depth_cloud(*box()), BODY, Crop(), ImportSettings(head="up"))
    other = prepare(depth_cloud(*box(head)), BODY, Crop(), ImportSettings(head=head))
    assert (up.silhouette != other.silhouette).mean() < 0.01
    assert np.linalg.det(other.patch_map.to_patient[:, :3]) > 0


def test_points_go_to_the_camera_and_back_within_a_hundredth_of_a_pixel():
    prepared = prepare(depth_cloud(*box()), BODY, Crop(), ImportSettings(head="up"))
    points = np.random.default_rng([7, 1]).uniform(0, 160, (50, 3))
    there = prepared.patch_map.patient_points(points)
    np.testing.assert_allclose(prepared.patch_map.patch_points(there), points, atol=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_virtual_camera_sees_the_rendering_of_the_same_body(seed):
    template = template_of(RECIPE)
    figure = sample_figure(RECIPE, template, np.random.default_rng([5, seed]))
    image, vertices = seen(figure, template.triangles, Sensor(), np.random.default_rng([6, seed]))
    found = agreement(overlook(depth_cloud(image, CAMERA), "left"), vertices, template.triangles)
    assert found["iou_observed"] >= 0.955 and found["iou"] >= 0.92 and found["depth_median_mm"] <= 5


def test_what_nothing_was_seen_of_is_not_observed_and_a_small_hole_is_filled():
    image, camera = box()
    image.pixels[100:103, 155:158] = 0  # within the box
    image.pixels[20:230, 200:230] = 0  # a part of the couch
    view = overlook(depth_cloud(image, camera), "up")
    low = apply_affine(invert_affine(view.to_patient), np.array([[(156 - 159.5) * 2.35, (101 - 119.5) * 2.35, 940.0]]))
    col, row = low[0, :2].astype(int)
    assert view.silhouette[row, col] and view.observed[row, col]
    assert not view.observed.all() and not (view.silhouette & ~view.observed).any()


def test_pixels_between_two_surfaces_are_dropped_and_slopes_are_not():
    depth = np.full((9, 9), 1000, np.float32)
    depth[:, :4], depth[4, 4] = 900, 950
    assert flying(depth)[4, 4] and flying(depth).sum() == 1
    assert not flying(np.tile(1000 + 4 * np.arange(9, dtype=np.float32), (9, 1))).any()


def test_the_couch_is_found_before_the_floor_and_may_be_given():
    rng = np.random.default_rng([8, 1])
    floor = np.column_stack([rng.uniform(-2000, 2000, (40_000, 2)), np.full(40_000, 2600.0)])
    couch = np.column_stack([rng.uniform(-350, 350, 9000), rng.uniform(-900, 900, 9000), np.full(9000, 1900.0)])
    points = np.concatenate([floor, couch]).astype(np.float32)
    assert find_plane(points).offset_mm == pytest.approx(-1900, abs=1)
    assert plane_of((0, 0, 1, -1900)).offset_mm == plane_of((0, 0, -1, 1900)).offset_mm == -1900
    with pytest.raises(ValueError, match="shows no plane of a couch"):
        find_plane(rng.normal((0, 0, 2000), 300, (20_000, 3)).astype(np.float32))


def test_two_things_on_a_couch_are_not_chosen_between_and_a_head_is_asked_for():
    image, camera = box()
    image.pixels[60:160, 220:260] = 940
    with pytest.raises(ValueError, match="shows two parts"):
        overlook(depth_cloud(image, camera), "up")
    with pytest.raises(ValueError, match="give --head"):
        prepare(depth_cloud(*box()), BODY, Crop(), ImportSettings())
    image.pixels[:] = 1000
    with pytest.raises(ValueError, match="nothing that lies on the couch"):
        overlook(depth_cloud(image, camera), "up")


SIZE = {"width": 320, "height": 240}
PLAIN = SIZE | {"fx": 400, "fy": 400, "cx": 159.5, "cy": 119.5}


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        (PLAIN | {"depth_unit_mm": 0.25}, 0.25),
        (PLAIN | {"depth_scale": 0.001}, 1.0),
        (PLAIN | {"depth_scale": 1000}, 1.0),
        ({"intrinsics": PLAIN, "depth_scale": 5000}, 0.2),
        (SIZE | {"intrinsic_matrix": [400, 0, 0, 0, 400, 0, 159.5, 119.5, 1], "depth_scale": 1000}, 1),
        (SIZE | {"fx": 400, "fy": 400, "ppx": 159.5, "ppy": 119.5, "coeffs": [0, 0], "depth_scale": 1e-3}, 1),
    ],
)  # fmt: skip
def test_a_camera_is_read_as_open3d_and_librealsense_write_it(tmp_path, fields, unit):
    (tmp_path / "c.json").write_text(json.dumps(fields))
    found = read_camera(tmp_path / "c.json")
    assert found.unit_mm == pytest.approx(unit)
    assert replace(found, unit_mm=1.0) == Camera(**PLAIN, unit_mm=1.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "no JSON object of numbers"),
        (json.dumps({"fx": 1}), "lacks fy, cx, cy, width, height"),
        (json.dumps(PLAIN), "does not say the unit of depth; add depth_unit_mm"),
        (json.dumps(PLAIN | {"depth_scale": 1}), "depth_scale of 1, which is no m per unit and no units per m"),
        (json.dumps(PLAIN | {"depth_unit_mm": 1, "coeffs": [0.1]}), "distortion; undistort"),
        (json.dumps(PLAIN | {"depth_unit_mm": 1, "fx": 0.002}), "fx 0.002 px .* is it in px?"),
        (json.dumps(PLAIN | {"depth_unit_mm": 1, "cx": 900}), "centre at 900"),
        (json.dumps(PLAIN | {"depth_unit_mm": 1, "plane": [1, 1, 1, 1]}), "no unit vector"),
        (json.dumps(PLAIN | {"depth_unit_mm": "x"}), "camera"),
    ],
)
def test_a_camera_that_cannot_be_meant_is_refused_in_one_line(tmp_path, text, told):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ValueError, match=told) as caught:
        read_camera(tmp_path / "c.json")
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_depth_image_that_is_not_of_the_camera_or_not_of_depth_is_refused():
    image, camera = box()
    with pytest.raises(ValueError, match="has 320 x 240 px, its camera 640 x 480"):
        depth_cloud(image, replace(camera, width=640, height=480, fx=800, fy=800))
    with pytest.raises(ValueError, match="is it a depth image of 16 bits"):
        depth_cloud(replace(image, pixels=image.pixels / 10), camera)
    with pytest.raises(ValueError, match="is its unit right"):
        depth_cloud(image, replace(camera, unit_mm=100))
    with pytest.raises(ValueError, match="negative z"):
        Cloud(points=-depth_cloud(image, camera).points)


def clouds(folder, points):
    """The same points in every way they are read, in metres."""
    metres = (points / 1000).astype(np.float32)
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    head = "ply\nformat {}\ncomment x\nelement vertex {}\n" + axes + "{}end_header\n"
    lines = "\n".join(" ".join(f"{v:.7g}" for v in row) for row in metres)
    (folder / "text.ply").write_text(head.format("ascii 1.0", len(metres), "") + lines + "\n")
    for name, order in (("little", "<"), ("big", ">")):
        row = np.zeros(len(metres), [("x", order + "f4"), ("y", order + "f4"), ("z", order + "f4"), ("red", "u1")])
        for k, axis in enumerate("xyz"):
            row[axis] = metres[:, k]
        text = head.format(f"binary_{name}_endian 1.0", len(metres), "property uchar red\n")
        (folder / f"{name}.ply").write_bytes(text.encode() + row.tobytes())
    (folder / "plain.xyz").write_text(lines)
    (folder / "named.xyz").write_text("x,y,z,i\n" + "\n".join(f"{a:.7g},{b:.7g},{c:.7g},7" for a, b, c in metres))
    return sorted(folder.iterdir())


def test_every_way_of_saving_a_cloud_gives_the_same_points(tmp_path):
    points = depth_cloud(*box()).points
    for path in clouds(tmp_path, points):
        np.testing.assert_allclose(read_cloud(path, 1000.0).points, points, atol=1e-2)
        with pytest.raises(ValueError, match="does not say its unit; give --unit"):
            read_cloud(path, None)


def test_points_that_were_not_seen_are_left_out(tmp_path):
    (tmp_path / "a.xyz").write_text("0 0 0\nnan 1 2\n1 2 3\n")
    np.testing.assert_array_equal(read_points(tmp_path / "a.xyz"), [[1, 2, 3]])


@pytest.mark.parametrize("kind", ["little.ply", "text.ply", "plain.xyz"])
def test_a_damaged_cloud_is_read_or_refused_and_nothing_else(tmp_path, kind):
    (tmp_path / "in").mkdir()
    clouds(tmp_path / "in", depth_cloud(*box()).points[::40])
    whole, rng = (tmp_path / "in" / kind).read_bytes(), np.random.default_rng([9, 1])
    path, refused = tmp_path / kind, 0
    for _ in range(200):
        damaged = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, min(len(damaged), 400), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            points = read_points(path)
        except ValueError as error:
            refused += str(error).isprintable()
        else:
            assert np.isfinite(points).all() and points.shape[1] == 3
    assert refused > 20
