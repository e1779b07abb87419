"""Digits that cross lie on each other: one is lifted, as little as will do, never pushed sideways."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

COMPRESSION = 0.12  # soft tissue gives way: digits may overlap by this share of their radii
_MOST = np.deg2rad(50)  # no digit is lifted further
_ORDER = (2, 1, 3, 4, 0)  # the middle finger stays; each next one gives way to those before it
_PARTS = np.array([0.25, 0.5, 0.75, 1.0])  # where along each phalanx contact is looked for
_WEB = 2  # a finger's first points lie in the web between fingers, where there is nothing to cross
_PALM_RADIUS = 1.3  # of the metacarpals with their flesh, in radii of their fingers


def part_digits(
    roots: Vector, palm: Vector, lengths: Vector, radii: Vector, spreads: Vector, flexions: Vector
) -> Vector:
    """(5, 3) flexions with which no digit passes through another by more than COMPRESSION of their radii.

    roots (5, 3), palm (4, 3): heads of the digits and metacarpals; lengths, radii, spreads, flexions (5, 3): of the
    digit bones, in metres and radians.
    """
    flexions = flexions.copy()
    points, placed_points, placed_radii = np.empty((0, 3)), [], []
    for digit in _ORDER:
        own = slice(4 if digit == 0 else _WEB, None)  # the thumb's metacarpal lies in the palm
        radius = np.repeat(radii[digit], len(_PARTS))[own]
        if digit == 0:
            placed_points.append(_metacarpals(roots, palm))
            placed_radii.append(np.repeat(_PALM_RADIUS * radii[1:3, 0], len(_PARTS)))
        points = _along(roots[digit], lengths[digit], spreads[digit], flexions[digit])[own]
        if placed_points:
            others, thickness = np.concatenate(placed_points), np.concatenate(placed_radii)
            for _ in range(3):  # turning a digit also shortens its shadow: three steps settle it
                turn = _clearing_turn(points, roots[digit], radius, others, thickness)
                if turn == 0.0:
                    break
                flexions[digit] -= turn
                points = _along(roots[digit], lengths[digit], spreads[digit], flexions[digit])[own]
        placed_points.append(points)
        placed_radii.append(radius)
    return flexions


def _along(root: Vector, lengths: Vector, spreads: Vector, flexions: Vector) -> Vector:
    """(12, 3) points along a digit."""
    flat = np.cos(flexions) * lengths
    steps = np.stack([flat * np.sin(spreads), flat * np.cos(spreads), -np.sin(flexions) * lengths], axis=1)
    heads = root + np.cumsum(steps, axis=0) - steps
    return np.asarray((heads[:, None] + _PARTS[:, None] * steps[:, None]).reshape(-1, 3))


def _metacarpals(roots: Vector, palm: Vector) -> Vector:
    """(8, 3) points along the metacarpals of index and middle finger, which the thumb may meet."""
    return np.asarray((palm[:2, None] + _PARTS[:, None] * (roots[1:3] - palm[:2])[:, None]).reshape(-1, 3))


def _clearing_turn(points: Vector, root: Vector, radius: Vector, others: Vector, thickness: Vector) -> float:
    """Angle, positive out of the palm, by which a digit must turn at its root to pass over or under all the others."""
    offsets = points[:, None] - others
    apart = (offsets[:, :, :2] ** 2).sum(2)
    wanted = ((1 - COMPRESSION) * (radius[:, None] + thickness)) ** 2
    meets = wanted > apart
    if not meets.any():
        return 0.0
    height = np.sqrt(np.maximum(wanted - apart, 0))
    arm = np.linalg.norm((points - root)[:, :2], axis=1)[:, None]
    over = np.where(meets, (height - offsets[:, :, 2]) / arm, 0).max()
    under = np.where(meets, (height + offsets[:, :, 2]) / arm, 0).max()
    if min(over, under) <= 1e-3:
        return 0.0
    turn = np.arctan(min(over, under))
    return float(np.clip(turn if over <= under else -turn, -_MOST, _MOST))
