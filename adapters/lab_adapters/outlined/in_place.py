"""Loading an optimizer's state without parting what the program shares of it.

torch's `Optimizer.load_state_dict` puts new lists and dicts in place of `param_groups` and `state`. A wrapper that has
taken over its inner optimizer's (`self.param_groups = self.base_optimizer.param_groups`, as sharpness-aware
minimisation does), or a program that keeps the groups under a name of its own, would go on with the old ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import torch

__all__ = ["in_place"]


@contextlib.contextmanager
def in_place(optimizers: Collection[Any]) -> Iterator[None]:
    """What torch's optimizers load while this lasts is in the lists and dicts that they had before."""
    torchs = [one for one in optimizers if isinstance(one, torch.optim.Optimizer)]
    before = [(one.param_groups, list(one.param_groups), one.state) for one in torchs]
    yield
    # All are read before any is written: two may hold the same.
    after = [([dict(group) for group in one.param_groups], dict(one.state)) for one in torchs]
    for optimizer, (groups, dicts, state), (new_groups, new_state) in zip(torchs, before, after, strict=True):
        if len(new_groups) != len(dicts):
            continue
        for group, new in zip(dicts, new_groups, strict=True):
            group.clear()
            group.update(new)
        groups[:] = dicts
        state.clear()
        state.update(new_state)
        optimizer.param_groups, optimizer.state = groups, state
