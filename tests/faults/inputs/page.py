"""docs/inputs.md: every input of the tests and what is told of it; `python -m tests.faults.inputs.page` writes it."""

import os
import tempfile
from pathlib import Path

from synth.domain.cases import find_images, name_cases
from synth.domain.cloud import Cloud
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.reader import Reader
from tests.faults.inputs.clouds import INPUTS as CLOUDS
from tests.faults.inputs.files import INPUTS as FILES
from tests.faults.inputs.flat import INPUTS as FLAT
from tests.faults.inputs.series import INPUTS as SERIES
from tests.faults.inputs.shapes import Input, seen
from tests.faults.inputs.volumes import INPUTS as VOLUMES

PAGE = Path(__file__).parents[3] / "docs" / "inputs.md"
SECTIONS = {
    "DICOM": SERIES,
    "NIfTI, MetaImage, NRRD": VOLUMES,
    "PNG, JPEG, 2D images": FLAT,
    "Point clouds": CLOUDS,
    "Files and names": FILES,
}
INTRODUCTION = """# What may be given, and what is told of it

`study.py` and `predict.py` read 2D images (PNG, JPEG, MetaImage, DICOM radiographs) and volumes (NIfTI, MetaImage,
NRRD, DICOM series, DICOM files of several frames). Whatever else they are given ends in one line, and nothing is
written. Scans are read in a child process with at most 12 GiB of address space and 300 s a file, so that a damaged file
cannot take the program with it. A folder stands for its images, or for the one DICOM case in it and in the folders in
it, eight deep, as discs are exported (`PATIENT/STUDY/SERIES`); the case is called as the folder that was given.

Images of depth cameras: 16-bit PNG with `--camera` (a JSON file: `fx fy cx cy width height`, and `depth_unit_mm` or
`depth_scale`; the names of librealsense and Open3D, `intrinsics`, `ppx`, `ppy`, `intrinsic_matrix`, too) and point
clouds (`.ply`, text or binary; `.xyz`) with `--unit mm` or `m`, in the camera's frame: x right, y down, z away from it.
`--head` says where the head (a hand's fingers) lies in the camera's image. What lies on the couch, the nearest large
plane (or `plane`, a, b, c, d in mm, in the camera's file), is seen straight across it. Patient mm are then those of the
camera's frame. Holes of up to 60 mm are filled where one surface surrounds them; what hides behind an edge, and larger
holes, are not observed.

Never guessed: the side of a hand (`--side`), which of two hands in a picture (cut out the one meant), which of several
DICOM series (`--series`), a patient who does not lie on the back (`--up`). Assumed aloud (printed, and recorded in the
study's manifest and in `run.json`): that a hand's back faces anterior and its fingers superior (`--back`, `--fingers`);
how the patient lay, where a file does not say it; the axes of a file without any. Geometry comes from direction
cosines: an axial, sagittal, coronal or oblique acquisition of a body gives the same silhouette. Water and fat of one MR
scan, two series, are read as their sum with `--series 1+2`. Spacing of a radiograph
is `PixelSpacing`, else that of the detector, which sees the patient magnified.

What nobody can notice: a value that was changed where the format has no checksum (voxels of NIfTI, MetaImage, NRRD and
uncompressed DICOM, the inside of a JPEG), every second slice missing, the first or the last ones missing.

No text of a header, of a comment in a PNG or PLY, or of a camera's file is repeated anywhere: cases are named after
files and folders as given (`--rename` numbers them). Folders within a given one are named on the screen alone, and only
where something in them must be mended.

The tables below are made by `python -m tests.faults.inputs.page`, and `tests/faults/inputs` holds them against what is
really told: every line is a file made and read by a test; "read" means that its silhouette is right.
"""


def read(reader: Reader, path: Path, series: str | None) -> Image | Volume | Cloud:
    """The one scan that a path means, as the verbs read it."""
    (found,) = name_cases(find_images([path])).values()
    return reader.read(found, series=series)


def told(item: Input, reader: Reader, folder: Path) -> tuple[str, Image | Volume | None]:
    """(what a person is told of an input, the scan); it is made in an empty folder, paths are as seen from there."""
    if "Permission" in item.told and os.geteuid() == 0:
        return "image a.nii cannot be read: Permission denied", None  # root may read it
    path = item.make(folder)
    try:
        scan = read(reader, path, item.series)
        assert not isinstance(scan, Cloud), "a cloud is not read without its unit"
        seen(scan)
    except ValueError as error:
        return str(error).replace(f"{folder}/", "").replace(str(folder), "."), None
    return "; ".join(("read", *scan.notes)), scan


def line(item: Input, answer: str) -> str:
    """A line of the table."""
    return f"| {item.given} | {answer.replace('|', '&#124;')} |"


def main() -> None:
    """Write the page."""
    text = INTRODUCTION
    with Reader() as reader:
        for title, inputs in SECTIONS.items():
            text += f"\n## {title}\n\n| given | told |\n|---|---|\n"
            for item in inputs:
                with tempfile.TemporaryDirectory() as folder:
                    text += line(item, told(item, reader, Path(folder))[0]) + "\n"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
