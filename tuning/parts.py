"""What an evaluation has finished, under OUT/parts, so that a killed one goes on: a file per job, and what they are of.

A file is written in one step, by the process that did the job; a damaged one counts as none.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.domain.storage import has_files, read_bytes, write_bytes
from tuning.store import within

FORMAT, SETTINGS = "synthmark evaluation", "settings.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What a job says of the cases in `rows` (n,), rising: points (n, K, 2) px, sigma (n, K) px, depth (n, K).

    depth is normalised; sigma and depth are NaN for what has none.
    """

    rows: NDArray[np.int64]
    points: NDArray[np.float64]
    sigma: NDArray[np.float64]
    depth: NDArray[np.float64]


def check_output(out: str) -> None:
    """Raise ValueError where OUT holds something that is no evaluation: nothing else is ever overwritten."""
    if read_bytes(within(out, "parts"), SETTINGS) is None and has_files(out):
        raise ValueError(f"output {out} already holds files, but no evaluation; choose another --out or remove it")


def open_parts(out: str, settings: dict[str, Any]) -> str:
    """The URI of OUT/parts, begun where OUT is empty. settings: JSON types, what every part depends on.

    Raises: ValueError where OUT holds an evaluation with other settings, or something else.
    """
    check_output(out)
    uri = within(out, "parts")
    begun = read_bytes(uri, SETTINGS)
    entry = {"format": FORMAT, "settings": settings}
    if begun is None:
        write_bytes(uri, SETTINGS, (json.dumps(entry, indent=1) + "\n").encode())
        return uri
    if json.loads(begun) != json.loads(json.dumps(entry)):
        raise ValueError(f"output {out} holds an evaluation with other settings, data or code; choose another --out")
    return uri


def write_part(uri: str, name: str, part: Part) -> None:
    """Keep a finished job's part under OUT/parts."""
    stream = io.BytesIO()
    np.savez(stream, **vars(part))
    write_bytes(uri, f"{name}.npz", stream.getvalue())


def read_part(uri: str, name: str) -> Part | None:
    """The part of that name under OUT/parts, None where there is none yet."""
    raw = read_bytes(uri, f"{name}.npz")
    if raw is None:
        return None
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            return Part(**arrays)
    except (ValueError, TypeError, OSError, zipfile.BadZipFile):
        return None
