"""When a schedule is asked, and by what it counts."""

from __future__ import annotations

import gin

from legacy_lab.optim.schedule import Schedule

PER = ("update", "window", "loss", "epoch")
WHEN = ("before", "after")


@gin.configurable
class Timed:
    """A schedule asked before or after each `per`, at every `every`-th, with how many of them there were.

    `update` counts updates, `window` also those that were skipped for an overflow, `loss` micro-batches, `epoch`
    ends of epochs. Asked `before` the first, a schedule says how training starts; asked `after`, as torch's are,
    the optimizer's own settings do.
    """

    def __init__(self, schedule: Schedule, per: str = "update", when: str = "before", every: int = 1) -> None:
        for name, value, known in (("per", per, PER), ("when", when, WHEN)):
            if value not in known:
                raise ValueError(f"Timed.{name}: expected one of {', '.join(known)}, found {value!r}")
        if every < 1:
            raise ValueError(f"Timed.every: expected at least 1, found {every}")
        self.schedule, self.per, self.when, self.every = schedule, per, when, every
