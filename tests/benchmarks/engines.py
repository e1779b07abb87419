"""Images per second of what turns posed meshes into pictures: both engines, and the limits they are held against."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

import synth.supervisor
from synth.blender import ENGINES, Cycles, serve
from synth.figure import GROUP
from synth.supervisor import Blender


class PlainCycles(Cycles):
    """Cycles as a first script would drive it: lamps and data as Blender sets them, not as makes it quick."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import bpy

        for material in bpy.data.materials:
            material.cycles.emission_sampling = "AUTO"
        bpy.context.scene.render.use_persistent_data = False


def serve_plain(connection: Connection, _: str, *arguments: Any) -> None:
    """As blender.serve, with PlainCycles."""
    ENGINES["plain"] = PlainCycles
    serve(connection, "plain", *arguments)


@contextmanager
def plain_children() -> Iterator[None]:
    """Blender children that start meanwhile are plain ones."""
    kept = synth.supervisor.serve
    synth.supervisor.serve = serve_plain
    try:
        yield
    finally:
        synth.supervisor.serve = kept


def engine_rate(
    engine: str, vertices: NDArray[np.float32], triangles: NDArray[np.int32], size: tuple[int, int], group: int = GROUP
) -> float:
    """Of a Blender child alone, pipe included, on figures (N, V, 3) of one topology."""
    blender = Blender(engine, size, vertices.shape[1], triangles, group)
    groups = [vertices[start : start + group] for start in range(0, len(vertices), group)]
    blender.render(groups[0])
    start = time.perf_counter()
    for part in groups:
        blender.render(part)
    seconds = time.perf_counter() - start
    blender.close()
    return len(vertices) / seconds


def plain_rate(vertices: NDArray[np.float32], triangles: NDArray[np.int32], size: tuple[int, int]) -> float:
    """Of the plain Cycles loop: one figure per render call."""
    with plain_children():
        return engine_rate("cycles", vertices, triangles, size, group=1)


def embree_rate(vertices: NDArray[np.float32], triangles: NDArray[np.int32], size: tuple[int, int]) -> float:
    """Of bare Embree: a scene per figure, one ray per pixel centre, distances alone."""
    rays = pixel_rays(size)
    start = time.perf_counter()
    for figure in vertices:
        embree_distance(figure[triangles], rays)
    return len(vertices) / (time.perf_counter() - start)


def pixel_rays(size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Origins and directions (H · W, 3) of a ray through each pixel's centre, from 1 mm before the zero plane."""
    rows, cols = np.indices(size, np.float32) + np.float32(0.5)
    origins = np.stack([cols, rows, np.full_like(rows, -1)], -1).reshape(-1, 3)
    return origins, np.tile(np.float32([0, 0, 1]), (len(origins), 1))


def embree_distance(
    corners: NDArray[np.float32], rays: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """(N,) float32 distance along each ray to the first of the triangles with these corners (T, 3, 3); none: huge."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene()
    TriangleMesh(scene, corners)
    return np.asarray(scene.run(*rays, query="DISTANCE"))
