"""Some of a fold's training subjects, and a schedule that trains on them for as long as on all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tuning.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Subset:
    """num_subjects of a fold's training subjects: the first of the order that `draw` shuffles them into."""

    num_subjects: int
    draw: int


def drawn_rows(
    subjects: Sequence[str], train: NDArray[np.int64], subset: Subset, seed: Sequence[int]
) -> NDArray[np.int64]:
    """The training cases of the subset's subjects, rising. One seed and draw: fewer subjects are part of more.

    train: case indices. Raises: ValueError where there are not that many training subjects.
    """
    names = sorted({subjects[i] for i in train})
    if not 0 < subset.num_subjects <= len(names):
        raise ValueError(f"{subset.num_subjects} training subjects are asked for; a fold has {len(names)}")
    order = np.random.default_rng([*seed, subset.draw]).permutation(len(names))
    kept = {names[i] for i in order[: subset.num_subjects]}
    return np.array([i for i in train if subjects[i] in kept], np.int64)


def stretched(schedule: Schedule, num_all: int, num_few: int) -> Schedule:
    """The schedule in as many steps on num_few cases as it takes on num_all: fewer cases do not mean less training.

    Epochs become more, and milestones counted in them later, as the steps of an epoch become fewer.
    """
    longer = math.ceil(num_all / schedule.batch) / math.ceil(num_few / schedule.batch)
    later = tuple(round(m * longer) for m in schedule.milestones) if schedule.unit == "epochs" else schedule.milestones
    return replace(schedule, epochs=round(schedule.epochs * longer), milestones=later)
