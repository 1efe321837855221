"""Where an update is made: by the loop, by closure, in the step of a wrapper, or both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["STEPPING", "stepping_by", "take_step"]

STEPPING = ("plain", "closure", "wrapper", "wrapper by closure")


class _Around(torch.optim.Optimizer):
    """Hands the step on; its settings and its state are its own."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        super().__init__([{"params": list(group["params"])} for group in inner.param_groups], {"every": 5})
        self.inner = inner

    def step(self, closure: Any = None) -> Any:
        """The inner one's."""
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["slow"] = parameter.detach().clone()
        return self.inner.step(closure)


def stepping_by(how: str, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """What steps in one of the ways of `STEPPING`."""
    return _Around(optimizer) if how.startswith("wrapper") else optimizer


def take_step(how: str, stepping: torch.optim.Optimizer, differentiate: Callable[[], None]) -> None:
    """Differentiate and update."""
    if how.endswith("closure"):

        def closure() -> float:
            with torch.enable_grad():
                differentiate()
            return 0.0

        stepping.step(closure)
    else:
        differentiate()
        stepping.step()
