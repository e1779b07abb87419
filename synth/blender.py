"""The only `import bpy`: posed meshes in, depth maps out, on the CPU, by either of two engines.

Cycles, the reference: up to 16 figures stand side by side under one orthographic camera whose pixels are the patches'
pixels, and a material emits each point's depth, so that one float image holds everything.
Raycast, without a render call or an image file: a geometry-nodes Raycast from one point per pixel, read back as an
attribute of the evaluated mesh, one figure after another.
Both keep one scene for the life of the process, which is its own (see worker.py): Blender's crashes, memory and threads
stay there.
"""

import os
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.seen import Seen

COLUMNS = 4  # figures per row, at most, of the sheet that one render call makes
CAMERA_HEIGHT = 100.0
FLATTENED = 2.0**-10  # what depth in mm is multiplied by for casting: a power of two, which rounds nothing
RAY_LENGTH = 1e4  # flattened: farther than any figure
UNSEEN = (-1.0, -1.0, 0.0)  # outside the patch: where the corners of triangles that are not needed lie


class Cycles:
    """Renders groups of figures that share one topology.

    size: (height, width) of a patch; num_vertices of a figure; triangles (T, 3); group: figures per render call.
    """

    def __init__(self, size: tuple[int, int], num_vertices: int, triangles: NDArray[np.int32], group: int) -> None:
        import bpy

        self.columns = min(COLUMNS, group)
        assert group % self.columns == 0
        self.size, self.num_vertices, self.group = size, num_vertices, group
        self.rows = group // self.columns
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._scene = bpy.context.scene
        self._mesh = _sheet_mesh(bpy, num_vertices, triangles, group)
        camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self._scene.collection.objects.link(camera)
        self._scene.camera = camera
        height, width = self.rows * size[0], self.columns * size[1]
        camera.data.type = "ORTHO"
        camera.data.sensor_fit = "HORIZONTAL"
        camera.data.ortho_scale = width
        camera.data.clip_start, camera.data.clip_end = 0.1, 1e5
        camera.location = (width / 2, -height / 2, CAMERA_HEIGHT)
        self._folder = tempfile.TemporaryDirectory(prefix="synthmark-", dir=_memory_folder())
        self._path = Path(self._folder.name) / "sheet.exr"
        _configure(self._scene, width, height, self._path)
        self._image: Any = None
        self._pixels = np.empty(height * width * 4, np.float32)

    def render(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, H, W) float32 depth in mm, 0 = background, of n <= group figures (n, V, 3: patch px, px, depth mm)."""
        import bpy

        count = len(vertices)
        assert 1 <= count <= self.group and vertices.shape[1] == self.num_vertices
        height, width = self.size
        sheet = np.zeros((self.group, self.num_vertices, 3), np.float32)
        sheet[:, :, 2] = -1e4  # unused places: a point far below
        cell = np.arange(count)
        sheet[:count, :, 0] = vertices[:, :, 0] + ((cell % self.columns) * width)[:, None]
        sheet[:count, :, 1] = -vertices[:, :, 1] - ((cell // self.columns) * height)[:, None]
        sheet[:count, :, 2] = -vertices[:, :, 2]
        self._mesh.vertices.foreach_set("co", sheet.ravel())
        self._mesh.update()
        bpy.ops.render.render(write_still=True)
        if self._image is None:
            self._image = bpy.data.images.load(str(self._path))
            self._image.colorspace_settings.name = "Non-Color"
        else:
            self._image.reload()
        self._image.pixels.foreach_get(self._pixels)
        sheet_mm = self._pixels.reshape(self.rows * height, self.columns * width, 4)[:, :, 0]
        depth = sheet_mm[::-1]  # Blender's rows go upwards
        cells = depth.reshape(self.rows, height, self.columns, width).swapaxes(1, 2).reshape(-1, height, width)
        return np.maximum(cells[:count], 0)


class Raycast:
    """Casts one ray per pixel centre of each figure; arguments and answers as of Cycles.

    Only triangles that a ray can meet (seen.py) are given to Blender, each with corners of its own, so that the mesh
    keeps its topology. Depth is flattened, so that its tree of boxes is split across the picture, not along the rays.
    Neither changes a bit of the answer.
    """

    def __init__(self, size: tuple[int, int], num_vertices: int, triangles: NDArray[np.int32], group: int) -> None:
        import bpy

        self.size, self.num_vertices, self.group = size, num_vertices, group
        self._triangles, self._seen = triangles, Seen(triangles)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._figure = bpy.data.objects.new("figure", bpy.data.meshes.new("nothing"))
        pixels = bpy.data.meshes.new("pixels")
        rows, cols = np.indices(size, np.float32) + np.float32(0.5)
        pixels.vertices.add(rows.size)
        pixels.vertices.foreach_set("co", np.stack([cols, rows, np.zeros_like(rows)], -1).ravel())
        self._rays = bpy.data.objects.new("rays", pixels)
        for item in (self._figure, self._rays):
            bpy.context.scene.collection.objects.link(item)
        self._rays.modifiers.new("cast", "NODES").node_group = _cast_nodes(bpy, self._figure)
        self._make_room(1)
        self._scene = bpy.context.evaluated_depsgraph_get()

    def render(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, H, W) float32 depth in mm, 0 = background, of n <= group figures (n, V, 3: patch px, px, depth mm)."""
        assert 1 <= len(vertices) <= self.group and vertices.shape[1:] == (self.num_vertices, 3)
        depth = np.empty((len(vertices), self.size[0] * self.size[1]), np.float32)
        for figure, answer in zip(vertices, depth, strict=True):
            self._show(figure[self._triangles[self._seen.by_pixels(figure)]])
            self._scene.update()
            self._rays.evaluated_get(self._scene).data.attributes["depth"].data.foreach_get("value", answer)
        depth[depth >= RAY_LENGTH] = 0  # a ray that hits nothing answers its length
        return depth.reshape(len(vertices), *self.size) * np.float32(1 / FLATTENED)

    def _show(self, corners: NDArray[np.float32]) -> None:
        """Make the figure's mesh that of these triangles' corners (T, 3, 3)."""
        if len(corners) > len(self._corners):
            self._make_room(len(corners) * 5 // 4)
        self._corners[: len(corners)] = corners
        self._corners[: len(corners), :, 2] *= np.float32(FLATTENED)
        self._corners[len(corners) :] = UNSEEN
        mesh = self._figure.data
        mesh.attributes["position"].data.foreach_set("vector", self._corners.ravel())  # 500 times as fast as `co` ...
        mesh.vertices[0].co = self._corners[0, 0]  # ... but this alone says that the tree of boxes is out of date

    def _make_room(self, triangles: int) -> None:
        import bpy

        self._corners = np.empty((triangles, 3, 3), np.float32)
        old = self._figure.data
        self._figure.data = _mesh_of(bpy, 3 * triangles, np.arange(3 * triangles, dtype=np.int32).reshape(-1, 3))
        bpy.data.meshes.remove(old)


ENGINES: dict[str, type[Cycles] | type[Raycast]] = {"cycles": Cycles, "raycast": Raycast}


def _cast_nodes(bpy: Any, figure: Any) -> Any:
    """Geometry nodes that store, for every point, the distance along +z to `figure` as its attribute "depth"."""
    tree = bpy.data.node_groups.new("cast", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    points, target, cast, store, result = (
        tree.nodes.new(kind)
        for kind in (
            "NodeGroupInput", "GeometryNodeObjectInfo", "GeometryNodeRaycast", "GeometryNodeStoreNamedAttribute",
            "NodeGroupOutput",
        )
    )  # fmt: skip
    target.inputs["Object"].default_value = figure
    cast.inputs["Ray Direction"].default_value = (0, 0, 1)
    cast.inputs["Ray Length"].default_value = RAY_LENGTH
    store.data_type, store.domain = "FLOAT", "POINT"
    store.inputs["Name"].default_value = "depth"
    tree.links.new(target.outputs["Geometry"], cast.inputs["Target Geometry"])
    tree.links.new(points.outputs[0], store.inputs["Geometry"])
    tree.links.new(cast.outputs["Hit Distance"], store.inputs["Value"])
    tree.links.new(store.outputs["Geometry"], result.inputs[0])
    return tree


def _mesh_of(bpy: Any, num_vertices: int, triangles: NDArray[np.int32]) -> Any:
    """A Blender mesh of that topology, its vertices still at the origin."""
    mesh = bpy.data.meshes.new("figures")
    mesh.vertices.add(num_vertices)
    mesh.loops.add(triangles.size)
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(triangles, np.int32).ravel())
    mesh.polygons.add(len(triangles))
    mesh.polygons.foreach_set("loop_start", np.arange(0, triangles.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    return mesh


def _sheet_mesh(bpy: Any, num_vertices: int, triangles: NDArray[np.int32], group: int) -> Any:
    """One mesh object that holds the figures of a render call, in a material that emits depth."""
    corners = (triangles[None] + (np.arange(group) * num_vertices)[:, None, None]).reshape(-1, 3)
    mesh = _mesh_of(bpy, group * num_vertices, corners)
    material = bpy.data.materials.new("depth")
    material.use_nodes = True
    material.cycles.emission_sampling = (
        "NONE"  # else Cycles builds a tree of every triangle as a lamp: six times slower
    )
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    position, split, emission, output = (
        nodes.new(kind)
        for kind in ("ShaderNodeNewGeometry", "ShaderNodeSeparateXYZ", "ShaderNodeEmission", "ShaderNodeOutputMaterial")
    )
    negate = nodes.new("ShaderNodeMath")  # the mesh lies at z = -depth
    negate.operation = "MULTIPLY"
    negate.inputs[1].default_value = -1.0
    links.new(position.outputs["Position"], split.inputs[0])
    links.new(split.outputs["Z"], negate.inputs[0])
    links.new(negate.outputs[0], emission.inputs["Strength"])
    links.new(emission.outputs[0], output.inputs["Surface"])
    mesh.materials.append(material)
    figures = bpy.data.objects.new("figures", mesh)
    bpy.context.scene.collection.objects.link(figures)
    return mesh


def _configure(scene: Any, width: int, height: int, path: Path) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    cycles.device = "CPU"
    cycles.samples = 1
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = False
    cycles.pixel_filter_type = "BLACKMAN_HARRIS"
    cycles.filter_width = 0.01  # the ray goes through the pixel's centre
    cycles.max_bounces = 0
    cycles.seed = 0
    render.use_persistent_data = True
    render.threads_mode, render.threads = "FIXED", 1
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.film_transparent = True
    render.use_compositing = render.use_sequencer = False
    render.dither_intensity = 0
    settings = render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    settings.exr_codec = "NONE"
    render.filepath = str(path)


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def serve(
    connection: Connection,
    engine: str,
    size: tuple[int, int],
    num_vertices: int,
    triangles: NDArray[np.int32],
    group: int,
) -> None:
    """The child process: answer each array of vertices with its depth maps until the other end closes."""
    Path("/proc/self/comm").write_text("synth-blender")  # so that people find it in top
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stdout.fileno())  # Cycles prints some 40 lines per frame
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # a pool of threads takes its size from this; a process per core needs none
    renderer = ENGINES[engine](size, num_vertices, triangles, group)
    os.sched_setaffinity(0, cores)
    connection.send("ready")
    while True:
        try:
            vertices = connection.recv()
        except EOFError:
            return
        connection.send(renderer.render(vertices))
