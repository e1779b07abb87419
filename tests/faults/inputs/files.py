"""Paths, names, links and folders that are not what they seem."""

import os
from pathlib import Path

from tests.faults.inputs.flat import grey, saved
from tests.faults.inputs.series import series
from tests.faults.inputs.shapes import Input
from tests.faults.inputs.volumes import nifti


def missing(folder: Path) -> Path:
    """A path where nothing is."""
    return folder / "no" / "a.nii"


def loop(folder: Path) -> Path:
    """A link to a link to it."""
    (folder / "a.nii").symlink_to(folder / "b.nii")
    (folder / "b.nii").symlink_to(folder / "a.nii")
    return folder / "a.nii"


def loop_within(folder: Path) -> Path:
    """A series with a link to its own folder."""
    path = series()(folder)
    (path / "again").symlink_to(path)
    return path


def directory(folder: Path) -> Path:
    """A folder named like a file."""
    (folder / "a.nii").mkdir()
    return folder / "a.nii"


def pipe(folder: Path) -> Path:
    """Something that waits for a writer for ever."""
    os.mkfifo(folder / "a.nii")
    return folder / "a.nii"


def pipe_without_name(folder: Path) -> Path:
    """The same without an extension, where a file would be looked into."""
    os.mkfifo(folder / "a")
    return folder / "a"


def lost(folder: Path) -> Path:
    """A series whose last slice is a link to a file that was not fetched."""
    path = series()(folder)
    (path / "IM0001").unlink()
    (path / "IM0001").symlink_to(folder / "store" / "IM0001")
    return path


def lost_image(folder: Path) -> Path:
    """A folder of two images, one of them not fetched."""
    nifti(name="a.nii.gz")(folder)
    (folder / "b.nii.gz").symlink_to(folder / "store" / "b.nii.gz")
    return folder


def unreadable(folder: Path) -> Path:
    """A file that only root may read."""
    path = nifti()(folder)
    path.chmod(0)
    return path


def linked(folder: Path) -> Path:
    """A link to a file elsewhere."""
    (folder / "there").mkdir()
    (folder / "a.nii.gz").symlink_to(nifti(name="b.nii.gz")(folder / "there"))
    return folder / "a.nii.gz"


def mixed(folder: Path) -> Path:
    """A preview beside the slices."""
    saved(grey)(series()(folder))
    return folder / "case"


INPUTS = (
    Input(given="Nothing there", make=missing, told="does not exist"),
    Input(given="Links in a circle", make=loop, told="link to nothing"),
    Input(given="DICOM folder with a link to itself", make=loop_within),
    Input(given="Link to a file elsewhere", make=linked),
    Input(given="Folder called a.nii", make=directory, told="holds no DICOM image"),
    Input(given="Empty folder", make=lambda folder: folder, told="holds no DICOM image"),
    Input(given="Named pipe", make=pipe, told="is no file"),
    Input(given="Named pipe without extension", make=pipe_without_name, told="is no file"),
    Input(given="DICOM folder with a link to a slice not there", make=lost, told="1 links to nothing: IM0001"),
    Input(given="Folder with a link to an image not there", make=lost_image, told="1 links to nothing: b.nii.gz"),
    Input(given="File that may not be read", make=unreadable, told="Permission denied"),
    Input(given="Preview beside DICOM slices", make=mixed, told="beside DICOM files"),
    Input(given="Name with a line break", make=nifti(name="a\nb.nii"), told="control characters"),
    Input(given="Name that colours the terminal", make=nifti(name="a\x1b[31m.nii"), told="control characters"),
    Input(given="Name that reverses the text after it", make=nifti(name="a\u202egnp.nii"), told="control characters"),
    Input(given="Name that is not UTF-8", make=nifti(name="a\udcff.nii"), told="control characters"),
    Input(given="Name that begins with a dash", make=nifti(name="-o.nii")),
    Input(given="Name with blanks, quotes and umlauts", make=nifti(name="Hä 'nd\" $HOME;.nii")),
    Input(given="No extension", make=nifti(name="a"), told="unknown extension"),
)  # fmt: skip
