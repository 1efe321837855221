"""What is saved by its own `state_dict`, and what is not, though it has one.

Some optimizers are torch's by their class alone: `Optimizer.__init__` never made them.

A wrapper that keeps an average of the weights, say, takes over its inner optimizer's groups and state and calls no
constructor. torch's own `state_dict` and `load_state_dict` ask for what that one makes: such a wrapper is an object
like any other, and what lies in it is found by itself.
"""

from __future__ import annotations

from typing import Any

import torch

from lab_adapters.outlined.instances import is_plain
from lab_adapters.outlined.names import is_own_class

__all__ = ["is_optimizer", "loads_by_own_code", "saves_itself"]

_MADE = ("defaults", "_optimizer_load_state_dict_pre_hooks")


def is_optimizer(value: Any) -> bool:
    """Whether it is one of torch's, and was made."""
    return isinstance(value, torch.optim.Optimizer) and all(hasattr(value, name) for name in _MADE)


def saves_itself(value: Any) -> bool:
    """Whether it is saved by its own `state_dict`; of one that was not made and has groups, the attributes are.

    So they are of an object of the program's that is nothing but these: the program's `load_state_dict` begins another
    run, and may make a target network anew of the one that it loads, or set what only its own checkpoints ask for.
    """
    if isinstance(value, torch.optim.Optimizer) and not is_optimizer(value) and hasattr(value, "param_groups"):
        return False
    return _has_both(value) and not loads_by_own_code(value)


def loads_by_own_code(value: Any) -> bool:
    """Whether it has a `state_dict`, is nothing but its attributes, and no library has a part in it.

    A schedule of the program's is torch's, too.
    """
    if not _has_both(value) or not is_plain(value):
        return False
    loading = [base for base in type(value).__mro__ if "load_state_dict" in vars(base)]
    return all(is_own_class(base) or getattr(base, "_is_protocol", False) for base in loading)


def _has_both(value: Any) -> bool:
    return all(callable(getattr(type(value), name, None)) for name in ("state_dict", "load_state_dict"))
