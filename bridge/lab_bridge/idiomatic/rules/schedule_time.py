"""Schedules that are asked when Lightning does not step a scheduler."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lab_bridge.idiomatic.semantics import Semantics, Time

ROW = "test_per_micro_batch, test_per_epoch, test_several_each_at_its_own_time"
KEEPS = "schedules"


def objection(semantics: Semantics) -> str | None:
    """Why, or None."""
    if semantics.native:
        return _native(semantics.times)
    if any(time.per == "loss" for time in semantics.times):
        return "a schedule is asked at every loss; Lightning steps schedulers by updates or epochs"
    by_epochs = [time for time in semantics.times if time.per == "epoch"]
    if not by_epochs:
        return None
    size = semantics.batches_per_epoch
    if size is None or size % semantics.every:
        return (
            f"a schedule is asked by epochs of {size or 'unknown'} batches, which is no multiple of {semantics.every}"
        )
    by_updates = [time for time in semantics.times if time.per != "epoch"]
    if by_updates and not _apart(by_epochs, by_updates):
        return "schedules by epochs and by updates may move the same hyperparameter"
    return None


def _native(times: Sequence[Time]) -> str | None:
    """A function of the number of updates says what a schedule does, as long as no other moves the same.

    Whether losses and passes follow from updates, level L3 looks at itself.
    """
    alike = len({(time.per, time.when, time.every) for time in times}) <= 1
    if alike or all(_apart([one], [other]) for one, other in itertools.combinations(times, 2)):
        return None
    return "schedules that are asked at different updates may move the same hyperparameter"


def _apart(some: Sequence[Time], others: Sequence[Time]) -> bool:
    """Whether all are known, and no two of different kinds move the same."""
    if not all(time.moves for time in (*some, *others)):
        return False
    return not frozenset().union(*(t.moves for t in some)) & frozenset().union(*(t.moves for t in others))
