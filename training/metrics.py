"""Landmark errors and their summaries. NaN means: not annotated, or spacing unknown; it is left out everywhere."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def errors_px(predicted: Floats, true: Floats) -> NDArray[np.float64]:
    """(N, K) Euclidean distances in patch px of points (N, K, 2); NaN where the truth is."""
    difference = np.asarray(predicted, np.float64)[..., :2] - np.asarray(true, np.float64)[..., :2]
    return np.asarray(np.hypot(difference[..., 0], difference[..., 1]))


def errors_mm(predicted: Floats, true: Floats, pixel_mm: Floats) -> NDArray[np.float64]:
    """(N, K) in-plane distances in mm of patch points (N, K, 2), with patch pixels of pixel_mm (N, 2) mm."""
    difference = np.asarray(predicted, np.float64)[..., :2] - np.asarray(true, np.float64)[..., :2]
    scaled = difference * np.asarray(pixel_mm, np.float64)[:, None, :]
    return np.asarray(np.hypot(scaled[..., 0], scaled[..., 1]))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Errors of N patches in few numbers. Per landmark (K,), and over all annotated landmarks together.

    sd: standard deviation with N - 1, NaN for a single error. count: annotated landmarks. Nothing annotated: NaN.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    median: NDArray[np.float64]
    count: NDArray[np.int64]
    overall_mean: float
    overall_sd: float
    overall_median: float


def summarise(errors: Floats) -> Summary:
    """The summary of errors (N, K); NaN entries are left out."""
    errors = np.asarray(errors, np.float64)
    parts = [_three(column[np.isfinite(column)]) for column in errors.T]
    mean, sd, median = (np.array(values, np.float64) for values in zip(*parts, strict=True))
    overall = _three(errors[np.isfinite(errors)])
    return Summary(
        mean=mean,
        sd=sd,
        median=median,
        count=np.isfinite(errors).sum(0),
        overall_mean=overall[0],
        overall_sd=overall[1],
        overall_median=overall[2],
    )


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    if values.size == 0:
        return float("nan"), float("nan"), float("nan")
    sd = float(values.std(ddof=1)) if values.size > 1 else float("nan")
    return float(values.mean()), sd, float(np.median(values))


def sigma_scale(errors: NDArray[np.float64], sigma: NDArray[np.float32]) -> tuple[float | None, ...]:
    """(K,) factors that turn a heatmap's deviation into the error's along one axis; None where nothing is known.

    errors, sigma: (N, K) px. With e = factor * sigma the mean of error^2 / (2 e^2) is 1 (two axes).
    """
    ratio = errors**2 / (2 * np.maximum(sigma, 1e-3).astype(np.float64) ** 2)
    known = np.isfinite(ratio)
    counts = known.sum(0)
    mean = np.where(known, ratio, 0).sum(0) / np.maximum(counts, 1)
    return tuple(float(np.sqrt(m)) if n else None for m, n in zip(mean, counts, strict=True))
