"""From scans and their landmarks to a study: one patch per case, with the map back to the patient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synth.domain.anatomy import OUTSIDE, Anatomy, visibility
from synth.domain.cases import some
from synth.domain.cloud import Cloud
from synth.domain.couch_plane import plane_of
from synth.domain.flesh import flesh_notes
from synth.domain.landmarks import Annotation
from synth.domain.mr import ready_to_cut
from synth.domain.overhead import overlook
from synth.domain.padding import unseen_sides
from synth.domain.patch import (
    Crop,
    Matrix,
    PatchMap,
    apply_affine,
    compose_affine,
    invert_affine,
    lift_affine,
    observed_pixels,
    sample_mask,
    silhouette_box,
)
from synth.domain.plausible import check_extent, outside_notes, place_notes, side_notes
from synth.domain.projection import CouchRemoval, Projection, Volume, is_ct, project, sample_plane
from synth.domain.radiograph import Image, outline
from synth.domain.schema import Samples, pack_silhouettes
from synth.domain.settings import ImportSettings
from synth.domain.single import check_single
from synth.domain.turn import turned


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One image or volume as a network sees it, and the way back.

    silhouette: (H, W) bool patch; depth_mm: (H, W) float32 patch, 0 = background, None for 2D images
    thickness_mm: (H, W) float32 patch, from skin to skin, 0 = background; None but for volumes
    observed: (H, W) bool patch, which pixels lie inside the source
    patch_map: patch -> source px and patient mm; to_viewer: (3, 4) patch (x, y, depth mm) -> 3D Slicer position
    pixel_mm: (2,) float32 size of a patch pixel (x, y), NaN where unknown
    source: the projection in source pixels, with the threshold used; notes: what a person should look at
    shown: what was cut at that threshold: the scan, a volume turned as it is seen
    """

    silhouette: NDArray[np.bool_]
    depth_mm: NDArray[np.float32] | None
    thickness_mm: NDArray[np.float32] | None
    observed: NDArray[np.bool_]
    patch_map: PatchMap
    to_viewer: Matrix
    pixel_mm: NDArray[np.float32]
    source: Projection
    notes: tuple[str, ...]
    shown: Image | Volume | Cloud


@dataclass(frozen=True, kw_only=True)
class ImportedCase:
    """One case of a study: its patch (see Prepared) and what a person should know of it.

    landmarks: (K, 3) float32 patch px, patch px, depth mm, NaN = not annotated; visible: (K,) uint8 codes
    threshold: the intensity used; source_size: (height, width) of the projection in source px
    """

    case: str
    subject: str
    silhouette: NDArray[np.bool_]
    depth_mm: NDArray[np.float32] | None
    thickness_mm: NDArray[np.float32] | None
    observed: NDArray[np.bool_]
    patch_map: PatchMap
    pixel_mm: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    visible: NDArray[np.uint8]
    threshold: float
    source_size: tuple[int, int]
    notes: tuple[str, ...]


def prepare(source: Image | Volume | Cloud, anatomy: Anatomy, crop: Crop, settings: ImportSettings) -> Prepared:
    """The patch of an image or volume.

    Raises: ValueError where no silhouette is found, a hand's side is not given, or there are two hands.
    """
    if anatomy.base == "hand" and settings.side is None:
        raise ValueError("the side of a hand is not known; give --side left or --side right (it is never guessed)")
    shown, view = _projected(source, anatomy, settings)
    if anatomy.base == "hand" and not isinstance(shown, Cloud):
        check_single(shown, view)
    flesh = flesh_notes(view) if anatomy.base == "hand" and isinstance(source, Image) else ()
    unit = None if view.pixel_mm is None else view.pixel_mm[0]
    to_source = crop.window(silhouette_box(view.silhouette), anatomy.size, unit)
    if settings.side == "right":
        to_source = compose_affine(to_source, np.array([[-1.0, 0, anatomy.width], [0, 1, 0]]))
    lifted = lift_affine(to_source)
    silhouette = sample_mask(view.silhouette, to_source, anatomy.size)
    depth, thickness = (sample_plane(plane, to_source, silhouette) for plane in (view.depth_mm, view.thickness_mm))
    scale = np.abs(np.diag(to_source[:, :2]))
    mm = np.full(2, np.nan) if view.pixel_mm is None else np.array(view.pixel_mm)
    return Prepared(
        silhouette=silhouette,
        depth_mm=depth,
        thickness_mm=thickness,
        observed=_observed(view, to_source, anatomy.size),
        patch_map=PatchMap(to_source=to_source, to_patient=compose_affine(view.to_patient, lifted)),
        to_viewer=compose_affine(view.to_viewer, lifted),
        pixel_mm=(scale * mm).astype(np.float32),
        source=view,
        notes=shown.notes + view.notes + flesh + _assumed(source, anatomy, settings) + _silhouette_notes(view),
        shown=shown,
    )


def _observed(view: Projection, to_source: Matrix, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Boolean patch: which pixels lie inside the source, and in what was seen of it."""
    height, width = view.silhouette.shape
    observed = observed_pixels(to_source, (height, width), size)
    return observed if view.observed is None else observed & sample_mask(view.observed, to_source, size)


def _overlooked(cloud: Cloud, settings: ImportSettings) -> Projection:
    """What lies on the couch before a depth camera."""
    if settings.head is None:
        raise ValueError(
            "where the head (a hand's fingers) lies in the camera's image is not known; "
            "give --head up, down, left or right"
        )
    plane = None if settings.camera is None or settings.camera.plane is None else plane_of(settings.camera.plane)
    return overlook(cloud, settings.head, plane)


def couch_removal(shown: Volume, anatomy: Anatomy, settings: ImportSettings) -> CouchRemoval:
    """How a couch is cut out of a volume: as the settings say, by default where there nearly always is one."""
    if settings.couch != "auto":
        return settings.couch
    behind = anatomy.base == "body" and settings.up in (None, "anterior")
    return "fit" if behind and is_ct(shown) else "none"


def _projected(
    source: Image | Volume | Cloud, anatomy: Anatomy, settings: ImportSettings
) -> tuple[Image | Volume | Cloud, Projection]:
    """(what was cut, a volume turned as it is seen; its projection, in patient mm, a couch cut out)."""
    if isinstance(source, Image):
        return source, outline(source, threshold=settings.threshold)
    if isinstance(source, Cloud):
        return source, _overlooked(source, settings)
    shown, to_patient = turned(source, settings.turn)
    shown, level = ready_to_cut(shown, settings.threshold)
    view = project(shown, threshold=level, couch=couch_removal(shown, anatomy, settings), couch_mm=settings.couch_mm)
    to_viewer = compose_affine(to_patient, view.to_viewer)
    return shown, replace(view, to_patient=compose_affine(to_patient, view.to_patient), to_viewer=to_viewer)


def import_case(
    source: Image | Volume | Cloud, annotation: Annotation, anatomy: Anatomy, crop: Crop, settings: ImportSettings
) -> ImportedCase:
    """One case from its scan and annotation. Raises ValueError, naming the case, for whatever does not fit."""
    with naming(annotation.case):
        return annotated(prepare(source, anatomy, crop, settings), source, annotation, anatomy)


@contextmanager
def naming(case: str) -> Iterator[None]:
    """Within, a ValueError names the case."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"case {case!r}: {error}") from error


def annotated(
    prepared: Prepared, source: Image | Volume | Cloud, annotation: Annotation, anatomy: Anatomy
) -> ImportedCase:
    """A scan that was prepared, with its landmarks. Raises ValueError where they do not suit it."""
    landmarks = patch_landmarks(annotation, prepared, source, anatomy)
    visible = _visible(landmarks, prepared, anatomy)
    height, width = prepared.source.silhouette.shape
    placed: tuple[str, ...] = ()
    if not isinstance(source, Image):
        placed = place_notes(annotation.points, prepared.silhouette, prepared.patch_map.patch_points)
    return ImportedCase(
        case=annotation.case,
        subject=annotation.subject,
        silhouette=prepared.silhouette,
        depth_mm=prepared.depth_mm,
        thickness_mm=prepared.thickness_mm,
        observed=prepared.observed,
        patch_map=prepared.patch_map,
        pixel_mm=prepared.pixel_mm,
        landmarks=landmarks.astype(np.float32),
        visible=visible,
        threshold=prepared.source.threshold,
        source_size=(height, width),
        notes=prepared.notes + side_notes(landmarks, anatomy) + placed + outside_notes(landmarks, visible, anatomy),
    )


def patch_landmarks(
    annotation: Annotation, prepared: Prepared, source: Image | Volume | Cloud, anatomy: Anatomy
) -> NDArray[np.float64]:
    """(K, 3) landmarks in patch px, patch px, depth mm; depth NaN for 2D images, all NaN where not annotated.

    Raises: ValueError where coordinates do not suit the image or lie far outside it.
    """
    points = np.array(annotation.points, np.float64)
    given = np.isfinite(points[:, 0])
    if not isinstance(source, Image):
        low, high = _extent(source)
        if not np.isfinite(points[given]).all():
            raise ValueError("a volume needs z (patient mm, LPS) for every landmark; the file has empty z")
        patch = prepared.patch_map.patch_points(points)
    else:
        if annotation.viewer:
            points = apply_affine(invert_affine(prepared.source.to_viewer), points)
        elif np.isfinite(points[:, 2]).any():
            raise ValueError("a 2D image has no z; leave the column empty and give x, y in px")
        points[:, 2] = np.where(given, 0, np.nan)
        low, high = np.zeros(3), np.array([source.pixels.shape[1], source.pixels.shape[0], 0.0])
        xy = apply_affine(invert_affine(prepared.patch_map.to_source), points[:, :2])
        patch = np.column_stack([xy, np.full(len(xy), np.nan)])
    check_extent(points, low, high, anatomy.names, "px" if isinstance(source, Image) else "mm LPS")
    return np.asarray(patch)


def assemble(cases: Sequence[ImportedCase], first_id: int = 0) -> Samples:
    """The cases as the rows of a study, in the order given. Raises ValueError where 2D images and volumes are mixed."""
    depths = [case.depth_mm for case in cases]
    thick = [case.thickness_mm for case in cases if case.thickness_mm is not None]
    flat = [case.case for case in cases if case.depth_mm is None]
    if 0 < len(flat) < len(cases):
        raise ValueError(f"2D images ({some(flat)}) and volumes are mixed; import them as two studies")
    return Samples(
        sample_id=np.arange(first_id, first_id + len(cases), dtype=np.int64),
        packed=pack_silhouettes(np.stack([case.silhouette for case in cases])),
        depth_mm=None if flat else np.stack([depth for depth in depths if depth is not None]),
        thickness_mm=np.stack(thick) if len(thick) == len(cases) else None,
        landmarks=np.stack([case.landmarks for case in cases]),
        visible=np.stack([case.visible for case in cases]),
        pixel_mm=np.stack([case.pixel_mm for case in cases]),
        parameters=np.zeros((len(cases), 0), np.float32),
        joints=np.zeros((len(cases), 0, 3), np.float32),
        observed=pack_silhouettes(np.stack([case.observed for case in cases])),
        case=tuple(case.case for case in cases),
        subject=tuple(case.subject for case in cases),
        to_source=np.stack([case.patch_map.to_source for case in cases]),
        to_patient=np.stack([case.patch_map.to_patient for case in cases]),
    )


def _extent(source: Volume | Cloud) -> tuple[Matrix, Matrix]:
    """(low, high) corners (3,) of a volume in patient mm, of a cloud in the camera's."""
    if isinstance(source, Cloud):
        return source.points.min(0).astype(np.float64), source.points.max(0).astype(np.float64)
    volume, affine = source, source.index_to_patient
    shape = np.array(volume.voxels.shape[::-1], np.float64)
    corners = apply_affine(affine, np.array([[-0.5, -0.5, -0.5], shape - 0.5]))
    return corners[0], corners[1]


def _visible(landmarks: NDArray[np.float64], prepared: Prepared, anatomy: Anatomy) -> NDArray[np.uint8]:
    """(K,) visibility codes; a landmark beyond the source's field of view is OUTSIDE, also where the patch goes on."""
    codes = visibility(landmarks, prepared.silhouette, prepared.depth_mm, anatomy)
    height, width = prepared.source.silhouette.shape
    x, y = prepared.patch_map.source_points(landmarks).T
    return np.where((x >= 0) & (x <= width) & (y >= 0) & (y <= height), codes, OUTSIDE).astype(np.uint8)


def _assumed(source: Image | Volume | Cloud, anatomy: Anatomy, settings: ImportSettings) -> tuple[str, ...]:
    """What no file tells of a hand: how it was turned in the scanner."""
    if anatomy.base != "hand" or not isinstance(source, Volume) or (settings.back and settings.fingers):
        return ()
    back, fingers = settings.back or "anterior", settings.fingers or "superior"
    return (f"the hand is taken to lie with its back to {back} and its fingers to {fingers} (--back, --fingers)",)


def _silhouette_notes(view: Projection) -> tuple[str, ...]:
    mask = view.silhouette
    notes = []
    if not 0.02 <= mask.mean() <= 0.9:
        notes.append(f"silhouette covers {mask.mean():.1%} of the image: is the threshold right?")
    sides = {"top": mask[0], "bottom": mask[-1], "left": mask[:, 0], "right": mask[:, -1]}
    if cut := [name for name, edge in sides.items() if edge.any()]:
        notes.append(f"cut off at the {', '.join(cut)} of the image")
    if view.thickness_mm is not None and view.observed is not None:  # a volume's: only what meets the body is unknown
        notes.append(f"cut off at the {', '.join(unseen_sides(view.observed, mask))} by the field of view")
    return tuple(notes)
