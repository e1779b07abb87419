"""Cross-validation folds by subject: two images of one subject never lie on both sides."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

HEADER = ["fold", "subject"]
FEW_NUMBERS = 4  # a column with more different numbers than that is cut in two at its median

NumFolds = int | Literal["leave_one_out"]
Traits = Mapping[str, frozenset[str]]  # subject -> what it is to be balanced by
NO_TRAITS: Traits = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """Case indices of one fold, both rising int64: `train` and `test` share no subject and cover every case."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def make_folds(subjects: Sequence[str], k: NumFolds, seed: int, traits: Traits = NO_TRAITS) -> list[Fold]:
    """k folds of the cases whose subjects are given, one name per case; "leave_one_out" tests each subject alone.

    Subjects are shuffled by `seed` and dealt, those with most cases first, to the fold with fewest cases. With traits
    the fold that has fewest subjects with the same ones comes first, so that for traits of one column no two folds
    differ by more than one. The result depends on which subjects have how many cases, not on the order of the cases.
    Source: minimisation, Pocock and Simon 1975.
    Raises: ValueError for k < 2 or fewer subjects than folds.
    """
    counts = Counter(subjects)
    num_folds = max(len(counts), 2) if k == "leave_one_out" else k
    if num_folds < 2:
        raise ValueError(f"folds is {k}; allowed: at least 2, or leave_one_out")
    if len(counts) < num_folds:
        raise ValueError(
            f"the study has {len(counts)} subject(s), fewer than the {num_folds} folds asked for; "
            f"set sweep.folds to at most {len(counts)} or add subjects"
        )
    names = sorted(counts)
    shuffled = [names[i] for i in np.random.default_rng([seed, num_folds]).permutation(len(names))]
    shuffled.sort(key=lambda name: -counts[name])
    return folds_of(subjects, _dealt(shuffled, counts, num_folds, traits))


def _dealt(names: Sequence[str], counts: Mapping[str, int], k: int, traits: Traits) -> dict[str, int]:
    """Subject -> fold: the names, in this order, each to the fold that lacks it most."""
    cases = [0] * k
    alike = [Counter[str]() for _ in range(k)]
    assigned: dict[str, int] = {}
    for name in names:
        own = traits.get(name, frozenset())
        fold = min(range(k), key=lambda f: (sum(alike[f][trait] for trait in own), cases[f], f))
        assigned[name] = fold
        cases[fold] += counts[name]
        alike[fold].update(own)
    return assigned


def traits_of(attributes: Mapping[str, Mapping[str, str]]) -> dict[str, frozenset[str]]:
    """Subject -> traits such as sex=f, from what is known of each subject, column -> value.

    Of a column of more than FEW_NUMBERS different numbers only the half counts; a column in which more than half of the
    subjects have a value of their own, such as a name, does not count.
    """
    columns = sorted({column for known in attributes.values() for column in known})
    found: dict[str, set[str]] = {subject: set() for subject in attributes}
    for column in columns:
        values = _halved({subject: known.get(column, "") for subject, known in attributes.items()})
        if 1 < len(set(values.values())) <= len(values) / 2:
            for subject, value in values.items():
                found[subject].add(f"{column}={value}")
    return {subject: frozenset(traits) for subject, traits in found.items()}


def _halved(values: dict[str, str]) -> dict[str, str]:
    """The values, or low and high where they are many different numbers; an empty one stays empty."""
    try:
        numbers = {subject: float(value) for subject, value in values.items() if value}
    except ValueError:
        return values
    if len(set(numbers.values())) <= FEW_NUMBERS:
        return values
    median = float(np.median(list(numbers.values())))
    return {
        subject: "" if subject not in numbers else "low" if numbers[subject] < median else "high" for subject in values
    }


def inner_folds(subjects: Sequence[str], outer: Fold, k: NumFolds, seed: int, traits: Traits = NO_TRAITS) -> list[Fold]:
    """Folds of an outer fold's training cases alone, in case indices of the whole study.

    What is chosen on them has never seen the outer fold's test cases. Raises: ValueError as make_folds.
    """
    kept = [subjects[i] for i in outer.train]
    return [
        Fold(train=outer.train[fold.train], test=outer.train[fold.test]) for fold in make_folds(kept, k, seed, traits)
    ]


def folds_of(subjects: Sequence[str], assigned: dict[str, int]) -> list[Fold]:
    """The folds that test each subject in its assigned fold (0 …).

    Raises: ValueError for a subject without a fold, a fold without a subject of the study, or fewer than two folds.
    """
    missing = sorted(set(subjects) - set(assigned))
    if missing:
        raise ValueError(f"subject {missing[0]!r} has no fold; the folds are of another study")
    if len(set(assigned.values())) < 2:
        raise ValueError("all subjects are in one fold; give at least two folds")
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


def read_folds(path: Path, subjects: Sequence[str]) -> list[Fold]:
    """The folds in a file, as sweep.py writes folds.csv. Raises: ValueError as parse_folds, OSError without a file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return parse_folds(stream.read(), subjects)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"folds {path} are no CSV in UTF-8: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
