"""The options that say how scans are read, shared by the verbs that read them."""

import argparse
from pathlib import Path
from typing import get_args

from pipelines.cli import UsageError
from synth.domain.anatomy import Anatomy
from synth.domain.posture import Up
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.reader import Reader
from synth.domain.study import ImportSettings
from synth.domain.turn import Direction


def add_reading_options(options: argparse.ArgumentParser) -> None:
    """None; adds the options that reading_settings takes."""
    options.add_argument("--side", choices=("left", "right"), help="which hand; needed for hands, never guessed")
    options.add_argument(
        "--back", choices=get_args(Direction), help="where the back of a hand in a volume faced; default: anterior"
    )  # fmt: skip
    options.add_argument(
        "--fingers", choices=get_args(Direction), help="where its fingers pointed; default: superior"
    )  # fmt: skip
    options.add_argument("--threshold", type=float, help="intensity between air and tissue; default: chosen per case")
    options.add_argument("--spacing", type=float, metavar="MM", help="pixel size of 2D images that do not tell it")
    options.add_argument(
        "--couch", choices=("auto", "fit", "accumulate", "none"), default="auto",
        help="of a CT; fit: cut out what stays alike along z, accumulate: drop thin columns; auto: fit for bodies",
    )  # fmt: skip
    options.add_argument(
        "--series", metavar="N", help="which DICOM series of a folder: its number as listed, or its UID"
    )
    options.add_argument(
        "--up", choices=get_args(Up),
        help="the side of the patient that faced up, away from the couch; default: as the DICOM header says",
    )  # fmt: skip


def reading_settings(given: argparse.Namespace) -> ImportSettings:
    """The settings that the options give. Raises UsageError for values that cannot be."""
    try:
        return ImportSettings(
            side=given.side,
            back=given.back,
            fingers=given.fingers,
            threshold=given.threshold,
            spacing_mm=given.spacing,
            series=given.series,
            up=given.up,
            couch=given.couch,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def require_side(settings: ImportSettings, anatomy: Anatomy) -> None:
    """Raise UsageError where the side is missing for a hand, or what is for hands given for a body."""
    if anatomy.base == "hand" and settings.side is None:
        raise UsageError("give --side left or --side right: which hand it is is never guessed")
    if anatomy.base != "hand" and settings.side is not None:
        raise UsageError(f"--side is for hands; leave it out for {anatomy.name}")
    if anatomy.base != "hand" and (settings.back or settings.fingers):
        raise UsageError(f"--back and --fingers are for hands; leave them out for {anatomy.name}")


def read_scan(reader: Reader, path: Path, settings: ImportSettings) -> Image | Volume:
    """The scan at `path`, read as the settings say. Raises ValueError for what cannot be read."""
    return reader.read(path, spacing_mm=settings.spacing_mm, series=settings.series, up=settings.up)
