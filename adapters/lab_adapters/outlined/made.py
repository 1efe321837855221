"""Optimizers that are torch's by their class alone: `Optimizer.__init__` never made them.

A wrapper that keeps an average of the weights, say, takes over its inner optimizer's groups and state and calls no
constructor. torch's own `state_dict` and `load_state_dict` ask for what that one makes: such a wrapper is an object
like any other, and what lies in it is found by itself.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["is_optimizer", "saves_itself"]

_MADE = ("defaults", "_optimizer_load_state_dict_pre_hooks")


def is_optimizer(value: Any) -> bool:
    """Whether it is one of torch's, and was made."""
    return isinstance(value, torch.optim.Optimizer) and all(hasattr(value, name) for name in _MADE)


def saves_itself(value: Any) -> bool:
    """Whether it is saved by its own `state_dict`; of one that was not made and has groups, the attributes are."""
    if isinstance(value, torch.optim.Optimizer) and not is_optimizer(value) and hasattr(value, "param_groups"):
        return False
    return all(callable(getattr(type(value), name, None)) for name in ("state_dict", "load_state_dict"))
