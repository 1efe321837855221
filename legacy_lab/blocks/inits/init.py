"""What an initialiser is, and which one a parameter gets."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Init:
    """Draws a parameter's values, in place, from torch's global generator."""

    def __call__(self, parameter: Tensor) -> None:
        """Fill the parameter; called without autograd."""
        raise NotImplementedError


def chosen(name: str, inits: Mapping[str, Init]) -> Init | None:
    """The last initialiser whose pattern matches a parameter's name."""
    found = None
    for pattern, init in inits.items():
        if fnmatch.fnmatchcase(name, pattern):
            found = init
    return found


def require_matches(inits: Mapping[str, Init], model: nn.Module) -> None:
    """Raise `ValueError` where a pattern matches no parameter of the model."""
    names = [name for name, _ in model.named_parameters()]
    unmatched = [pattern for pattern in inits if not fnmatch.filter(names, pattern)]
    if unmatched:
        raise ValueError(
            f"model.inits: expected every pattern to match a parameter, found none for {unmatched}; "
            f"parameters are named like {', '.join(names[:3])}"
        )


def initialise(model: nn.Module, inits: Mapping[str, Init]) -> None:
    """Draw every parameter anew that an initialiser is chosen for, in the order of the parameters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            init = chosen(name, inits)
            if init is not None:
                init(parameter)
