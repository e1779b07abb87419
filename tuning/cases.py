"""The cases of a study as cross-validation needs them: who they are, what is annotated, how far off a guess is."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy
from synth.domain.annotation import depth_statistics
from synth.domain.patch import Crop
from synth.domain.schema import Samples
from synth.domain.shards import read_manifest, read_samples
from training.checkpoint import ModelCard, read_card
from training.metrics import Floats, errors_mm, errors_px

Errors = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cases:
    """N annotated cases of a study.

    digest: of the study's data, as in its manifest; crop: how its patches were cut, None where it does not say
    virtual: whether the cases are computed, not scanned
    attributes: what study.py --subjects was told of each subject, column -> value; {} where nothing
    """

    anatomy: Anatomy
    samples: Samples
    digest: str
    crop: Crop | None = None
    virtual: bool = False
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def names(self) -> tuple[str, ...]:
        """(N,) case names."""
        assert self.samples.case is not None
        return self.samples.case

    @property
    def subjects(self) -> tuple[str, ...]:
        """(N,) subject names; a case without a subject is a subject of its own."""
        assert self.samples.subject is not None
        return tuple(subject or f"case {case}" for subject, case in zip(self.samples.subject, self.names, strict=True))

    @property
    def num_subjects(self) -> int:
        """How many different subjects there are."""
        return len(set(self.subjects))

    @property
    def points(self) -> NDArray[np.float64]:
        """(N, K, 2) annotated landmarks in patch px; NaN = not annotated."""
        return np.asarray(self.samples.landmarks[:, :, :2], np.float64)

    def errors_px(self, points: Floats) -> Errors:
        """(N, K) distances in patch px between `points` (N, K, 2) and the annotation; NaN where not annotated."""
        return errors_px(points, self.points)

    def errors_source_px(self, points: Floats) -> Errors:
        """(N, K) the same distances in px of the source image."""
        assert self.samples.to_source is not None
        offsets = np.asarray(points, np.float64) - self.points
        source = np.einsum("ndc,nkc->nkd", self.samples.to_source[:, :, :2], offsets)
        return np.asarray(np.linalg.norm(source, axis=2))

    def errors_mm(self, points: Floats) -> Errors:
        """(N, K) the same distances in mm within the image plane; NaN where the spacing is unknown."""
        return errors_mm(points, self.points, self.samples.pixel_mm)

    def depths(self) -> NDArray[np.float64]:
        """(N, K) annotated landmark depths, normalised with their depth map; NaN where there is no depth."""
        depths = np.full(self.points.shape[:2], np.nan)
        if self.samples.depth_mm is not None:
            means, deviations = self.depth_scales()
            depths = (self.samples.landmarks[:, :, 2] - means[:, None]) / deviations[:, None]
        return np.asarray(depths, np.float64)

    def depth_errors_mm(self, depth: Floats) -> Errors:
        """(N, K) mm between normalised depths (N, K) and the annotated ones; NaN where there is no depth."""
        true = self.depths()
        if not np.isfinite(true).any():
            return true
        return np.asarray(np.abs(np.asarray(depth, np.float64) - true) * self.depth_scales()[1][:, None])

    def depth_scales(self) -> tuple[Errors, Errors]:
        """(mean, deviation), each (N,) mm, of the foreground of every depth map. Needs depth."""
        assert self.samples.depth_mm is not None
        statistics = np.array([depth_statistics(depth) for depth in self.samples.depth_mm])
        return statistics[:, 0], statistics[:, 1]


def read_cases(uri: str, anatomy: Anatomy, *, depth: bool) -> Cases:
    """The annotated study at `uri`, which must be of the base that `anatomy` has; its landmarks are its own.

    Without `depth`, neither depth nor thickness is read.

    Raises: ValueError for what is no study, is of another anatomy, or has no annotated landmark at all.
    """
    manifest = read_manifest(uri)
    if manifest.anatomy.base != anatomy.base:
        raise ValueError(f"study {uri} is of a {manifest.anatomy.name}; the recipe is for a {anatomy.name}")
    if manifest.kind != "study":
        raise ValueError(f"{uri} holds {manifest.kind}, not a study; make a study with study.py")
    samples = read_samples(uri, manifest.anatomy, depth=depth, thickness=depth)
    if not np.isfinite(samples.landmarks[:, :, :2]).all(2).any():
        raise ValueError(
            f"study {uri} has no annotated landmark in its {len(samples)} case(s); import it with --landmarks"
        )
    crop = manifest.recipe.get("crop")
    return Cases(
        anatomy=manifest.anatomy,
        samples=samples,
        digest=manifest.digest,
        crop=None if crop is None else Crop(**crop),
        virtual=bool(manifest.recipe.get("virtual", False)),
        attributes=_by_subject(samples, manifest.recipe.get("attributes", {})),
    )


def _by_subject(samples: Samples, by_case: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Subject -> attributes, those of its first case that has any."""
    found: dict[str, dict[str, str]] = {}
    assert samples.case is not None and samples.subject is not None
    for case, subject in zip(samples.case, samples.subject, strict=True):
        if subject and by_case.get(case):
            found.setdefault(subject, by_case[case])
    return found


def check_network(uri: str, cases: Cases) -> ModelCard:
    """The card of the network at `uri`.

    Raises: ValueError where there is none, it is of another anatomy, was trained on patches cut another way, or has
        seen these cases.
    """
    card = read_card(uri)
    if not card.anatomy.has_landmarks_of(cases.anatomy):
        raise ValueError(f"network {uri} is for a {card.anatomy.name}; the study is of a {cases.anatomy.name}")
    if cases.crop is not None and cases.crop != card.crop:
        raise ValueError(f"network {uri} needs patches cut with {card.crop}; the study's were cut with {cases.crop}")
    if card.data.get("study") == cases.digest:
        raise ValueError(f"network {uri} was trained on this very study; give the one from before fine-tuning")
    return card
