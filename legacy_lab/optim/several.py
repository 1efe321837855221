"""Several optimizers, one for each part of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gin
from torch import Tensor, nn

from legacy_lab.optim.optimizer import Optimizer


@gin.configurable
class Several:
    """`optimizers` maps a submodule's path to the optimizer that is built on it; a stepper asks for them by path."""

    def __init__(self, model: nn.Module, optimizers: Mapping[str, Callable[[nn.Module], Optimizer]]) -> None:
        self.parts = {path: build(model.get_submodule(path)) for path, build in optimizers.items()}

    def __getitem__(self, path: str) -> Optimizer:
        if path not in self.parts:
            raise KeyError(f"Several.optimizers: expected one for {path!r}, found {', '.join(self.parts) or 'none'}")
        return self.parts[path]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Those of all, in order."""
        return [group for part in self.parts.values() for group in part.groups]

    def step(self, loss: Tensor) -> bool:
        """Refuse: nobody says whose loss it is."""
        raise TypeError("Several: expected a stepper that names an optimizer, found step(loss); bind Trainer.stepper")

    def end_epoch(self) -> bool:
        """Tell all; True when any updated."""
        updated = [part.end_epoch() for part in self.parts.values()]
        return any(updated)

    def state(self) -> dict[str, Any]:
        """Of all, by path."""
        return {path: part.state() for path, part in self.parts.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on."""
        for path, part in self.parts.items():
            part.load_state(state[path])
