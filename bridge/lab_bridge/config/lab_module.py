"""Lab's trainer as a LightningModule whose parameters LightningCLI reads from YAML; gin is not involved.

from lightning.pytorch.cli import LightningCLI
from lab_bridge.config.lab_module import LabModule

LightningCLI(LabModule)          # python train.py fit --config digits_vae.yaml
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

import gin

import legacy_lab
from lab_adapters.loader import TokenLoader
from lab_adapters.step_module import StepModule
from lab_bridge.config.shared import forget

__all__ = ["LabModule"]


def _with_parameters_of(builder: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give an `__init__` the parameters of another, so that LightningCLI sees them; gin's REQUIRED is no default."""

    def decorate(init: Callable[..., None]) -> Callable[..., None]:
        wrapped = inspect.unwrap(builder.__init__)  # type: ignore[misc]
        found = inspect.signature(wrapped)
        parameters = [
            parameter.replace(default=inspect.Parameter.empty) if parameter.default is gin.REQUIRED else parameter
            for parameter in found.parameters.values()
        ]
        init.__signature__ = found.replace(parameters=parameters)  # type: ignore[attr-defined]
        init.__annotations__ = typing.get_type_hints(wrapped)
        return init

    return decorate


class LabModule(StepModule):
    """Builds a `legacy_lab.Trainer` from the same parameters, and runs it step by step under Lightning's loop.

    LightningCLI's own `trainer` should have what `lab-migrate config translate` writes there, or Lightning checks, logs
    and draws of its own accord.
    """

    @_with_parameters_of(legacy_lab.Trainer)
    def __init__(self, **parameters: Any) -> None:
        training = legacy_lab.Trainer(**parameters)
        # another training that is built in this process shares nothing with this one
        forget()
        super().__init__(training)
        self._tracker = training.tracker

    def setup(self, stage: str) -> None:
        """Start the tracker before the first step."""
        self._tracker.start("")

    def teardown(self, stage: str) -> None:
        """Close the tracker."""
        self._tracker.close()

    def train_dataloader(self) -> Any:
        """Tokens, one a legacy step; the legacy loader is asked inside the step."""
        return TokenLoader(self.legacy.steps)
