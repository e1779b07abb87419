"""Cross-validation folds by subject: two images of one subject never lie on both sides."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEADER = ["fold", "subject"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """Case indices of one fold, both rising int64: `train` and `test` share no subject and cover every case."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def make_folds(subjects: Sequence[str], k: int, seed: int) -> list[Fold]:
    """k folds of the cases whose subjects are given, one name per case; as many folds as subjects leaves one out.

    Subjects are shuffled by `seed` and dealt, those with most cases first, to the fold with fewest cases. The result
    depends on which subjects have how many cases, not on the order of the cases.
    Raises: ValueError for k < 2 or fewer subjects than folds.
    """
    if k < 2:
        raise ValueError(f"folds is {k}; allowed: at least 2")
    counts = Counter(subjects)
    if len(counts) < k:
        raise ValueError(
            f"the study has {len(counts)} subject(s), fewer than the {k} folds asked for; "
            f"set sweep.folds to at most {len(counts)} or add subjects"
        )
    names = sorted(counts)
    shuffled = [names[i] for i in np.random.default_rng([seed, k]).permutation(len(names))]
    shuffled.sort(key=lambda name: -counts[name])
    load = [0] * k
    assigned: dict[str, int] = {}
    for name in shuffled:
        fold = load.index(min(load))
        assigned[name] = fold
        load[fold] += counts[name]
    return folds_of(subjects, assigned)


def folds_of(subjects: Sequence[str], assigned: dict[str, int]) -> list[Fold]:
    """The folds that test each subject in its assigned fold (0 …).

    Raises: ValueError for a subject without a fold, or a fold without a case.
    """
    missing = sorted(set(subjects) - set(assigned))
    if missing:
        raise ValueError(f"subject {missing[0]!r} has no fold; the folds are of another study")
    tested = np.array([assigned[subject] for subject in subjects], np.int64)
    folds = []
    for number in range(max(assigned.values()) + 1):
        test = np.flatnonzero(tested == number)
        if test.size == 0:
            raise ValueError(f"fold {number} has no case; the folds are of another study")
        folds.append(Fold(train=np.flatnonzero(tested != number), test=test))
    return folds


def folds_text(subjects: Sequence[str], folds: Sequence[Fold]) -> str:
    """The folds as CSV text, one line `fold,subject` per subject: what folds.csv holds."""
    stream = io.StringIO()
    stream.write(",".join(HEADER) + "\n")
    # names are always quoted: minimal quoting leaves a lone carriage return bare (Python 3.11): a new line to a reader
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for number, fold in enumerate(folds):
        writer.writerows((number, name) for name in sorted({subjects[i] for i in fold.test}))
    return stream.getvalue()


def parse_folds(text: str, subjects: Sequence[str]) -> list[Fold]:
    """The folds of such a text for the cases of `subjects`: the inverse of folds_text.

    Raises: ValueError for a text that is no list of folds, names a subject twice, or is of another study.
    """
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or rows[0] != HEADER:
        raise ValueError(f"folds file starts with {rows[:1]}; its first line must be {','.join(HEADER)}")
    assigned: dict[str, int] = {}
    for row in rows[1:]:
        if len(row) != 2 or not row[0].isdecimal():
            raise ValueError(f"folds file has the line {row}; write fold number, subject")
        if row[1] in assigned:
            raise ValueError(f"folds file names subject {row[1]!r} twice; a subject belongs to one fold")
        assigned[row[1]] = int(row[0])
    return folds_of(subjects, assigned)


def count_folds(text: str) -> int:
    """The number of folds of such a text."""
    return len({row[0] for row in csv.reader(io.StringIO(text, newline=""))} - {HEADER[0]})
