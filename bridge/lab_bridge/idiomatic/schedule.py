"""Lab's schedules as Lightning's: learning rate schedulers with an interval and a frequency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.optim.lr_scheduler import LRScheduler

from lab_bridge.idiomatic.update import Update
from legacy_lab.optim.schedules.timed import Timed

__all__ = ["Scheduled", "scheduler_configs"]

#: The order in which Lab asks between two updates.
ORDER = (("update", "after"), ("window", "after"), ("epoch", "after"),
         ("epoch", "before"), ("window", "before"), ("update", "before"))  # fmt: skip


class Scheduled(LRScheduler):
    """A schedule of Lab's, of any hyperparameters, which Lightning steps.

    What it says is a function of Lab's counters, which checkpoints hold; a scheduler has no state besides. One that
    is asked before an update foresees what that update will be made with, one that is asked after one sets it.
    """

    def __init__(self, optimizer: Update, timed: Timed) -> None:
        self.update, self.timed = optimizer, timed
        super().__init__(optimizer)  # steps once

    def step(self, epoch: int | None = None) -> None:
        """Set what the schedule says, if this is its time."""
        legacy: Any = self.update.legacy
        count = {"update": legacy.steps, "window": legacy.windows, "epoch": legacy.epochs}[self.timed.per]
        self.last_epoch, rest = divmod(count, self.timed.every)
        if rest == 0 and (count or self.timed.when == "before"):
            tell = self.update.foresee if self.timed.when == "before" else self.update.set
            tell(self.timed.schedule(self.last_epoch))
        self._last_lr = [group["lr"] for group in self.update.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the counters are Lab's."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: the counters were loaded before the scheduler was made."""


def scheduler_configs(
    optimizer: Update, schedules: Sequence[Timed], frequency: Callable[[int], int]
) -> list[dict[str, Any]]:
    """What `configure_optimizers` returns of them; `frequency` says how many batches so many updates take.

    Lightning looks at the frequency only where a batch makes an update. Where that is more often than a schedule's
    time comes, `Scheduled` waits for it.
    """
    return [
        {"scheduler": Scheduled(optimizer, timed), "interval": "epoch", "frequency": timed.every}
        if timed.per == "epoch"
        else {"scheduler": Scheduled(optimizer, timed), "interval": "step", "frequency": frequency(timed.every)}
        for timed in sorted(schedules, key=lambda timed: ORDER.index((timed.per, timed.when)))
    ]
