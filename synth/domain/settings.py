"""How a person says that scans are to be read."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from synth.domain.cloud import Camera
from synth.domain.overhead import Head
from synth.domain.patch import Matrix
from synth.domain.posture import Up
from synth.domain.projection import CouchRemoval
from synth.domain.turn import Direction, turn_matrix

Side = Literal["left", "right"]


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """How scans are read.

    side: of a hand; a body needs none. threshold: None chooses it. spacing_mm: of 2D images that do not tell it.
    back, fingers: of a hand in a volume, where they faced; None is taken for anterior and superior
    series: which DICOM series of a folder; up: the side of the patient that faced up, None takes it from the file
    couch: as projection.project; "auto": "fit" in a CT of a body on its back, else "none". couch_mm: for "accumulate"
    camera: of depth images; unit_mm: of point clouds; head: where the head (a hand's fingers) lies in a camera's image
    """

    side: Side | None = None
    back: Direction | None = None
    fingers: Direction | None = None
    threshold: float | None = None
    spacing_mm: float | None = None
    series: str | None = None
    up: Up | None = None
    couch: CouchRemoval | Literal["auto"] = "auto"
    couch_mm: float = 12.0
    camera: Camera | None = None
    unit_mm: float | None = None
    head: Head | None = None

    def __post_init__(self) -> None:
        if self.side not in (None, "left", "right"):
            raise ValueError(f"side is {self.side!r}; allowed: left, right")
        if self.spacing_mm is not None and not 0 < self.spacing_mm < 100:
            raise ValueError(f"spacing_mm is {self.spacing_mm}; allowed: 0 < spacing_mm < 100")
        for name in ("back", "fingers"):
            if getattr(self, name) not in (None, *get_args(Direction)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(get_args(Direction))}")
        self.turn  # noqa: B018  validates the two together
        if self.head not in (None, *get_args(Head)):
            raise ValueError(f"head is {self.head!r}; allowed: {', '.join(get_args(Head))}")
        if self.up not in (None, *get_args(Up)):
            raise ValueError(f"up is {self.up!r}; allowed: {', '.join(get_args(Up))}")
        if self.couch not in ("auto", "none") and self.up not in (None, "anterior"):
            raise ValueError(
                f"couch is {self.couch}, but with up {self.up} it is not behind the body; allowed: auto, none"
            )
        if not 0 < self.couch_mm < 200:
            raise ValueError(f"couch_mm is {self.couch_mm}; allowed: 0 < couch_mm < 200")

    @property
    def turn(self) -> Matrix:
        """(3, 3) rotation of patient mm that shows a hand's back, fingers up."""
        return turn_matrix(self.back or "anterior", self.fingers or "superior")

    def record(self) -> dict[str, object]:
        """The settings for a manifest; a series that was named by its UID, which is a patient's, as a hash."""
        record = asdict(self)
        if self.series is not None and not self.series.isdecimal():
            record["series"] = f"sha256 {hashlib.sha256(self.series.encode()).hexdigest()[:16]}"
        return record
