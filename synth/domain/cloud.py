"""Depth cameras: the intrinsics of one, and the points that its depth image stands for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.domain.radiograph import Image

FLYING = 0.012  # of the distance: a pixel with a nearer and a farther neighbour beyond this hangs between two surfaces
NEAREST_MM, FARTHEST_MM = 100.0, 8000.0  # that a depth camera sees; farther or nearer medians are a wrong unit


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Points that a depth camera saw, in its own frame: x to the image's right, y down, z away from it, mm.

    points: (N, 3) float32; notes: what was assumed or mended in reading it
    """

    points: NDArray[np.float32]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3 or len(self.points) < 100:
            raise ValueError(f"holds {len(self.points)} points; allowed: at least 100")
        middle = float(np.median(self.points[:, 2]))
        if middle < 0:
            raise ValueError("has its points behind the camera (negative z); allowed: x right, y down, z away from it")
        if not NEAREST_MM < middle < FARTHEST_MM:
            raise ValueError(
                f"lies {middle:.3g} mm from the camera; allowed: {NEAREST_MM:g} to {FARTHEST_MM:g}: is its unit right?"
            )


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera: focal lengths and centre in px (pixel centres at whole numbers), size, mm of a unit of depth.

    plane: the couch's (a, b, c, d), a x + b y + c z + d = 0 in mm in the camera's frame; None: it is looked for
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    unit_mm: float
    plane: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if not (2 <= self.width <= 20_000 and 2 <= self.height <= 20_000):
            raise ValueError(f"has size {self.width} x {self.height}; allowed: 2 to 20000 px")
        for name, size in (("fx", self.width), ("fy", self.width)):
            if not 0.2 * size < getattr(self, name) < 20 * size:
                raise ValueError(f"has {name} {getattr(self, name):g} px for a width of {size} px; is it in px?")
        if not (0 <= self.cx < self.width and 0 <= self.cy < self.height):
            raise ValueError(f"has its centre at {self.cx:g}, {self.cy:g}, outside its {self.width} x {self.height} px")
        if not 1e-3 <= self.unit_mm <= 1000:
            raise ValueError(f"has a unit of depth of {self.unit_mm:g} mm; allowed: 0.001 to 1000")
        if self.plane is not None and not 0.99 < np.linalg.norm(self.plane[:3]) < 1.01:
            raise ValueError("has a plane whose normal (a, b, c) is no unit vector")


def read_camera(path: Path) -> Camera:
    """The camera in a JSON file: fx, fy, cx, cy, width, height, depth_scale, as librealsense or Open3D name them.

    ppx, ppy are cx, cy; intrinsic_matrix is Open3D's, column by column. depth_scale: metres a unit (librealsense) where
    it is at most 0.01, units a metre (Open3D) where it is at least 100; depth_unit_mm says it in mm.
    Raises: ValueError for whatever is missing, ambiguous or cannot be, and for a camera with distortion.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found = found.get("intrinsics", found) | {k: v for k, v in found.items() if k != "intrinsics"}
        if "intrinsic_matrix" in found:
            m = [_number(v) for v in found["intrinsic_matrix"]]
            found |= {"fx": m[0], "fy": m[4], "cx": m[6], "cy": m[7]}
        found = {"cx": found.get("ppx"), "cy": found.get("ppy")} | found
        if lacking := [key for key in ("fx", "fy", "cx", "cy", "width", "height") if found.get(key) is None]:
            raise ValueError(f"lacks {', '.join(lacking)}")
        if any(_number(v) != 0 for v in found.get("coeffs", [])):
            raise ValueError("has coefficients of distortion; undistort the images, and give the camera without")
        plane = found.get("plane")
        return Camera(
            **{key: _number(found[key]) for key in ("fx", "fy", "cx", "cy")},
            width=int(_number(found["width"])),
            height=int(_number(found["height"])),
            unit_mm=_unit_mm(found),
            plane=None
            if plane is None
            else (_number(plane[0]), _number(plane[1]), _number(plane[2]), _number(plane[3])),
        )
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"camera {path} cannot be read as JSON: {type(error).__name__}") from error
    except (TypeError, AttributeError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"camera {path} is no JSON object of numbers: fx, fy, cx, cy, width, height") from error
    except ValueError as error:
        raise ValueError(f"camera {path} {error}") from error


def _number(value: Any) -> float:
    """A value of a camera's file. Raises TypeError for any other, whose text is not repeated."""
    try:
        return float(value)
    except ValueError as error:
        raise TypeError("no number") from error


def _unit_mm(found: dict[str, Any]) -> float:
    if "depth_unit_mm" in found:
        return _number(found["depth_unit_mm"])
    if "depth_scale" not in found:
        raise ValueError("does not say the unit of depth; add depth_unit_mm (1 for images in mm)")
    scale = _number(found["depth_scale"])
    if 0 < scale <= 0.01:
        return 1000 * scale
    if scale >= 100:
        return 1000 / scale
    raise ValueError(f"has a depth_scale of {scale:g}, which is no m per unit and no units per m; give depth_unit_mm")


def depth_cloud(image: Image, camera: Camera) -> Cloud:
    """The points of a depth image, 0 = not seen; what hangs between two surfaces is dropped.

    Raises: ValueError where it is not of this camera, or cannot be depth.
    """
    height, width = image.pixels.shape
    if (width, height) != (camera.width, camera.height):
        raise ValueError(f"has {width} x {height} px, its camera {camera.width} x {camera.height}")
    if image.pixels.max() < 256:
        raise ValueError(f"holds values up to {image.pixels.max():g}: is it a depth image of 16 bits?")
    depth = image.pixels * np.float32(camera.unit_mm)
    rows, cols = np.nonzero((depth > 0) & ~flying(depth))
    z = depth[rows, cols]
    x, y = (cols - np.float32(camera.cx)) * z / np.float32(camera.fx), (rows - np.float32(camera.cy)) * z / camera.fy
    note = f"a unit of depth is taken as {camera.unit_mm:g} mm, as the camera's file says"
    return Cloud(points=np.column_stack([x, y, z]).astype(np.float32), notes=(note,))


def flying(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(H, W) bool: pixels that lie between a nearer and a farther surface beside them; 0 = not seen."""
    seen = depth > 0
    near = ndimage.minimum_filter(np.where(seen, depth, np.inf), 3)
    far = ndimage.maximum_filter(np.where(seen, depth, -np.inf), 3)
    step = np.maximum(FLYING * depth, 5.0)
    return np.asarray(seen & (depth - near > step) & (far - depth > step))
