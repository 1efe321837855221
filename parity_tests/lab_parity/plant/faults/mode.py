"""The model is called in evaluation mode."""

from __future__ import annotations

from torch import nn

ONCE = False
CAUSES = ("mode",)
_MATTERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.modules.batchnorm._BatchNorm)


def change_module(module: nn.Module) -> bool:
    """Switch it; whether anything in it minds."""
    minds = any(isinstance(part, _MATTERS) and part.training and getattr(part, "p", 1.0) for part in module.modules())
    module.eval()
    return minds
