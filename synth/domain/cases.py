"""Which images a person means by the paths they give, and what each is called."""

from collections.abc import Sequence
from pathlib import Path

from synth.domain.cloud_files import CLOUDS
from synth.domain.headers import FLAT, MEDICAL
from synth.domain.landmarks import Annotation

SUFFIXES = FLAT + MEDICAL + CLOUDS
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


def suffix_of(path: Path) -> str:
    """The suffix of an image file, `.nii.gz` included, in lower case; "" where it is none that can be read."""
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix) and len(name) > len(suffix)), "")


def case_name(path: Path) -> str:
    """What a case is called: its file's name without extensions, or its DICOM folder's name."""
    name = path.name.lower()
    suffix = suffix_of(path) or next((s for s in DICOM_SUFFIXES if name.endswith(s) and len(name) > len(s)), "")
    return path.name[: -len(suffix)] if suffix and not path.is_dir() else path.resolve().name


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does, with its preamble or, as old exports, with a first tag of group 8."""
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        head = stream.read(132)
    return head[128:] == b"DICM" or (len(head) == 132 and head[:2] == b"\x08\0" and head[3:4] == b"\0")


def files_in(folder: Path) -> list[Path]:
    """The files of a folder by name, hidden ones left out. Raises ValueError for a link to nothing: it was a file."""
    items = sorted(item for item in folder.iterdir() if item.name[0] != ".")
    if lost := [item.name for item in items if item.is_symlink() and not item.exists()]:
        raise ValueError(
            f"folder {folder} holds {len(lost)} links to nothing: {some(lost)}; fetch the files, or unlink"
        )
    return [item for item in items if item.is_file()]


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The images that paths stand for: files, the images in a folder, or a folder of DICOM slices itself.

    Raises: ValueError for a path that does not exist, and for a folder that holds images beside DICOM files.
    """
    found = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"image {path} does not exist, or is a link to nothing")
        files = files_in(path) if path.is_dir() else []
        within = [file for file in files if suffix_of(file)]
        if within and (slices := [file for file in files if not suffix_of(file) and is_dicom(file)]):
            raise ValueError(
                f"folder {path} holds images ({within[0].name}) beside DICOM files ({slices[0].name}); give one kind"
            )
        found += within or [path]
    return found


def name_cases(paths: Sequence[Path]) -> dict[str, Path]:
    """Case name -> path. Raises ValueError where two share a name, or one is no name for a file."""
    cases: dict[str, Path] = {}
    for path in paths:
        name = case_name(path)
        if not name.strip(" .") or not name.isprintable():
            raise ValueError(f"image {str(path)!r} has control characters in its name, or none; rename it")
        if name in cases:
            raise ValueError(f"case {name!r} is the name of both {cases[name]} and {path}; rename one")
        cases[name] = path
    return cases


def match(images: Sequence[Path], annotations: dict[str, Annotation]) -> list[tuple[Path, Annotation]]:
    """Each image with its annotation, in the order of case names.

    Raises: ValueError where two images share a case name, or an image or an annotation stands alone.
    """
    files = name_cases(images)
    if alone := sorted(files.keys() - annotations.keys()):
        raise ValueError(f"no landmarks for {len(alone)} images: {some(alone)}; every image of a study needs them")
    if alone := sorted(annotations.keys() - files.keys()):
        raise ValueError(
            f"no image for {len(alone)} cases with landmarks: {some(alone)}; there is {some(sorted(files))}"
        )
    return [(files[name], annotations[name]) for name in sorted(files)]


def some(names: Sequence[str], limit: int = 5) -> str:
    """The first names of a list, in a message."""
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
