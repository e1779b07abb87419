"""Who a case belongs to: a table of subjects, the key for hashes of patient ids, numbers instead of names."""

import csv
import io
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synth.domain.cases import some
from synth.domain.landmarks import Annotation, unescaped

KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A subject as a table has it; attributes: column -> value, to stratify by."""

    name: str
    attributes: dict[str, str]


def read_subjects(path: Path, cases: Sequence[str]) -> dict[str, Subject]:
    """The subject of each of the cases, from a CSV with the columns case, subject, and any attributes.

    Raises: ValueError for a file that is no such table, and for cases that it lacks or has twice.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        header = list(reader.fieldnames or ())
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"subjects {path} are no CSV in UTF-8: {error}") from error
    if not {"case", "subject"} <= set(header) or len(header) != len(set(header)):
        raise ValueError(f"subjects {path} have the columns {','.join(header)!r}; needed: case,subject")
    found: dict[str, Subject] = {}
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise ValueError(f"subjects {path} row {number} has more or fewer fields than the header")
        case, subject = (unescaped(row.pop(name).strip()) for name in ("case", "subject"))
        if not case or not subject or case in found:
            raise ValueError(f"subjects {path} row {number} has no case, no subject, or a case that stands above")
        found[case] = Subject(name=subject, attributes=row)
    if lacking := [case for case in cases if case not in found]:
        raise ValueError(f"subjects {path} lack {len(lacking)} cases: {some(lacking)}; add a row for each")
    return {case: found[case] for case in cases}


def read_key(path: Path) -> bytes:
    """The secret of keyed hashes in a file that its owner alone may read; a new one where there is none.

    Raises: ValueError for a file that others may read, or that is none of these.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise ValueError(f"key {path} may be read by others; chmod 600 it") from None
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise ValueError(
                f"key {path} has {len(key)} bytes, not {KEY_BYTES}; name a new file to make a key"
            ) from None
        return key
    with open(descriptor, "wb") as stream:
        stream.write(key := secrets.token_bytes(KEY_BYTES))
    return key


def numbered(pairs: Sequence[tuple[Path, Annotation]]) -> list[tuple[Path, Annotation]]:
    """The pairs with cases and subjects called by numbers, in the order given."""
    subjects = {name: f"subject-{k:04d}" for k, name in enumerate(dict.fromkeys(item.subject for _, item in pairs), 1)}
    return [
        (path, replace(item, case=f"case-{k:04d}", subject=subjects[item.subject]))
        for k, (path, item) in enumerate(pairs, 1)
    ]
