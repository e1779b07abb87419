"""How the MR scans of a study differ: which artefacts each has, and how strong they are."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synth.mr_artefacts import Artefacts, Axis

Chance = tuple[float, float, float]  # share of the scans, and the range of strengths of those
NONE: Chance = (0.0, 0.0, 0.0)
DRAWN = ("coil", "ghost", "pressed_mm", "skin", "slice_gain", "sharp")  # of Artefacts
PHASES: tuple[Axis, Axis] = ("x", "z")


@dataclass(frozen=True, kw_only=True)
class ArtefactRange:
    """What is drawn for each scan, see mr_artefacts.Artefacts; each as (share of scans, low, high).

    noise: how many times the recipe's it is; suppressed: share of scans with fat suppressed
    """

    coil: Chance = NONE
    ghost: Chance = NONE
    pressed_mm: Chance = NONE
    skin: Chance = NONE
    slice_gain: Chance = NONE
    sharp: Chance = NONE
    noise: Chance = NONE
    suppressed: float = 0.0

    def __post_init__(self) -> None:
        for name in (*DRAWN, "noise"):
            share, low, high = getattr(self, name)
            if not 0 <= share <= 1 or not 0 <= low <= high:
                allowed = "share 0 to 1, 0 <= low <= high"
                raise ValueError(f"artefacts.{name} is {share}, {low}, {high}; allowed: {allowed}")
            if share > 0 and name in DRAWN:
                replace(Artefacts(), **{name: low})
                replace(Artefacts(), **{name: high})
        if not 0 <= self.suppressed <= 1:
            raise ValueError(f"artefacts.suppressed is {self.suppressed}; allowed: 0 to 1")

    def sample(self, rng: np.random.Generator) -> tuple[Artefacts, float]:
        """(the artefacts of one scan, how many times the recipe's its noise is)."""
        strengths: dict[str, Any] = {}
        for name in (*DRAWN, "noise"):
            share, low, high = getattr(self, name)
            present, strength = rng.random() < share, rng.uniform(low, high)
            if present:
                strengths[name] = float(strength)
        noise = strengths.pop("noise", 1.0)
        suppressed, phase = rng.random() < self.suppressed, PHASES[int(rng.integers(2))]
        return replace(Artefacts(weighting="water" if suppressed else "t1", phase=phase), **strengths), noise


def usual_artefacts() -> ArtefactRange:
    """Of a clinic's hands: most scans have something, few have it badly; set by hand, no survey stands behind it."""
    return ArtefactRange(
        coil=(0.5, 1.5, 5.0), ghost=(0.3, 0.02, 0.1), pressed_mm=(0.3, 1.0, 3.0), skin=(0.2, 0.4, 0.8),
        slice_gain=(0.2, 0.03, 0.12), sharp=(0.2, 0.5, 0.9), noise=(0.3, 1.0, 2.0), suppressed=0.15,
    )  # fmt: skip
