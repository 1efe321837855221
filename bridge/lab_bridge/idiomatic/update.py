"""Lab's optimizer as Lightning wants one: hyperparameters in groups, and a step that updates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from lab_adapters.optimizer import OptimizerAdapter

__all__ = ["Update"]


class Update(OptimizerAdapter):
    """Lab's update as `step(closure)`; Lightning runs backward, and clips, inside of the closure.

    `param_groups` are those of the next update, as Lightning's schedulers leave them; Lab's own say what the last
    one was made with, and get the values just before the next.
    """

    def __init__(self, legacy: Any) -> None:
        super().__init__(legacy)
        self.param_groups = [dict(group) for group in legacy.groups]
        self.updated = False
        self._coming: dict[str, Any] = {}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the closure and update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        legacy: Any = self.legacy
        legacy.apply()
        self.updated = True
        return loss

    def foresee(self, hyper: Mapping[str, Any]) -> None:
        """Let hyperparameters hold from the next update on."""
        self._coming.update(hyper)
        self._show(hyper)

    def set(self, hyper: Mapping[str, Any]) -> None:
        """Let hyperparameters hold from now on."""
        self._hold(hyper)
        self._show(hyper)

    def arrive(self) -> None:
        """The update is next: let what was foreseen hold, as Lab's own schedule would have set it by now."""
        self._hold(self._coming)
        self._coming = {}

    def _hold(self, hyper: Mapping[str, Any]) -> None:
        legacy: Any = self.legacy
        if hyper:
            legacy.hyper.update(hyper)
            legacy._spread()

    def _show(self, hyper: Mapping[str, Any]) -> None:
        for group in self.param_groups:
            group.update(hyper)
            if "lr" in hyper:
                group["lr"] = hyper["lr"] * group["multiplier"]
            if "decay" in hyper:
                group["decay"] = hyper["decay"] * group["decay_multiplier"]
