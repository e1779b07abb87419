"""The third coordinate: errors of each way to find it, alone and together with those in the image plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuning.cases import Cases, Errors
from tuning.table import Method, describe, mean_errors

PUBLISHED_RATIO = {"hand": 0.33}  # Riegler et al. 2015, section 4: regressed 0.87, mean depth 2.6 voxels; hands alone


@dataclass(frozen=True, kw_only=True)
class DepthRow:
    """One way to find the depth. errors: (N, K) mm along the depth; ratio: to the mean depth, of mean errors.

    space: (N, K) mm in space, together with the image-plane error of the best CNN(ft); NaN where either is unknown
    """

    name: str
    errors: Errors
    ratio: float
    space: Errors


def depth_rows(cases: Cases, methods: Sequence[Method], depths: Mapping[str, Errors]) -> list[DepthRow]:
    """A row for every way of `depths` that has an error, "mean depth" being the one that others are measured by."""
    known = {name: errors for name, errors in depths.items() if np.isfinite(errors).any()}
    reference = describe(known["mean depth"])["mean"] if "mean depth" in known else np.nan
    tuned = [mean_errors(cases, method, "mm") for method in methods if method.name == "CNN(ft)"]
    plane = min(tuned, key=_mean_or_infinity) if tuned else np.full(cases.points.shape[:2], np.nan)
    return [
        DepthRow(
            name=name, errors=errors, ratio=describe(errors)["mean"] / reference, space=np.hypot(plane, errors)
        )
        for name, errors in known.items()
    ]  # fmt: skip


def depth_findings(cases: Cases, rows: Sequence[DepthRow]) -> list[str]:
    """Which way misses the depth by least, in a sentence; none where no depth is known."""
    if not rows:
        return []
    best = min(rows, key=lambda row: describe(row.errors)["mean"])
    found = f"Smallest error along the depth: {best.name} with {describe(best.errors)['mean']:.2f} mm"
    ratio = f", {best.ratio:.2f} of the mean depth's" if np.isfinite(best.ratio) and best.name != "mean depth" else ""
    paper = PUBLISHED_RATIO.get(cases.anatomy.base)
    return [f"{found}{ratio}{'' if paper is None or not ratio else f' (the paper: {paper:.2f})'}."]


def _mean_or_infinity(errors: Errors) -> float:
    return float(np.nan_to_num(describe(errors)["mean"], nan=np.inf))
