"""RF, the regression forest: pixels vote for every landmark by box features, and the votes' mode is the prediction.

Source: Criminisi et al. 2011, "Regression forests for efficient anatomy detection and localization in CT studies": box
features from integral images, leaves that hold displacements and their spread, votes weighted by certainty. Riegler et
al. 2015 gave their forest the same silhouettes as the network.
Differs: votes are for landmarks, not for faces of boxes; splits are scikit-learn's extremely randomised ones, chosen by
the variance of all displacements together; the mode is found on a map of votes, then refined.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.ensemble import ExtraTreesRegressor

from training.metrics import Floats
from tuning.baselines import mean_shape
from tuning.boxes import Boxes, draw_boxes, integral_images

LEAST_VARIANCE = 0.25  # px^2, both axes together: a leaf is no surer than the annotation
MEAN_SHIFTS = 10  # steps of the refinement; it has settled by then


@dataclass(frozen=True, kw_only=True)
class ForestRecipe:
    """How a forest is grown and read; lengths in patch px.

    trees, min_leaf: how many, and the fewest pixels in a leaf; tried: share of the features tried at each split
    pixels: drawn from each training patch, from the tissue and up to `around` px beside it
    boxes, pairs: how many mean values of displaced boxes are features, and how many differences of two of them
    reach, box: how far a box lies from its pixel, and its longest side, as shares of the patch's height
    step: every how many pixels one votes, along both axes; spread: of the Gaussian that smooths the votes
    trust: a leaf's vote weighs 1 / variance to this power
    """

    trees: int = 30
    min_leaf: int = 5
    tried: float = 0.2
    pixels: int = 800
    around: int = 10
    boxes: int = 100
    pairs: int = 100
    reach: float = 0.2
    box: float = 0.2
    step: int = 2
    spread: float = 2.0
    trust: float = 2.0

    def __post_init__(self) -> None:
        whole = (self.trees, self.min_leaf, self.pixels, self.boxes, self.pairs, self.step)
        if min(whole) < 1:
            raise ValueError(f"forest {self} has a count below 1; allowed: at least 1")
        if not (0 < self.tried <= 1 and self.reach > 0 and self.box > 0 and self.spread > 0 and self.trust >= 0):
            raise ValueError(f"forest {self} has a share or length that is not allowed; give positive ones")


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """A grown forest. guess: (K, 2) px, the mean shape: the answer where nothing votes.

    shift: (leaves, K, 2) px from a pixel to each landmark, weight: (leaves, K), both over the leaves of all trees in
    one row; first: (trees,) where each tree's nodes begin there
    """

    recipe: ForestRecipe
    boxes: Boxes
    trees: ExtraTreesRegressor
    first: NDArray[np.int64]
    shift: NDArray[np.float32]
    weight: NDArray[np.float32]
    guess: NDArray[np.float32]

    def predict(self, planes: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, K, 2) patch px of the landmarks on planes (N, C, H, W); NaN for a landmark that nobody annotated."""
        return np.stack([self._vote(image) for image in planes])

    def _vote(self, image: NDArray[np.float32]) -> NDArray[np.float64]:
        pixels = voters(image, self.recipe.around)
        pixels = pixels[(pixels % self.recipe.step == 0).all(1)]
        if len(pixels) == 0:
            return self.guess.astype(np.float64)
        nodes = self.trees.apply(self.boxes.features(integral_images(image), pixels)) + self.first
        places = pixels[:, None, None, ::-1] + np.float32(0.5) + self.shift[nodes]
        weights = self.weight[nodes]
        size = image.shape[1:]
        modes = [_mode(places[:, :, k], weights[:, :, k], size, self.recipe.spread) for k in range(len(self.guess))]
        return np.where(np.isfinite(modes), modes, self.guess)


def grow(planes: NDArray[np.float32], points: Floats, recipe: ForestRecipe, generator: np.random.Generator) -> Forest:
    """A forest grown on planes (N, C, H, W), whose first is the silhouette, and landmarks (N, K, 2) px.

    NaN = not annotated: such a landmark takes the mean shape's place while splits are chosen, and has no part in what a
    leaf says of it. One seed gives one forest.
    Raises: ValueError where no patch has tissue.
    """
    points = np.asarray(points, np.float32)
    height = planes.shape[2]
    boxes = draw_boxes(
        generator, planes.shape[1], recipe.boxes, recipe.pairs, recipe.reach * height, recipe.box * height
    )
    features, shifts = _drawn_pixels(planes, points, boxes, recipe, generator)
    guess = mean_shape(points)
    trees = ExtraTreesRegressor(
        recipe.trees,
        min_samples_leaf=recipe.min_leaf,
        max_features=recipe.tried,
        n_jobs=1,
        random_state=int(generator.integers(2**31)),
    )
    known = np.isfinite(shifts)
    usual = np.where(known, shifts, 0).sum(0) / np.maximum(known.sum(0), 1)
    trees.fit(features, np.where(known, shifts, usual).reshape(len(shifts), -1))
    sizes = [tree.tree_.node_count for tree in trees.estimators_]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    shift, weight = _leaves(trees.apply(features) + first[:-1], shifts, int(first[-1]), recipe)
    return Forest(recipe=recipe, boxes=boxes, trees=trees, first=first[:-1], shift=shift, weight=weight, guess=guess)


def voters(image: NDArray[np.float32], around: int) -> NDArray[np.int64]:
    """(n, 2) row and column of the pixels of a patch's planes (C, H, W) that are tissue or lie up to `around` px off"""
    beside = image[0] == 0
    if beside.all():
        return np.zeros((0, 2), np.int64)
    return np.argwhere(ndimage.distance_transform_edt(beside) <= around)


def _drawn_pixels(
    planes: NDArray[np.float32],
    points: NDArray[np.float32],
    boxes: Boxes,
    recipe: ForestRecipe,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(features (n, F), shifts (n, K, 2) px to the landmarks) of pixels drawn from every patch."""
    features, shifts = [], []
    for image, annotated in zip(planes, points, strict=True):
        pixels = voters(image, recipe.around)
        pixels = pixels[generator.permutation(len(pixels))[: recipe.pixels]]
        features.append(boxes.features(integral_images(image), pixels))
        shifts.append(annotated - (pixels[:, None, ::-1] + np.float32(0.5)))
    if not any(map(len, features)):
        raise ValueError(f"none of the {len(planes)} training patches has tissue; is the threshold right?")
    return np.concatenate(features), np.concatenate(shifts)


def _leaves(
    nodes: NDArray[np.int64], shifts: NDArray[np.float32], count: int, recipe: ForestRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(mean shift (count, K, 2), weight of a vote (count, K)) of nodes, where pixels (n) of each tree (n, T) end."""
    flat, num_trees = nodes.T.ravel(), nodes.shape[1]
    shift = np.zeros((count, *shifts.shape[1:]), np.float32)
    weight = np.zeros((count, shifts.shape[1]), np.float32)
    for k in range(shifts.shape[1]):
        known = np.isfinite(shifts[:, k]).all(1)
        held = np.bincount(flat, np.tile(known, num_trees), count)
        variance = np.zeros(count)
        for axis in (0, 1):
            values = np.where(known, shifts[:, k, axis], 0).astype(np.float64)
            mean = np.bincount(flat, np.tile(values, num_trees), count) / np.maximum(held, 1)
            square = np.bincount(flat, np.tile(values**2, num_trees), count) / np.maximum(held, 1)
            shift[:, k, axis], variance = mean, variance + np.maximum(square - mean**2, 0)
        weight[:, k] = np.where(held > 0, (variance + LEAST_VARIANCE) ** -recipe.trust, 0)
    return shift, weight


def _mode(
    places: NDArray[np.float32], weights: NDArray[np.float32], size: tuple[int, ...], spread: float
) -> NDArray[np.float64]:
    """(2,) px, the mode of weighted votes at places (..., 2): the highest cell of a smoothed map, then mean shift.

    NaN where no vote has a weight, or all lie beyond the map, which ends a quarter of the patch's height beside it.
    """
    margin = size[0] // 4
    x, y = places.reshape(-1, 2).T.astype(np.float64) + margin
    height, width = (length + 2 * margin for length in size)
    kept = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (weights.ravel() > 0)
    if not kept.any():
        return np.full(2, np.nan)
    x, y, mass = x[kept], y[kept], weights.ravel()[kept].astype(np.float64)
    cells = np.bincount(y.astype(int) * width + x.astype(int), mass, height * width).reshape(height, width)
    row, col = np.unravel_index(ndimage.gaussian_filter(cells, spread, mode="constant").argmax(), cells.shape)
    at = np.array([col + 0.5, row + 0.5])
    for _ in range(MEAN_SHIFTS):
        near = mass * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * spread**2))
        at = np.array([near @ x, near @ y]) / near.sum()
    return np.asarray(at - margin)
