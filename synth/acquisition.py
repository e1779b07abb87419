"""How a virtual patient is scanned and exported: feet first, in which slices, how far these are oblique."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synth.domain.export import Export, Plane, Position
from synth.domain.patch import Matrix


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """Shares of cases, 0 to 1, that are scanned and exported otherwise than axially, head first and straight.

    feet_first, deflated: as DICOM says it; other_planes: of sagittal and coronal series
    oblique: of volumes turned by up to oblique_deg about an axis of any direction
    """

    feet_first: float = 0.2
    other_planes: float = 0.2
    deflated: float = 0.2
    oblique: float = 0.0
    oblique_deg: float = 15.0

    def __post_init__(self) -> None:
        for name in ("feet_first", "other_planes", "deflated", "oblique"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"acquisition.{name} is {share}; allowed: 0 to 1")
        if not 0 <= self.oblique_deg <= 45:
            raise ValueError(f"acquisition.oblique_deg is {self.oblique_deg}; allowed: 0 to 45")

    def sample(self, modality: Literal["ct", "mr"], number: int, source: str, rng: np.random.Generator) -> Export:
        """How case `number` is exported; `source` says what made it, see export.Export."""
        feet_first, other, deflated, oblique = rng.random(4)
        plane: Plane = "axial"
        if other < self.other_planes:
            plane = "sagittal" if rng.random() < 0.5 else "coronal"
        position: Position = "FFS" if feet_first < self.feet_first else "HFS"
        turned = _rotation(np.deg2rad(self.oblique_deg), rng) if oblique < self.oblique else None
        return Export(
            modality=modality,
            number=number,
            source=source,
            plane=plane,
            position=position,
            deflated=bool(deflated < self.deflated),
            rotation=turned,
        )


def _rotation(most_rad: float, rng: np.random.Generator) -> Matrix:
    """(3, 3) a turn by up to `most_rad` about an axis of any direction. Source: Rodrigues' formula."""
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = rng.uniform(0.3, 1) * most_rad
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
