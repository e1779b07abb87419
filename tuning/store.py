"""The files of a sweep: finished trials, and the finished folds of those that are not, each written in one step.

OUT/trials/<trial>.json is a finished trial, OUT/trials/<trial>.failed.json why one failed, and
OUT/trials/<trial>/fold-000.json a finished fold until its trial is finished. A damaged file counts as none.
"""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs

from synth.domain.storage import filesystem, read_bytes, write_bytes
from tuning.trial import FoldResult, Trial, TrialResult, from_json, to_json


def within(uri: str, folder: str) -> str:
    """The URI of a folder in another; what follows a ? (an object store's options) stays at the end."""
    base, mark, options = uri.partition("?") if "://" in uri else (uri, "", "")
    return f"{base.rstrip('/')}/{folder}{mark}{options}"


def read_json(uri: str, name: str) -> dict[str, Any] | None:
    """The object in a JSON file under `uri`, or None where it is missing or no such object."""
    raw = read_bytes(uri, name)
    if raw is None:
        return None
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


@dataclass(frozen=True, kw_only=True)
class TrialStore:
    """Where trials are kept: uri is OUT/trials. A trial's name may hold folders, a/b."""

    uri: str

    def read(self, name: str, trial: Trial) -> TrialResult | None:
        """The result of this trial, None where it has none yet."""
        result = self._read(self.uri, f"{name}.json", trial)
        return result if result is not None and len(result.folds) == trial.num_folds else None

    def read_fold(self, name: str, trial: Trial, number: int) -> FoldResult | None:
        """The result of a fold of this unfinished trial, None where it has none yet."""
        result = self._read(within(self.uri, name), f"fold-{number:03d}.json", trial)
        kept = result.folds if result is not None else ()
        return kept[0] if len(kept) == 1 and kept[0].fold == number else None

    def reason(self, name: str) -> str | None:
        """Why the trial failed, None where that is not known."""
        entry = read_json(self.uri, f"{name}.failed.json")
        return None if entry is None else str(entry.get("reason"))

    def write(self, name: str, result: TrialResult) -> None:
        """Keep a finished trial, in place of its folds."""
        self._write(name, ".json", to_json(result))
        fs, base = filesystem(self.uri)
        if fs.get_file_info(f"{base}/{name}").type == pafs.FileType.Directory:
            fs.delete_dir(f"{base}/{name}")

    def write_fold(self, name: str, trial: Trial, fold: FoldResult) -> None:
        """Keep a finished fold of an unfinished trial."""
        self._write(
            f"{name}/fold-{fold.fold:03d}", ".json", to_json(TrialResult(schedule=trial.schedule, folds=(fold,)))
        )

    def write_reason(self, name: str, reason: str) -> None:
        """Keep why a trial failed."""
        self._write(name, ".failed.json", {"reason": reason})

    def forget_reason(self, name: str) -> None:
        """None; an old reason must not stand for a process that is killed this time."""
        fs, base = filesystem(self.uri)
        if fs.get_file_info(f"{base}/{name}.failed.json").type == pafs.FileType.File:
            fs.delete_file(f"{base}/{name}.failed.json")

    def _read(self, uri: str, file: str, trial: Trial) -> TrialResult | None:
        entry = read_json(uri, file)
        try:
            result = from_json(entry) if entry is not None else None
        except (KeyError, TypeError, ValueError):
            return None
        return result if result is not None and result.schedule == trial.schedule else None

    def _write(self, name: str, ending: str, entry: dict[str, Any]) -> None:
        folder, _, last = name.rpartition("/")
        uri = within(self.uri, folder) if folder else self.uri
        write_bytes(uri, f"{last}{ending}", (json.dumps(entry, allow_nan=False) + "\n").encode())
