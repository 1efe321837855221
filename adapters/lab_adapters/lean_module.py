"""The base of the modules that run legacy steps: a LightningModule whose bookkeeping costs little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl

from lab_adapters.slim_loop import SlimEpochLoop

__all__ = ["EndedError", "LeanModule"]


class EndedError(RuntimeError):
    """Legacy code raised `StopIteration` (the cause), which Lightning would take for the training's end, silently."""

    @classmethod
    def at(cls, step: int) -> EndedError:
        """In the step behind `step` steps."""
        return cls(
            f"training: expected a step or an error, found that the legacy code raised StopIteration in step {step}; "
            "let the loader, or what else was asked for its next item, start anew"
        )


class LeanModule(pl.LightningModule):
    """Behaves as a LightningModule does."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the running hook's name 44 times a step; nn.Module would search parameters, submodules and
        # buffers for it each time.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Nothing: gradients are the legacy optimizer's. Lightning would set them to None before the first step.

        They may be zeros that make an update of their own, or those of a window that a checkpoint cut in two.
        """

    def log_step(self, metrics: Mapping[str, Any]) -> None:
        """`log_dict(metrics, prog_bar=True, batch_size=1)`; quicker where the slim loop runs."""
        loop = self.trainer.fit_loop.epoch_loop
        if isinstance(loop, SlimEpochLoop) and not loop.obstacles:
            loop.log_step(self, loop._results, metrics)
        else:
            self.log_dict(dict(metrics), prog_bar=True, batch_size=1)
