"""The options that say how scans are read, shared by the verbs that read them."""

import argparse
from pathlib import Path
from typing import get_args

from pipelines.cli import UsageError
from synth.domain.anatomy import Anatomy
from synth.domain.cloud import Cloud, depth_cloud, read_camera
from synth.domain.overhead import Head
from synth.domain.posture import Up
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.reader import Reader
from synth.domain.settings import ImportSettings
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
        "--series",
        metavar="N",
        help="which DICOM series of a folder: its number as listed, or its UID; 2+3 adds water and fat of one MR scan",
    )
    add_camera_options(options)
    options.add_argument(
        "--up", choices=get_args(Up),
        help="the side of the patient that faced up, away from the couch; default: as the DICOM header says",
    )  # fmt: skip


def add_camera_options(options: argparse.ArgumentParser) -> None:
    """None; adds the options of depth cameras that reading_settings takes."""
    options.add_argument(
        "--camera", type=Path, metavar="JSON",
        help="images are 16-bit depth of this camera: fx, fy, cx, cy, width, height, depth_scale or depth_unit_mm",
    )  # fmt: skip
    options.add_argument("--unit", choices=("mm", "m"), help="of point clouds, whose files do not say it")
    options.add_argument(
        "--head", choices=get_args(Head), help="where the head (a hand's fingers) lies in a depth camera's image"
    )  # fmt: skip


def reading_settings(given: argparse.Namespace) -> ImportSettings:
    """The settings that the options give. Raises UsageError for values that cannot be."""
    if (given.camera or given.unit) and not given.head:
        raise UsageError("give --head up, down, left or right: where the head (a hand's fingers) lies is never guessed")
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
            camera=None if given.camera is None else read_camera(given.camera),
            unit_mm={"mm": 1.0, "m": 1000.0, None: None}[given.unit],
            head=given.head,
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


def read_scan(reader: Reader, path: Path, settings: ImportSettings) -> Image | Volume | Cloud:
    """The scan at `path`, read as the settings say; an image of a depth camera as what it saw.

    Raises: ValueError for what cannot be read.
    """
    scan = reader.read(
        path, spacing_mm=settings.spacing_mm, series=settings.series, up=settings.up, unit_mm=settings.unit_mm
    )
    if settings.camera is None or isinstance(scan, Cloud):
        return scan
    if isinstance(scan, Volume):
        raise ValueError(f"image {path} is a volume, not of a depth camera; leave out --camera")
    try:
        return depth_cloud(scan, settings.camera)
    except ValueError as error:
        raise ValueError(f"depth image {path} {error}") from error
