"""One named point of the body, as data: how it is defined on the rig and the skin of the body model."""

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
Kind = Literal["bone", "vertex", "extremum"]
Direction = Literal["along", "cranial", "caudal", "left", "right", "anterior", "posterior"]

# What each kind of point is given, beside name, kind, mirror and cover_mm: (needed, allowed).
_GIVEN: dict[str, tuple[set[str], set[str]]] = {
    "bone": ({"bone"}, {"bone", "to", "along", "offset"}),
    "vertex": ({"vertices"}, {"vertices"}),
    "extremum": ({"bones", "direction"}, {"bones", "direction"}),
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One anatomical point, defined on the body model.

    kind:
      bone      at fraction `along` from the head of `bone` (0) to that of `to` (1; its first child if None), plus
                `offset` in lengths of that stretch, in the axes of the resting body (x to the subject's left, y to
                the back, z up; a hand's: x to the thumb, y to the fingers, z out of its back) turned with `bone`
      vertex    the mean of skin vertices, numbered as in the whole model
      extremum  the skin point farthest in `direction` among vertices whose largest skin weight is one of `bones`:
                "along" the first bone, or an axis of the body that does not turn with it
    mirror: its partner in a mirror image; None: itself, or for left_X right_X and the other way round.
    cover_mm: own tissue that may lie in front of it; more than that and it counts as hidden.
    """

    name: str
    kind: Kind
    bone: str | None = None
    to: str | None = None
    along: float = 0.0
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    vertices: tuple[int, ...] = ()
    bones: tuple[str, ...] = ()
    direction: Direction | None = None
    mirror: str | None = None
    cover_mm: float = 25.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.name):
            raise ValueError(f"point name {self.name!r} is not allowed; use letters, digits and _")
        blank = {
            "bone": None,
            "to": None,
            "along": 0,
            "offset": (0, 0, 0),
            "vertices": (),
            "bones": (),
            "direction": None,
        }
        given = {name for name, value in blank.items() if getattr(self, name) != value}
        needed, allowed = _GIVEN[self.kind]
        if lacking := sorted(needed - given):
            raise ValueError(f"point {self.name!r} of kind {self.kind} lacks {', '.join(lacking)}")
        if surplus := sorted(given - allowed):
            raise ValueError(f"point {self.name!r} of kind {self.kind} takes no {', '.join(surplus)}")
        if not 0 <= self.cover_mm < 1000:
            raise ValueError(f"point {self.name!r}: cover_mm is {self.cover_mm}; allowed: 0 to 1000")

    @property
    def partner(self) -> str:
        """Name of the point that a mirror image shows in its place."""
        for side, other in (("left_", "right_"), ("right_", "left_")):
            if self.mirror is None and self.name.startswith(side):
                return other + self.name.removeprefix(side)
        return self.name if self.mirror is None else self.mirror


def validated(kind: type[T], plain: Any) -> T:
    """The dataclass made of plain values. Raises ValueError in one line for unknown keys and values that do not fit."""
    fields = kind.__dataclass_fields__  # type: ignore[attr-defined]
    if isinstance(plain, dict) and (unknown := sorted(plain.keys() - fields.keys())):
        raise ValueError(f"{_label(plain)}key {unknown[0]!r} is unknown; allowed: {', '.join(fields)}")
    try:
        return TypeAdapter(kind).validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        if "error" in first.get("ctx", {}):  # a ValueError of our own
            raise ValueError(str(first["ctx"]["error"])) from error
        raise ValueError(f"{_label(plain)}{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _label(plain: Any) -> str:
    return f"point {plain['name']!r}: " if isinstance(plain, dict) and "kind" in plain else ""
