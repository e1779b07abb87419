"""A loaded model on one case: landmarks in source pixels and patient mm, with a status. Writes nothing."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from synth.domain.anatomy import Anatomy
from synth.domain.annotation import denormalise_landmark_depth
from synth.domain.landmarks import Prediction
from synth.domain.patch import apply_affine
from synth.domain.schema import pack_silhouettes
from synth.domain.study import Prepared
from training.checkpoint import LoadedModel, ModelCard
from training.data import Patches, depth_steps
from training.extent import beyond, extent_mm
from training.loop import predict
from training.surface import surface_mm
from training.uncertainty import expected_error, radii_mm

# Beyond these, in shares of the patch's longer side, a prediction is not to be trusted
FAR_FROM_TISSUE = 0.03
LARGEST_SIGMA = 0.05
DOUBT = (
    "the silhouette is unlike those the model has learnt from, so no landmark is placed; is it one whole {anatomy}, "
    "the right way up and the right side, cut at the right threshold?"
)
DOUBTED_EXTENT = (
    "landmarks would lie {extent:.0f} mm from their centre, those that the model has learnt from lie {low:.0f} to "
    "{high:.0f}, so none is placed; is the spacing right, and is it no child where the model is of adults?"
)


@dataclass(frozen=True, kw_only=True)
class CasePrediction:
    """The landmarks of one case.

    status: (K,) "ok"; "outside" the image's field of view; "untrusted": too uncertain, where there is no tissue, or in
        a silhouette unlike those that the model has learnt from
    doubt: why no landmark of the case is trusted; "" where its silhouette is like others and its size, too
    patch: (K, 2) patch px; source: (K, 2) px of the source projection
    patient_mm: (K, 3) LPS; NaN where the spacing of a 2D image is unknown; its z is NaN
    viewer: (K, 3) position for 3D Slicer
    sigma_px: (K,) expected error along one axis in patch px; sigma_mm: in the image plane; NaN where unknown
    radius90_mm: (K,) conformal radius in it of each landmark by itself; radius90_all_mm: of all together; NaN where not
        calibrated. None of these says anything of the depth
    num_calibration: (K,) subjects that the radius was calibrated on
    depth_source: (K,) "surface" where the depth is that of the surface at the pixel and what landmarks lie beneath it,
        "surface+regressed" where it lies half-way between that and the network's,
        "regressed" where it is the network's, "mean" where it is the mean of the training data, "" for 2D images
    """

    anatomy: Anatomy
    status: tuple[str, ...]
    doubt: str
    patch: NDArray[np.float64]
    source: NDArray[np.float64]
    patient_mm: NDArray[np.float64]
    viewer: NDArray[np.float64]
    sigma_px: NDArray[np.float64]
    sigma_mm: NDArray[np.float64]
    radius90_mm: NDArray[np.float64]
    radius90_all_mm: NDArray[np.float64]
    num_calibration: tuple[int, ...]
    depth_source: tuple[str, ...]

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """(K,) whether a landmark's status is ok."""
        return np.array([status == "ok" for status in self.status])

    @property
    def uncertainty(self) -> float:
        """Mean expected error of the case's landmarks in patch px; 0 where the model knows none."""
        known = self.sigma_px[np.isfinite(self.sigma_px)]
        return float(known.mean()) if known.size else 0.0

    def positions(self) -> NDArray[np.float64]:
        """(K, 3) positions for 3D Slicer, NaN unless ok."""
        return np.where(self.trusted[:, None], self.viewer, np.nan)

    def rows(self, case: str) -> list[Prediction]:
        """The case's rows of landmarks.csv."""
        return [
            Prediction(
                case=case,
                landmark=name,
                status=self.status[k],
                point_px=(float(self.source[k, 0]), float(self.source[k, 1])),
                point_mm=(float(self.patient_mm[k, 0]), float(self.patient_mm[k, 1]), float(self.patient_mm[k, 2])),
                sigma_mm=float(self.sigma_mm[k]),
                radius90_mm=float(self.radius90_mm[k]),
                depth_source=self.depth_source[k],
                num_calibration=self.num_calibration[k],
            )
            for k, name in enumerate(self.anatomy.names)
        ]


def predict_case(loaded: LoadedModel, prepared: Prepared) -> CasePrediction:
    """The landmarks of one prepared image or volume.

    Raises: ValueError for a volume whose model has not recorded landmark depths.
    """
    card, anatomy = loaded.card, loaded.card.anatomy
    patches = as_patches(prepared, anatomy)
    predictions = predict(loaded.model, patches)
    points = predictions.points[0].astype(np.float64)
    sigma_px = expected_error(card, predictions.sigma[0].astype(np.float64))
    depth, source = _depths(card, prepared, points, predictions.depth[0])
    lifted = np.column_stack([points, depth])
    patient = prepared.patch_map.patient_points(lifted)
    if prepared.depth_mm is None:
        patient[:, 2] = np.nan
        patient[:] = patient if np.isfinite(prepared.pixel_mm).all() else np.nan
    pixel_mm = float(np.sqrt(np.mean(np.square(prepared.pixel_mm, dtype=np.float64))))
    doubt = _doubt(loaded, patches, points, prepared)
    radius, together = radii_mm(card, sigma_px * pixel_mm, pixel_mm)
    return CasePrediction(
        anatomy=anatomy,
        status=_status(points, sigma_px, prepared, bool(doubt)),
        doubt=doubt,
        patch=points,
        source=prepared.patch_map.source_points(points),
        patient_mm=patient,
        viewer=apply_affine(prepared.to_viewer, lifted),
        sigma_px=sigma_px,
        sigma_mm=sigma_px * pixel_mm,
        radius90_mm=radius,
        radius90_all_mm=together,
        num_calibration=card.conformal.num_subjects or (0,) * anatomy.num_landmarks,
        depth_source=source,
    )


def _doubt(loaded: LoadedModel, patches: Patches, points: NDArray[np.float64], prepared: Prepared) -> str:
    """Why a case is unlike what the model has learnt from, in a sentence; "" where it is like it.

    Its size is judged where all landmarks lie within the field of view.
    """
    card = loaded.card
    if card.trust is not None and card.trust.doubts(loaded.model, patches.batch(torch.zeros(1).long()))[0]:
        return DOUBT.format(anatomy=card.anatomy.base)
    extent = float(extent_mm(points[None], prepared.pixel_mm[None])[0])
    if all(_inside(point, prepared) for point in prepared.patch_map.source_points(points)) and beyond(
        extent, card.extent_mm
    ):
        assert card.extent_mm is not None
        return DOUBTED_EXTENT.format(extent=extent, low=card.extent_mm[0], high=card.extent_mm[1])
    return ""


def as_patches(prepared: Prepared, anatomy: Anatomy) -> Patches:
    """One prepared scan as the patches that a network reads, its landmarks unknown."""
    landmarks = anatomy.num_landmarks
    return Patches(
        size=anatomy.size,
        packed=torch.as_tensor(pack_silhouettes(prepared.silhouette[None])),
        points=torch.zeros(1, landmarks, 2),
        valid=torch.zeros(1, landmarks, dtype=torch.bool),
        sample_id=torch.zeros(1, dtype=torch.int64),
        observed=torch.as_tensor(pack_silhouettes(prepared.observed[None])),
        depth=None if prepared.depth_mm is None else depth_steps(prepared.depth_mm[None]),
        thickness=None if prepared.thickness_mm is None else depth_steps(prepared.thickness_mm[None]),
    )


def _depths(
    card: ModelCard, prepared: Prepared, points: NDArray[np.float64], regressed: NDArray[np.float32]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """((K,) depth in mm, (K,) where it is from); 0 for 2D images.

    Normalised depths are scaled by the case's own map.
    """
    count = card.anatomy.num_landmarks
    if prepared.depth_mm is None:
        return np.zeros(count), ("",) * count
    if card.depth_regressed:
        normalised, own = regressed, "regressed"
    elif card.mean_depth is not None:
        normalised, own = np.array(card.mean_depth, np.float32), "mean"
    else:
        raise ValueError("the model has no landmark depths, so it cannot place landmarks in a volume; use one that has")
    depth = denormalise_landmark_depth(normalised, prepared.depth_mm).astype(np.float64)
    if card.beneath is None:
        return depth, (own,) * count
    told = card.beneath.depth(surface_mm(prepared.depth_mm[None], points[None])[0], depth)
    return told, card.beneath.sources(own)


def _status(
    points: NDArray[np.float64], sigma_px: NDArray[np.float64], prepared: Prepared, doubted: bool
) -> tuple[str, ...]:
    longer = max(prepared.silhouette.shape)
    rows, cols = np.nonzero(prepared.silhouette)
    tissue = np.column_stack([cols, rows]) + 0.5
    found = []
    for point, source, sigma in zip(points, prepared.patch_map.source_points(points), sigma_px, strict=True):
        distance = float(np.hypot(*(tissue - point).T).min())
        if not _inside(source, prepared):
            found.append("outside")
        elif doubted or distance > FAR_FROM_TISSUE * longer or sigma > LARGEST_SIGMA * longer:
            found.append("untrusted")
        else:
            found.append("ok")
    return tuple(found)


def _inside(source: NDArray[np.float64], prepared: Prepared) -> bool:
    """Whether a point (2,) px of the source lies within it."""
    height, width = prepared.source.silhouette.shape
    return bool(0 <= source[0] <= width and 0 <= source[1] <= height)
