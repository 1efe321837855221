"""A legacy schedule, a function of the step, as a torch scheduler, for code that has torch's optimizers already."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from lab_adapters.protocols import LegacySchedule


class ScheduleAdapter(LRScheduler):
    """Writes a legacy schedule's hyperparameters into a torch optimizer's groups.

    A legacy schedule is asked *before* update n with n; torch's are stepped *after* it. So construction applies
    step 0, and each `step()` applies the next: use it with `interval="step"`. A group's `multiplier`, where it has
    one, scales its learning rate. Every hyperparameter the schedule returns must be one the optimizer has.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: LegacySchedule) -> None:
        self.schedule = schedule
        self.updates = -1
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rates as they stand; `step` has written them."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Apply the hyperparameters of the next update. Raises `KeyError` for one the optimizer does not have."""
        self.updates += 1
        self.last_epoch = self.updates
        for name, value in self.schedule(self.updates).items():
            for group in self.optimizer.param_groups:
                if name not in group:
                    raise KeyError(f"schedule: expected one of {sorted(set(group) - {'params'})}, found {name!r}")
                group[name] = value * group.get("multiplier", 1.0) if name == "lr" else value
        self._last_lr = self.get_lr()

    def state_dict(self) -> dict[str, Any]:
        """How many updates were scheduled."""
        return {"updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.updates = self.last_epoch = state_dict["updates"]
