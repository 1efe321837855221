"""Every module's forward calls, as a compiler may read along.

The one file of the recorder that `torch.compile` traces into (see `uncompiled`): a model's graph stays whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

__all__ = ["watch_forwards"]

_Before = Callable[[nn.Module, tuple[Any, ...]], None]


def watch_forwards(before: _Before | None, after: Callable[..., None]) -> Callable[[], None]:
    """Tell of each call before and after it, unless a compiler or a transform of `torch.func` makes it.

    `after` is given the module, the arguments, those by keyword and the result; only the first two where the call has
    raised. Returns what takes the hooks away.
    """
    calls = _Calls(before, after)
    first = torch_module.register_module_forward_pre_hook(calls.entered) if before is not None else None
    last = torch_module.register_module_forward_hook(calls.left, with_kwargs=True, always_call=True)

    def stop() -> None:
        if first is not None:
            first.remove()
        last.remove()
        # torch keeps the number of a hook that wanted keywords, and takes it for a hook.
        torch_module._global_forward_hooks_with_kwargs.pop(last.id, None)

    return stop


class _Calls:
    """Methods, since the compiler takes a function that is made on the way for one that had its place in memory."""

    def __init__(self, before: _Before | None, after: Callable[..., None]) -> None:
        self._before, self._after = before, after

    def entered(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if not _is_apart() and self._before is not None:
            self._before(module, args)

    def left(self, module: nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        if not _is_apart():
            self._after(module, args, *rest)


def _is_apart() -> bool:
    """Whether what runs are no tensors with bits."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
