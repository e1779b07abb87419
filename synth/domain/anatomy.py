"""Anatomies: a patch size, named points on the body model, and which of them are landmarks. Definitions are data.

The shipped ones lie in anatomies/ as TOML; docs/formats.md describes the format, for anatomies of your own too.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth.domain.point import Point, validated


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What is imaged: its patch, its named points, and its landmarks, which are some of them, in a fixed order.

    base: whether hands or bodies are rendered; names: of the landmarks
    """

    name: str
    base: Literal["hand", "body"]
    height: int
    width: int
    names: tuple[str, ...]
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.name):
            raise ValueError(f"anatomy name {self.name!r} is not allowed; use letters, digits and _")
        if min(self.height, self.width) < 16:
            raise ValueError(f"patch is {self.height} x {self.width}; allowed: at least 16 x 16")
        for what, names in (("point", self.point_names), ("landmark", self.names)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} {twice[0]!r} is defined twice; give it once, or another name")
        if not self.names:
            raise ValueError("there are no landmarks; list at least one point in `landmarks`")
        if unknown := [name for name in self.names if name not in self.point_names]:
            raise ValueError(f"landmark {unknown[0]!r} is no point; define it in [points], or use one of the base's")
        self._check_mirror()

    def _check_mirror(self) -> None:
        partners = {point.name: point.partner for point in self.points}
        for name, partner in partners.items():
            if partner not in partners:
                raise ValueError(
                    f"point {name!r}: its mirror partner {partner!r} is no point; define it, or set mirror"
                )
            if partners[partner] != name:
                raise ValueError(f"point {name!r} has partner {partner!r}, whose partner is {partners[partner]!r}")
        for name in self.names:
            if partners[name] not in self.names:
                raise ValueError(f"landmark {name!r} needs its mirror partner {partners[name]!r} among the landmarks")

    def __hash__(self) -> int:
        return hash((self.name, self.names))  # hashing every definition would cost more than finding the points

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the patch in pixels."""
        return self.height, self.width

    @cached_property
    def point_names(self) -> tuple[str, ...]:
        """Names of all points in their fixed order."""
        return tuple(point.name for point in self.points)

    @cached_property
    def rows(self) -> list[int]:
        """Where the landmarks stand among the points."""
        return [self.point_names.index(name) for name in self.names]

    @cached_property
    def landmarks(self) -> tuple[Point, ...]:
        """Definitions of the landmarks."""
        return tuple(self.points[row] for row in self.rows)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """`mirror[k]` is landmark k's partner in a mirror image."""
        return tuple(self.names.index(mark.partner) for mark in self.landmarks)

    @property
    def num_landmarks(self) -> int:
        """K."""
        return len(self.names)

    @property
    def silhouette_bytes(self) -> int:
        """Bytes of one bit-packed silhouette."""
        return (self.height * self.width + 7) // 8

    def as_dict(self) -> dict[str, Any]:
        """The whole definition as plain JSON types; anatomy_from reads it."""
        return asdict(self)

    def has_landmarks_of(self, other: "Anatomy") -> bool:
        """Whether patches and landmark names are the same, so that a network for one serves the other."""
        return (self.base, self.size, self.names) == (other.base, other.size, other.names)


def anatomy_from(stored: Any) -> Anatomy:
    """The anatomy that a manifest or model card holds: as_dict's form, or in older ones a shipped name.

    Raises: ValueError where it is neither.
    """
    if isinstance(stored, Anatomy):
        return stored
    if isinstance(stored, str):
        return anatomy_named(stored)
    return validated(Anatomy, stored)


SHIPPED = Path(__file__).parent / "anatomies"


def anatomy_named(name: str) -> Anatomy:
    """The shipped anatomy of that name, or that of a TOML file. Raises ValueError for an unknown or wrong one."""
    if name.endswith(".toml"):
        return _read(Path(name))
    if name not in _known():
        raise ValueError(f"anatomy {name!r} does not exist; choose one of {', '.join(_known())}, or a .toml file")
    return _shipped(name)


@cache
def _known() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


@cache
def _shipped(name: str) -> Anatomy:
    return _read(SHIPPED / f"{name}.toml")


def _read(path: Path) -> Anatomy:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"anatomy {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"anatomy {path} is not TOML: {error}") from error
    try:
        return _from_table(table)
    except ValueError as error:
        raise ValueError(f"anatomy {path}: {error}") from error


def _from_table(table: Mapping[str, Any]) -> Anatomy:
    allowed = {"name", "height", "width", "landmarks", "points"} | ({"base"} & table.keys())
    if unknown := sorted(table.keys() - allowed):
        raise ValueError(f"key {unknown[0]!r} is unknown; allowed: {', '.join(sorted(allowed))}")
    if "base" in table:
        if table["base"] not in ("hand", "body"):
            raise ValueError(f"base is {table['base']!r}; allowed: hand, body")
        base = _shipped(table["base"])
        size = {"height": table.get("height", base.height), "width": table.get("width", base.width)}
        plain = {"base": base.name, **size}
        inherited = base.points
    else:
        plain = {"base": table.get("name"), "height": table.get("height"), "width": table.get("width")}
        inherited = ()
    points = table.get("points", {})
    if not isinstance(points, dict) or not all(isinstance(entry, dict) for entry in points.values()):
        raise ValueError("points is not a table of tables; write [points.NAME]")
    if twice := sorted(points.keys() & {point.name for point in inherited}):
        raise ValueError(f"point {twice[0]!r} is one of the base's; give it another name")
    own = tuple(validated(Point, {"name": name, **entry}) for name, entry in points.items())
    return validated(
        Anatomy,
        {**plain, "name": table.get("name"), "names": table.get("landmarks"), "points": inherited + own},
    )


HAND, BODY = anatomy_named("hand"), anatomy_named("body")

# Codes of the `visible` column.
OUTSIDE, OUTLINE, INSIDE, HIDDEN = 0, 1, 2, 3
VISIBILITY_NAMES = ("outside the field of view", "on the outline", "inside the silhouette", "hidden")


def visibility(
    points: NDArray[np.floating[Any]],
    silhouette: NDArray[np.bool_],
    depth_mm: NDArray[np.floating[Any]] | None,
    anatomy: Anatomy,
    outline_px: float = 1.5,
) -> NDArray[np.uint8]:
    """(..., K) visibility codes of landmarks `points` (..., K, 3: patch px, patch px, depth mm) on patches (..., H, W).

    A landmark is OUTSIDE beyond the patch, HIDDEN where the first surface lies more than its `cover_mm`
    before it, on the OUTLINE where background lies within `outline_px`, INSIDE otherwise.
    Points that are NaN are OUTSIDE. depth_mm (..., H, W) or None where unknown: then nothing is HIDDEN.
    """
    height, width = silhouette.shape[-2:]
    masks, (x, y, z) = silhouette.reshape(-1, height, width), np.moveaxis(np.asarray(points, np.float64), -1, 0)
    with np.errstate(invalid="ignore"):
        seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y, z = (np.where(seen, axis, 0).reshape(len(masks), -1)[:, :, None, None] for axis in (x, y, z))
    reach = np.arange(2 * int(outline_px) + 3) - int(outline_px) - 1
    rows, cols = y.astype(int) + reach[:, None], x.astype(int) + reach
    near = (np.hypot(rows + 0.5 - y, cols + 0.5 - x) <= outline_px) & (rows >= 0) & (rows < height)
    near &= (cols >= 0) & (cols < width)
    at = np.arange(len(masks))[:, None, None, None], rows.clip(0, height - 1), cols.clip(0, width - 1)
    tissue = near & masks[at]
    codes = np.where((tissue == near).all((2, 3)), INSIDE, OUTLINE)
    if depth_mm is not None:
        surface = np.where(tissue, np.asarray(depth_mm).reshape(masks.shape)[at], -np.inf).max((2, 3))
        cover = np.array([point.cover_mm for point in anatomy.landmarks])
        codes[np.isfinite(surface) & (z[:, :, 0, 0] - surface > cover)] = HIDDEN  # never where z is NaN
    return np.where(seen, codes.reshape(seen.shape), OUTSIDE).astype(np.uint8)
