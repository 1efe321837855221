"""Lab's precision as Lightning's plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision

import legacy_lab
from legacy_lab.optim.scaling import TorchScaler
from legacy_lab.train.precision import Autocast

__all__ = ["AutocastPrecision", "ScaledPrecision", "precision_of"]

NAMES: dict[torch.dtype, Any] = {torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed"}


class AutocastPrecision(MixedPrecision):
    """`bf16-mixed` or `16-mixed`, with Lab's word on whether autocast casts a weight once that is used twice.

    Lightning's own never does, which shows in the bits of such a weight's gradient. Without `scaler` none is made.
    """

    def __init__(self, autocast: Autocast, scaler: torch.amp.GradScaler | None = None) -> None:
        super().__init__(NAMES[autocast.dtype], autocast.device, scaler)
        self.scaler, self.autocast = scaler, autocast

    def autocast_context_manager(self) -> torch.autocast:
        """Lab's."""
        context: Any = self.autocast.autocast()
        return context  # type: ignore[no-any-return]


class ScaledPrecision(Precision):
    """A scaler of Lab's, asked where Lightning asks torch's; autocast, where there is any, stays Lab's too."""

    def __init__(self, optimizer: Any) -> None:
        self.legacy, self.scaling = optimizer, optimizer.gradients.scaler

    def pre_backward(self, tensor: Any, module: Any) -> Any:
        """Scale the loss."""
        return super().pre_backward(self.scaling.scale(tensor), module)

    def optimizer_step(  # type: ignore[override]  # as Lightning's own subclasses have it
        self, optimizer: Any, model: Any, closure: Callable[[], Any], **kwargs: Any
    ) -> Any:
        """Unscale, clip, and update where nothing overflowed."""
        closure()
        self.scaling.unscale([parameter for _, parameter in self.legacy.named_parameters()])
        self._after_closure(model, optimizer)
        return self.scaling.step(optimizer.step)


def precision_of(training: legacy_lab.Trainer, kept: frozenset[str]) -> Precision | None:
    """The plugin for a training, but for the parts that stay Lab's; None where there is nothing to do."""
    autocast = training.precision if isinstance(training.precision, Autocast) and "precision" not in kept else None
    optimizer: Any = training.optimizer
    scaler = optimizer.gradients.scaler
    if scaler is not None and ("scaling" in kept or autocast is None or autocast.dtype != torch.float16):
        return ScaledPrecision(optimizer)
    if autocast is None or autocast.dtype not in NAMES:
        return None
    return AutocastPrecision(autocast, scaler.scaler if isinstance(scaler, TorchScaler) else None)
