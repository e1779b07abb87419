"""Nested cross-validation: what is reported comes from folds that the choice of the schedule never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning.refit import choose
from tuning.schedule import Schedule
from tuning.trial import TrialResult


@dataclass(frozen=True, kw_only=True, eq=False)
class NestedResult:
    """A schedule for each outer fold, and what the networks trained by them say of its test cases.

    by_fold: chosen on inner folds of the outer fold's training subjects alone
    folds: of each outer fold the result of its own schedule, trained on all its training subjects
    """

    by_fold: tuple[Schedule, ...]
    folds: TrialResult

    @property
    def error_px(self) -> float:
        """Mean over outer folds of their mean errors in patch px."""
        return self.folds.error_px


def nested_result(
    outer: Mapping[str, TrialResult], inner: Sequence[Mapping[str, TrialResult]], chosen: Schedule
) -> NestedResult:
    """The nested result of trials, by schedule name: those on the outer folds and, for each, those on its inner folds.

    chosen: the schedule that the plain protocol chose, under which the result goes. A schedule that failed anywhere
    competes nowhere.
    Raises: ValueError where that leaves none.
    """
    competing = [name for name in outer if all(name in results for results in inner)]
    if not competing:
        raise ValueError("no schedule has a result on all inner folds: nested cross-validation cannot choose")
    by_fold = tuple(choose([results[name] for name in competing]).schedule for results in inner)
    folds = tuple(outer[schedule.name].folds[number] for number, schedule in enumerate(by_fold))
    return NestedResult(by_fold=by_fold, folds=TrialResult(schedule=chosen, folds=folds))
