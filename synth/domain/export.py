"""How a virtual scan is exported: whose it is, in which slices, and which way round the patient lay. No pydicom."""

import uuid
from dataclasses import dataclass
from typing import Literal

from synth.domain.patch import Matrix

Plane = Literal["axial", "sagittal", "coronal"]
Position = Literal["HFS", "FFS"]

UIDS = uuid.UUID("6b1f2f5c-3f57-5f0e-9a53-0d6d3a3c1a77")  # ours alone, so that no other program makes the same


@dataclass(frozen=True, kw_only=True)
class Export:
    """How a volume is written.

    number: of the made-up patient; source: what made the volume, in words of our own: UIDs are hashes of it
    rotation (3, 3): turns the volume's axes about the patient's origin into those of an oblique scan; None: straight
    """

    modality: Literal["ct", "mr"]
    number: int
    source: str
    plane: Plane = "axial"
    position: Position = "HFS"
    deflated: bool = False
    rotation: Matrix | None = None

    def uid(self, part: str) -> str:
        """A UID for a part of the series, the same each time."""
        return f"2.25.{uuid.uuid5(UIDS, f'{self.source}/{part}').int}"
