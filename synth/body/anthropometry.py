"""Adult proportions as measured: how body measures depend on stature, body mass and age, and draws from that.

Source: ANSUR II, the US Army's anthropometric survey of 2012 (Gordon et al. 2014, NATICK/TR-15/007), 4,082 men and
1,986 women; only the summary statistics below are kept. Soldiers: BMI 15 to 43, ages 17 to 58.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Trend(NamedTuple):
    """A measure over stature at 1.756 m, BMI 27.7 (men) or 1.628 m, BMI 25.5 (women) and age 30; then its slopes.

    per_metre of stature, per_bmi in kg/m², per_year of age; deviation: standard deviation about the trend.
    """

    ratio: float
    per_metre: float
    per_bmi: float
    per_year: float
    deviation: float


MEASURES = (
    "trochanterion", "epicondyle", "acromion", "biacromial", "hip_breadth", "buttock_depth", "waist_breadth",
    "waist_depth", "chest_breadth", "chest_depth", "span", "foot", "hand",
)  # fmt: skip
_MALE = (
    Trend(0.5128, 0.0550, -0.00051, 0.000179, 0.0146),
    Trend(0.2799, 0.0301, -0.00010, 0.000035, 0.0077),
    Trend(0.8202, 0.0412, 0.00063, 0.000183, 0.0086),
    Trend(0.2369, -0.0501, 0.00109, -0.000070, 0.0082),
    Trend(0.1970, -0.0352, 0.00261, -0.000047, 0.0072),
    Trend(0.1401, -0.0327, 0.00327, 0.000036, 0.0063),
    Trend(0.1860, -0.0339, 0.00410, 0.000133, 0.0090),
    Trend(0.1355, -0.0313, 0.00396, 0.000464, 0.0085),
    Trend(0.1649, -0.0417, 0.00154, 0.000100, 0.0073),
    Trend(0.1446, -0.0340, 0.00304, 0.000203, 0.0068),
    Trend(1.0330, -0.0094, 0.00074, 0.000129, 0.0271),
    Trend(0.1544, -0.0097, 0.00033, -0.000032, 0.0050),
    Trend(0.1101, -0.0070, 0.00014, 0.000051, 0.0041),
)
_FEMALE = (
    Trend(0.5190, 0.0478, 0.00009, 0.000061, 0.0141),
    Trend(0.2860, 0.0311, 0.00025, -0.000065, 0.0100),
    Trend(0.8198, 0.0352, 0.00042, 0.000069, 0.0082),
    Trend(0.2244, -0.0405, 0.00067, -0.000104, 0.0090),
    Trend(0.2175, -0.0450, 0.00344, 0.000044, 0.0091),
    Trend(0.1432, -0.0425, 0.00362, 0.000062, 0.0070),
    Trend(0.1844, -0.0398, 0.00447, 0.000176, 0.0110),
    Trend(0.1312, -0.0473, 0.00447, 0.000233, 0.0100),
    Trend(0.1655, -0.0461, 0.00203, 0.000016, 0.0080),
    Trend(0.1523, -0.0445, 0.00374, 0.000197, 0.0092),
    Trend(1.0195, 0.0214, 0.00109, 0.000002, 0.0289),
    Trend(0.1512, -0.0081, 0.00040, -0.000020, 0.0051),
    Trend(0.1112, -0.0071, 0.00027, 0.000025, 0.0046),
)
_TRENDS = {"male": np.array(_MALE), "female": np.array(_FEMALE)}
_CENTRE = {"male": (1.756, 27.7), "female": (1.628, 25.5)}
STATURE = {"male": (1.756, 0.0686), "female": (1.628, 0.0642)}  # mean and standard deviation in metres

# Correlations of the residuals about the trends, both sexes together; row i holds those with measures 0 .. i-1.
_CORRELATIONS: tuple[tuple[float, ...], ...] = (
    (),
    (0.60,),
    (0.27, 0.29),
    (0.03, 0.02, -0.23),
    (-0.22, -0.14, -0.04, -0.08),
    (0.13, 0.02, 0.02, -0.14, 0.07),
    (-0.18, -0.14, 0.06, -0.14, 0.40, 0.10),
    (0.08, 0.04, 0.08, -0.17, -0.01, 0.27, 0.42),
    (-0.16, -0.08, 0.01, 0.27, 0.03, -0.16, 0.21, -0.05),
    (0.02, 0.06, 0.08, -0.13, -0.11, -0.07, 0.16, 0.13, -0.02),
    (0.42, 0.36, 0.06, 0.38, -0.15, -0.07, -0.22, -0.07, -0.07, -0.07),
    (0.24, 0.28, 0.01, 0.14, -0.11, -0.07, -0.23, -0.14, -0.09, -0.06, 0.41),
    (0.27, 0.31, 0.03, 0.17, -0.15, -0.05, -0.25, -0.09, -0.11, -0.07, 0.56, 0.59),
)

# Bones do not grow with what the survey has not seen; flesh goes on in a straight line.
FLESHY = np.array([name.endswith(("breadth", "depth")) for name in MEASURES])
BROAD = np.array([name.endswith("_breadth") for name in MEASURES])
_BONY_BMI, _AGES = (18.0, 36.0), (17.0, 58.0)


def _cholesky() -> NDArray[np.float64]:
    full = np.eye(len(MEASURES))
    for i, row in enumerate(_CORRELATIONS):
        full[i, :i] = full[:i, i] = row
    return np.linalg.cholesky(full)


_FACTOR = _cholesky()


def cut(value: float, low: float, high: float) -> float:
    """The value, held within low and high; numpy's clip takes twenty times as long for one number."""
    return min(max(float(value), low), high)


def mean_measures(sex: str, stature: float, bmi: float, age: float) -> NDArray[np.float64]:
    """(13,) expected MEASURES in metres of a "male" or "female" adult; stature in metres, age in years."""
    ratio, per_metre, per_bmi, per_year, _ = _TRENDS[sex].T
    tall, heavy = _CENTRE[sex]
    masses = np.where(FLESHY, bmi, cut(bmi, *_BONY_BMI)) - heavy
    years = cut(age, *_AGES) - 30
    return np.asarray(stature * (ratio + per_metre * (stature - tall) + per_bmi * masses + per_year * years))


def sample_measures(sex: str, stature: float, bmi: float, age: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(13,) MEASURES in metres of one adult: multivariate normal about the trend, cut at 2.5 deviations."""
    spread = np.clip(_FACTOR @ rng.normal(size=len(MEASURES)), -2.5, 2.5)
    return np.asarray(mean_measures(sex, stature, bmi, age) + stature * _TRENDS[sex][:, 4] * spread)
