"""Hold synthetic adults against the measured ones of ANSUR II: means, spreads and slopes of body measures over stature.

  python -m tests.benchmarks.anthropometry [--count 3000] [--data adult_anthropometry.csv] [--out anthropometry.json]

Each synthetic person gets sex, age, stature and BMI of a survey person drawn at random, since the survey's soldiers
are younger and leaner than patients; all else is the generator's. Measured by synth.body.fit.measure
on the rest mesh, which stands with arms and legs apart. Stature bands are terciles of the real people of each sex.
Three seconds for 3,000 people on one core, more on a busy one.
The survey is development data and no part of this repository: without --data, $SYNTHMARK_ANTHROPOMETRY or
../shared/data/adult_anthropometry.csv is taken.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.body.anthropometry import MEASURES
from synth.body.fit import fit_people, measure
from synth.body.plan import plan_of
from synth.body.proportions import rest_bodies
from synth.body.shape import wish_adult
from synth.figure import GROUP
from synth.template import Template, load_template

COLUMNS = (
    "trochanterionheight", "lateralfemoralepicondyleheight", "acromialheight", "biacromialbreadth", "hipbreadth",
    "buttockdepth", "waistbreadth", "waistdepth", "chestbreadth", "chestdepth", "span", "footlength", "handlength",
)  # fmt: skip
DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult_anthropometry.csv"
MEAN_SD, SD_RATIO, SLOPE = 0.3, (0.8, 1.5), 0.002  # limits: in real deviations, of deviations, per 100 mm


def data_path() -> Path:
    """Where the survey lies by default; may be missing."""
    return Path(os.environ.get("SYNTHMARK_ANTHROPOMETRY", DEFAULT))


@dataclass(frozen=True, kw_only=True)
class People:
    """Adults measured: stature (N,) in metres, ratios (N, 13) of MEASURES to stature."""

    sex: NDArray[np.str_]
    age: NDArray[np.float64]
    stature: NDArray[np.float64]
    bmi: NDArray[np.float64]
    ratios: NDArray[np.float64]


def read_survey(path: Path) -> People:
    """The people of the survey."""
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    column = {name: np.array([float(row[name]) for row in rows]) for name in (*COLUMNS, "stature", "weightkg", "age")}
    stature = column["stature"] / 1000
    return People(
        sex=np.array([row["sex"] for row in rows]),
        age=column["age"],
        stature=stature,
        bmi=column["weightkg"] / stature**2,
        ratios=np.stack([column[name] for name in COLUMNS], axis=1) / column["stature"][:, None],
    )


def synthesise(template: Template, real: People, count: int, rng: np.random.Generator) -> People:
    """`count` synthetic people like survey people drawn at random in sex, age, stature and BMI."""
    chosen = rng.integers(len(real.stature), size=count)
    wishes = [wish_adult(str(real.sex[i]), real.age[i], real.stature[i], real.bmi[i], rng) for i in chosen]
    found = np.empty((count, len(MEASURES)))
    for first in range(0, count, GROUP):
        people = fit_people(template, wishes[first : first + GROUP])
        found[first : first + GROUP] = measure(plan_of(template), *rest_bodies(template, people))
    stature = real.stature[chosen]
    return People(
        sex=real.sex[chosen],
        age=real.age[chosen],
        stature=stature,
        bmi=real.bmi[chosen],
        ratios=found / stature[:, None],
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure of one sex and stature band (1 short .. 3 tall, 0 all): real and synthetic, and whether it passes."""

    sex: str
    band: int
    measure: str
    real_mean: float
    mean: float
    off_sd: float
    sd_ratio: float
    slope_off: float | None
    passed: bool


def compare(real: People, made: People) -> list[Row]:
    """Rows of all measures: per band mean and deviation, over all bands the slope per 100 mm of stature too."""
    rows = []
    for sex in ("male", "female"):
        cuts = np.quantile(real.stature[real.sex == sex], [1 / 3, 2 / 3])
        for band in (0, 1, 2, 3):
            picked = [
                (p.sex == sex) & ((band == 0) | (np.searchsorted(cuts, p.stature) + 1 == band)) for p in (real, made)
            ]
            for m, name in enumerate(MEASURES):
                a, b = real.ratios[picked[0], m], made.ratios[picked[1], m]
                off, ratio = (b.mean() - a.mean()) / a.std(), b.std() / a.std()
                slope = None
                if band == 0:
                    slopes = [
                        np.polyfit(p.stature[k] * 10, p.ratios[k, m], 1)[0]
                        for p, k in zip((real, made), picked, strict=True)
                    ]
                    slope = float(slopes[1] - slopes[0])
                good = abs(off) <= MEAN_SD and SD_RATIO[0] <= ratio <= SD_RATIO[1] and abs(slope or 0) <= SLOPE
                rows.append(
                    Row(
                        sex=sex,
                        band=band,
                        measure=name,
                        real_mean=float(a.mean()),
                        mean=float(b.mean()),
                        off_sd=float(off),
                        sd_ratio=float(ratio),
                        slope_off=slope,
                        passed=bool(good),
                    )
                )
    return rows


def main(argv: Sequence[str]) -> int:
    """Exit code: 0 all within the limits, or skipped with a reason; 1 otherwise."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=3000, help="synthetic people")
    options.add_argument("--data", type=Path, default=data_path(), help="the survey's CSV")
    options.add_argument("--out", type=Path, help="write JSON here")
    given = options.parse_args(argv)
    if not given.data.is_file():
        print(f"skipped: {given.data} is not there; give --data")
        return 0
    real = read_survey(given.data)
    rows = compare(real, synthesise(load_template("body"), real, given.count, np.random.default_rng([1, 0])))
    print(f"{'sex':7}{'band':5}{'measure':15}{'real':>8}{'made':>8}{'off/SD':>8}{'SD ratio':>9}{'slope off':>10}")
    for r in rows:
        slope = "" if r.slope_off is None else f"{r.slope_off:10.4f}"
        verdict = "" if r.passed else "  MISSED"
        print(
            f"{r.sex:7}{r.band or 'all':<5}{r.measure:15}{r.real_mean:8.4f}{r.mean:8.4f}{r.off_sd:8.2f}"
            f"{r.sd_ratio:9.2f}{slope:>10}{verdict}"
        )
    passed = sum(r.passed for r in rows)
    print(f"{passed} of {len(rows)} rows within ±{MEAN_SD} SD, SD ratio {SD_RATIO}, slope ±{SLOPE} per 100 mm")
    if given.out:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        about = {"machine": platform.platform(), "python": sys.version, "numpy": np.__version__, "commit": commit}
        given.out.write_text(json.dumps(about | {"count": given.count, "rows": [asdict(r) for r in rows]}, indent=1))
    return 0 if passed == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
