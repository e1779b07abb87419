"""Draw the outlines of 20 real left hands (2 people x 10 poses) as images that study.py imports.

  python -m tests.real_hands --out /tmp/real [--data real_hands_2d.npz]
  python pipelines/study.py hand --side left --images /tmp/real/images \\
      --landmarks /tmp/real/landmarks.csv --out /tmp/study

The outlines are development data and no part of this repository: without --data, $SYNTHMARK_REAL_HANDS or
../shared/data/real_hands_2d.npz is taken; where that is missing, the script says so and draws nothing.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from synth.domain.anatomy import HAND
from synth.domain.landmarks import Annotation, write_csv

LONGEST_PX, BORDER_PX, FINE = 400, 20, 4
DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_hands_2d.npz"


def data_path() -> Path:
    """Where the outlines lie by default; may be missing."""
    return Path(os.environ.get("SYNTHMARK_REAL_HANDS", DEFAULT))


def draw_hand(outline: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """(pixels (H, W) uint8, hand 200 on 20; outline (P, 2) in their px) of an outline whose longest side is 1."""
    points = (outline - outline.min(0)).astype(np.float64)
    points = points * (LONGEST_PX / points.max()) + BORDER_PX
    width, height = (int(n) for n in np.ceil(points.max(0) + BORDER_PX))
    picture = Image.new("L", (width * FINE, height * FINE), 20)
    corners = [(x * FINE - 0.5, y * FINE - 0.5) for x, y in points]  # Pillow has pixel centres at whole numbers
    ImageDraw.Draw(picture).polygon(corners, fill=200)
    return np.asarray(picture.reduce(FINE)), points


def draw_hands(data: Path, out: Path) -> int:
    """Number of hands written to out/images/*.png and out/landmarks.csv; subject = person."""
    with np.load(data, allow_pickle=False) as stored:
        outlines, person, tips = stored["contour_xy"], stored["person"], stored["tip_index"]
    (out / "images").mkdir(parents=True)
    annotations = []
    for k, outline in enumerate(outlines):
        pixels, points = draw_hand(outline)
        case = f"real-{k:02d}"
        Image.fromarray(pixels).save(out / "images" / f"{case}.png")
        marks = np.column_stack([points[tips], np.full(len(tips), np.nan)])
        annotations.append(Annotation(case=case, subject=f"person-{person[k]}", points=marks))
    write_csv(out / "landmarks.csv", annotations, HAND)
    return len(annotations)


def main(argv: Sequence[str]) -> int:
    """Exit code: 0 drawn, or skipped with a reason; 1 where --out exists."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="new folder")
    options.add_argument("--data", type=Path, default=data_path(), help="the .npz of outlines")
    given = options.parse_args(argv)
    if not given.data.is_file():
        print(f"skipped: {given.data} is not there; give --data")
        return 0
    if given.out.exists():
        print(f"error: --out {given.out} exists; choose another", file=sys.stderr)
        return 1
    print(f"{given.out}: {draw_hands(given.data, given.out)} real hands drawn, landmarks.csv beside them")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
