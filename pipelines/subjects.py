"""The options that say who a case belongs to, and what it is called in a study."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from synth.domain.landmarks import Annotation
from synth.domain.reader import Reader
from synth.domain.subjects import numbered, read_key, read_subjects

Pairs = list[tuple[Path, Annotation]]


def add_subject_options(options: argparse.ArgumentParser) -> None:
    """None; adds the options that with_subjects takes."""
    options.add_argument(
        "--subjects", type=Path, metavar="CSV",
        help="columns case,subject, and attributes to stratify by; default: as the landmarks say, else the case",
    )  # fmt: skip
    options.add_argument(
        "--subject-key", type=Path, metavar="FILE",
        help="subjects are keyed hashes (HMAC-SHA256) of the patient ids in DICOM headers; FILE holds the key, is made "
        "if missing, and may be read by you alone (mode 0600): keep it, and apart from the study",
    )  # fmt: skip
    options.add_argument(
        "--rename", action="store_true",
        help="call cases and subjects case-0001, subject-0001 … in the order of their names, which are written nowhere",
    )  # fmt: skip


def with_subjects(
    pairs: Sequence[tuple[Path, Annotation]], given: argparse.Namespace, reader: Reader
) -> tuple[Pairs, dict[str, dict[str, str]]]:
    """(the pairs with subjects and names as the options say, attributes by the new case names)."""
    kept = list(pairs)
    attributes: list[dict[str, str]] = [{} for _ in pairs]
    if given.subject_key:
        key = read_key(given.subject_key)
        kept = [(path, replace(item, subject=reader.subject(path, key))) for path, item in kept]
    if given.subjects:
        table = read_subjects(given.subjects, [item.case for _, item in kept])
        kept = [(path, replace(item, subject=table[item.case].name)) for path, item in kept]
        attributes = [table[item.case].attributes for _, item in kept]
    if given.rename:
        kept = numbered(kept)
    return kept, {item.case: found for (_, item), found in zip(kept, attributes, strict=True) if found}
