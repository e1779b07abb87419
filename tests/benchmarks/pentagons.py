"""How near the nearest of many pentagons of fingertips comes to each real one."""

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 300  # the nearest by root mean square, among which the nearest by largest distance is looked for


def nearest_pentagons(real: NDArray[np.float64], drawn: NDArray[np.float64], close: float) -> dict[str, float]:
    """Distances over the real hands, in hand lengths, and shares of them below `close`.

    real, drawn (N, 21, 2): base, then four points per digit. Each drawn pentagon is moved, turned and scaled onto the
    real one by least squares, never mirrored. Distance: the root mean square over the five tips, or the largest of
    the five after the same alignment.
    """
    tips, others = _complex(real[:, 4::4]), _complex(drawn[:, 4::4])
    hand = np.linalg.norm(real[:, 12] - real[:, 0], axis=1)
    inner = tips @ others.conj().T
    size = (np.abs(others) ** 2).sum(1)
    left = (np.abs(tips) ** 2).sum(1)[:, None] - np.abs(inner) ** 2 / size
    rms = np.sqrt(np.maximum(left, 0) / 5) / hand[:, None]
    nearest = rms.min(1)
    largest = np.empty(len(tips))
    for k, near in enumerate(np.argpartition(rms, CANDIDATES, axis=1)[:, :CANDIDATES]):
        placed = (inner[k, near] / size[near])[:, None] * others[near]
        largest[k] = np.abs(tips[k] - placed).max(1).min() / hand[k]
    return {
        f"share within {close} by root mean square": float((nearest <= close).mean()),
        f"share within {close} by largest distance": float((largest <= close).mean()),
        "95 % of root mean squares": float(np.percentile(nearest, 95)),
        "95 % of largest distances": float(np.percentile(largest, 95)),
        "median root mean square": float(np.median(nearest)),
    }


def _complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    """(N, 5) x + iy about their mean."""
    numbers = points[:, :, 0] + 1j * points[:, :, 1]
    return np.asarray(numbers - numbers.mean(1, keepdims=True))
