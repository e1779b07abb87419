"""What training cuts off is what a scan of that part would give; off is the identity; landmarks go along."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from synth.domain.anatomy import BODY, HAND
from synth.domain.annotation import normalise_depth
from synth.domain.patch import Crop
from synth.domain.projection import Volume
from synth.domain.schema import pack_silhouettes
from synth.domain.settings import ImportSettings
from synth.domain.study import Prepared, prepare
from tests.training.toy import toy_samples
from training.augment import Changes, Warps, change, draw_changes, draw_warps, largest
from training.data import Batch, Patches, depth_steps, normalised
from training.views import RANGES, Fields, Views, body_views, hand_views, outside, windows

SPACING = 5.0
BONES_MM = [  # a lying body of capsules: (x, z) ends and radius; y is 0
    ((0, 880), (0, 790), 85), ((0, 790), (0, 640), 60), ((-90, 560), (90, 560), 110), ((-70, 480), (70, 480), 120),
    ((0, 450), (0, 100), 150), ((-80, 60), (80, 60), 110), ((-190, 600), (-330, 330), 50), ((190, 600), (300, 330), 50),
    ((-330, 330), (-390, 60), 40), ((300, 330), (340, 40), 40), ((-100, 50), (-130, -400), 75),
    ((100, 50), (120, -400), 75), ((-130, -400), (-150, -830), 50), ((120, -400), (170, -830), 50),
]  # fmt: skip
MARKS_MM = np.array([
    (0, 965), (190, 600), (-190, 600), (340, 0), (-390, 20), (120, -400), (-130, -400), (170, -880), (-150, -880),
], float)  # fmt: skip


def body_volume() -> Volume:
    """A CT of the capsules, with more air at the body's left than at its right."""
    x, y, z = np.arange(-500, 560, SPACING), np.arange(-200, 205, SPACING), np.arange(-950, 1050, SPACING)
    inside = np.full((len(z), len(y), len(x)), -1e9, np.float32)
    for (x0, z0), (x1, z1), radius in BONES_MM:
        dx, dz = x1 - x0, z1 - z0
        along = np.clip(((x - x0) * dx + (z[:, None] - z0) * dz) / (dx**2 + dz**2), 0, 1)
        flat = np.hypot(x - x0 - along * dx, z[:, None] - z0 - along * dz)
        np.maximum(inside, (radius - np.hypot(flat[:, None], y[None, :, None])).astype(np.float32), out=inside)
    voxels = np.clip(inside / SPACING, -1, 1) * 520 - 480
    affine = np.column_stack([np.eye(3) * SPACING, [x[0], y[0], z[0]]])
    return Volume(voxels=voxels.astype(np.int16) - (voxels < -900).astype(np.int16) * 20, index_to_patient=affine)


def scanned(volume: Volume, crop: Crop) -> tuple[Prepared, np.ndarray]:
    """The patch of a volume and the landmarks on it (K, 2)."""
    found = prepare(volume, BODY, crop, ImportSettings(threshold=-400.0))
    marks = np.column_stack([MARKS_MM[:, 0], np.zeros(9), MARKS_MM[:, 1]])
    return found, found.patch_map.patch_points(marks)[:, :2]


def patches_of(found: Prepared, points: np.ndarray, crop: Crop) -> Patches:
    return Patches(
        size=BODY.size,
        packed=torch.as_tensor(pack_silhouettes(found.silhouette[None])),
        points=torch.as_tensor(points[None], dtype=torch.float32),
        valid=torch.ones(1, 9, dtype=torch.bool),
        sample_id=torch.zeros(1, dtype=torch.int64),
        crop=crop,
        pixel_mm=torch.as_tensor(found.pixel_mm[None]),
        depth=depth_steps(found.depth_mm[None]),
    )


def fields_of(name: str) -> Fields:
    """The middle of a range, or a circle of 500 mm, 30 mm off."""
    circle = name == "circle_500"
    return Fields(
        range=torch.tensor([-1 if circle else list(RANGES).index(name)]),
        ends=torch.full((1, 2), 0.5),
        width_mm=torch.tensor([500.0 if circle else torch.inf]),
        centre_mm=torch.tensor([30.0]),
        edges=torch.full((1, 4), torch.inf),
    )


def cut(volume: Volume, whole: Prepared, limits: np.ndarray) -> tuple[Volume, torch.Tensor]:
    """The part of a volume within limits in px of its patch, on whole voxels, and the limits of that part (1, 4)."""
    depth, _, width = volume.voxels.shape
    corners = whole.patch_map.patient_points(np.column_stack([limits.clip(-1e4, 1e4).reshape(2, 2), [0, 0]]))
    at = (corners[:, [0, 2]] - volume.index_to_patient[[0, 2], 3]) / SPACING + 0.5
    (x0, z1), (x1, z0) = (np.clip(np.rint(v), 0, [width, depth]) for v in at)
    affine = volume.index_to_patient.copy()
    affine[[0, 2], 3] += SPACING * np.array([x0, z0])
    part = Volume(voxels=volume.voxels[int(z0) : int(z1), :, int(x0) : int(x1)], index_to_patient=affine)
    low, high = affine[[0, 2], 3] - SPACING / 2, affine[[0, 2], 3] + SPACING * (np.array([x1 - x0, z1 - z0]) - 0.5)
    edges = whole.patch_map.patch_points(np.array([[low[0], 0, high[1]], [high[0], 0, low[1]]]))
    return part, torch.as_tensor(edges[:, :2].reshape(1, 4), dtype=torch.float32)


def still(count: int, size: tuple[int, int]) -> Warps:
    return draw_warps(count, size, 0.0, np.random.default_rng([0]))


@pytest.fixture(scope="module")
def volume() -> Volume:
    return body_volume()


@pytest.mark.parametrize("crop", [Crop(), Crop(pixel_mm=13.5), Crop(fit="stretch")], ids=["fit", "mm", "stretch"])
@pytest.mark.parametrize("name", [*RANGES, "circle_500"])
def test_a_cut_patch_is_that_of_the_cut_volume(volume, name, crop):
    whole, points = scanned(volume, crop)
    patches = patches_of(whole, points, crop)
    limits = windows(fields_of(name), patches.points, patches.valid, patches.pixel_mm, BODY.size)
    part, limits = cut(volume, whole, limits[0].numpy().astype(np.float64))
    expected, marks = scanned(part, crop)
    changes = Changes(warps=still(1, BODY.size), unseen=outside(patches.points, limits), limits=limits)
    found = change(patches.batch(torch.tensor([0])), changes, crop)
    ours, theirs = found.silhouette[0, 0].numpy() > 0, expected.silhouette
    # Both are sampled to whole pixels, at offsets of their own: they may differ along the outline, and only there
    outline = ndimage.binary_dilation(theirs ^ ndimage.binary_erosion(theirs), np.ones((3, 3)))
    assert ((ours != theirs) & ~outline).sum() <= 3
    assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.93
    assert np.abs(found.points[0].numpy() - marks)[~changes.unseen[0]].max() <= 0.8
    assert (found.observed[0, 0].numpy() == expected.observed).mean() > 0.985
    beyond = outside(torch.as_tensor(marks[None]), torch.as_tensor(_extent(expected, part)[None]))
    assert torch.equal(changes.unseen, beyond) and (name == "vertex_toe" or beyond.any())


def _extent(found: Prepared, part: Volume) -> np.ndarray:
    """(4,) of the volume in its patch."""
    height, width = found.source.silhouette.shape
    scale, offset = np.diag(found.patch_map.to_source[:, :2]), found.patch_map.to_source[:, 2]
    return np.concatenate([-offset / scale, (np.array([width, height]) - offset) / scale])


def test_what_is_cut_off_from_the_body_is_no_silhouette():
    images = torch.zeros(2, 1, 8, 8)
    images[0, 0, 1:5, 1:5] = images[0, 0, 5, 5] = images[0, 0, 7, 7] = images[1, 0, 2, 2] = 1
    expected = images.clone()
    expected[0, 0, 7, 7] = 0
    assert torch.equal(largest(images), expected)


def toy_patches(count: int = 6, inputs=("silhouette", "depth", "observed")) -> Patches:
    return Patches.from_samples(toy_samples(count, 1), HAND, inputs=inputs)


def test_nothing_drawn_changes_no_bit():
    patches, rows = toy_patches(), torch.arange(6)
    zero = draw_changes(patches, rows, 0.0, Views(outside=0.5, blanket_mm=10.0), np.random.default_rng([1]))
    # the least share of a sand bag: every artefact is drawn and none is met
    least = draw_changes(patches, rows, 0.0, Views(sand_bag=1e-9), np.random.default_rng([1]))
    plain = patches.batch(rows)
    for changes in (zero, least):
        varied = change(plain, changes, patches.crop)
        assert torch.equal(varied.silhouette, plain.silhouette) and torch.equal(varied.observed, plain.observed)
        assert torch.allclose(varied.depth_mm, plain.depth_mm, atol=0.02) and not changes.unseen.any()
        assert torch.allclose(varied.points, plain.points, atol=1e-4)


ONE = {
    "collimated": 1.0, "sand_bag": 1.0, "threshold_px": 1.0, "thin": 1.0, "border": 0.2, "blanket": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("field", ONE)
def test_every_variation_changes_patches_and_repeats_with_its_seed(field):
    patches, rows = toy_patches(), torch.arange(6)
    views = Views(**{field: ONE[field]})
    first, second, other = (
        change(
            patches.batch(rows), draw_changes(patches, rows, 0.5, views, np.random.default_rng([seed])), patches.crop
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(first.silhouette, second.silhouette) and torch.equal(first.depth_mm, second.depth_mm)
    assert torch.equal(first.points, second.points) and not torch.equal(first.points, other.points)
    same = change(
        patches.batch(rows), draw_changes(patches, rows, 0.5, Views(), np.random.default_rng([1])), patches.crop
    )
    assert not torch.equal(first.silhouette, same.silhouette)
    assert ((first.depth_mm > 0) == (first.silhouette > 0)).all()
    assert (first.silhouette * (1 - first.observed)).sum() == 0


def crosses(size: tuple[int, int], points: np.ndarray) -> tuple[Patches, torch.Tensor]:
    """A large block that nothing cuts loose, with a hole of 9 px at each of points (K, 2)."""
    y, x = np.indices(size) + 0.5
    image = (x > 4) & (x < size[1] - 4) & (y > 4) & (y < size[0] - 4)
    for px, py in points:
        image &= np.hypot(x - px, y - py) >= 4.5
    tensor = torch.as_tensor(points[None], dtype=torch.float32)
    patches = Patches(
        size=size,
        packed=torch.as_tensor(pack_silhouettes(image[None])),
        points=tensor,
        valid=torch.ones(tensor.shape[:2], dtype=torch.bool),
        sample_id=torch.zeros(1, dtype=torch.int64),
        pixel_mm=torch.full((1, 2), 12.0),
    )
    return patches, tensor


@pytest.mark.parametrize("field", ["vertex_knee", "skull_base_mid_thigh", "circle_500", "threshold_px", "border"])
def test_marks_move_with_their_landmarks(field):
    points = np.array([
        (38, 14), (54, 36), (22, 36), (54, 76), (22, 76), (46, 100), (30, 100), (46, 140), (30, 140),
    ], float)  # fmt: skip
    patches, _ = crosses(BODY.size, points)
    rows = torch.zeros(1, dtype=torch.int64)
    for seed in range(5):
        changes = draw_changes(patches, rows, 0.5, Views(**{field: 1.0 if field != "border" else 0.05}),
                               np.random.default_rng([seed]))  # fmt: skip
        warps = replace(changes.warps, edge=torch.zeros_like(changes.warps.edge))
        found = change(patches.batch(rows), replace(changes, warps=warps), patches.crop)
        hole = (found.silhouette[0, 0] == 0).numpy() & (found.observed[0, 0] == 1).numpy()
        inner = points_well_inside(found, changes.unseen[0])
        assert inner.any()
        for x, y in found.points[0].numpy()[inner]:
            near = np.argwhere(hole)[:, ::-1] + 0.5
            near = near[np.hypot(*(near - [x, y]).T) < 8]
            assert np.abs(near.mean(0) - [x, y]).max() < 0.6


def points_well_inside(batch: Batch, unseen: torch.Tensor) -> np.ndarray:
    """(K,) landmarks whose surroundings of 12 px are observed and in the patch."""
    height, width = batch.silhouette.shape[-2:]
    inside = []
    for (x, y), gone in zip(batch.points[0].tolist(), unseen.tolist(), strict=True):
        corners = [(int(y + dy), int(x + dx)) for dy in (-12, 12) for dx in (-12, 12)]
        seen = all(0 <= r < height and 0 <= c < width and batch.observed[0, 0, r, c] for r, c in corners)
        inside.append(seen and not gone)
    return np.array(inside)


def test_what_a_study_did_not_observe_stays_unobserved():
    patches = toy_patches()
    observed = np.ones((6, 96, 96), bool)
    observed[:, 80:] = False
    patches = replace(patches, observed=torch.as_tensor(pack_silhouettes(observed)))
    changes = Changes(warps=still(6, HAND.size), unseen=torch.zeros(6, 5, dtype=torch.bool))
    found = change(patches.batch(torch.arange(6)), changes, patches.crop)
    assert torch.equal(found.observed[:, 0].bool(), torch.as_tensor(observed))
    assert found.silhouette[:, :, 80:].sum() == 0


def test_limits_need_their_landmarks_and_the_circle_its_spacing():
    whole = torch.as_tensor(np.tile(MARKS_MM, (1, 1, 1)) * [1, -1], dtype=torch.float32)
    valid = torch.ones(1, 9, dtype=torch.bool)
    valid[0, 5] = False
    spacing = torch.ones(1, 2)
    assert windows(fields_of("vertex_knee"), whole, valid, spacing, BODY.size).isinf().all()
    assert windows(fields_of("circle_500"), whole, valid, spacing * torch.nan, BODY.size).isinf().all()
    circle = windows(fields_of("circle_500"), whole, valid, spacing, BODY.size)[0]
    assert circle[[0, 2]].tolist() == [-220, 280] and circle[[1, 3]].isinf().all()


def test_depth_is_normalised_as_in_the_domain():
    batch = toy_patches().batch(torch.arange(6))
    expected = [normalise_depth(depth.numpy()) for depth in batch.depth_mm[:, 0]]
    assert np.allclose(normalised(batch.depth_mm)[:, 0].numpy(), expected, atol=1e-4)
    planes = batch.channels(("observed", "depth"))
    assert planes.shape == (6, 2, 96, 96) and planes[:, 0].all()
    with pytest.raises(ValueError, match="needs depth"):
        toy_patches(6, ("silhouette",)).batch(torch.arange(2)).channels(("depth",))


@pytest.mark.parametrize(
    "change_", [{"chest": -0.1}, {"thin": 1.5}, {"threshold_px": 2.0}, {"chest": 0.6, "vertex_toe": 0.6}]
)
def test_views_that_cannot_be_are_refused(change_):
    with pytest.raises(ValueError, match=r"train\.views"):
        Views(**change_)


def test_views_of_another_anatomy_are_refused():
    with pytest.raises(ValueError, match="are for bodies"):
        draw_changes(toy_patches(), torch.arange(6), 0.0, Views(chest=0.5), np.random.default_rng([1]))
    assert body_views().changes and hand_views().changes and not Views(outside=1.0).changes
    assert not body_views().hand_only and not hand_views().body_only
