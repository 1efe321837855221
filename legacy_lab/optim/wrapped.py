"""What is put around another of Lab's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from legacy_lab.optim.optimizer import Optimizer


class Wrapped:
    """Passes everything on to `inner`; a subclass changes what it is about."""

    def __init__(self, model: nn.Module, inner: Callable[[nn.Module], Optimizer]) -> None:
        self.inner = inner(model)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The inner optimizer's, live."""
        return self.inner.groups

    @property
    def steps(self) -> int:
        """Updates done."""
        return self.inner.steps

    def step(self, loss: Tensor) -> bool:
        """Take a loss; True when a window is done."""
        return self.inner.step(loss)

    def end_epoch(self) -> bool:
        """The loader's epoch is over; True when that made an update."""
        return self.inner.end_epoch()

    def zero(self) -> None:
        """As the inner optimizer does."""
        self.inner.zero()

    def state(self) -> dict[str, Any]:
        """The inner optimizer's, and what a subclass adds."""
        return {"inner": self.inner.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.inner.load_state(state["inner"])
