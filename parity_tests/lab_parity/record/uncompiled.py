"""A compiled training step (`torch.compile` around forward, backward and update) runs the recorder as it is.

torch hooks and what stands in for torch's functions would be traced with the step, and not run.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch._C._dynamo.eval_frame import set_eval_frame

__all__ = ["Uncompiled", "is_rehearsed", "is_traced", "watch_compile"]

#: Written to be traced.
_TRACED = frozenset(["lab_parity.record.forward_calls", "lab_parity.record.ledger", "lab_parity.record.operations"])


class Uncompiled:
    """Inside of it, what is called is run as it is, too: the compiler looks at each function by itself."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = set_eval_frame(None)

    def __exit__(self, *error: object) -> None:
        set_eval_frame(self._before)


def is_traced() -> bool:
    """Whether what runs are no tensors with bits: a compiler makes a graph of them, or a transform of `torch.func`.

    Asked in a file that is traced (`forward_calls`), it would always be so.
    """
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def is_rehearsed() -> bool:
    """Whether a program only wants to know what would be computed: shapes on fake tensors, or `torch.jit.trace`.

    A look at such tensors has no bits, warns, or becomes a part of what is traced.
    """
    fake = torch._C._TorchDispatchModeKey.FAKE
    return torch._C._get_tracing_state() is not None or torch._C._get_dispatch_mode(fake) is not None


def watch_compile() -> Callable[[], None]:
    """Keep the compiler out once there is one; its import takes a second. Returns what ends the wait for it."""
    if "torch._dynamo" in sys.modules:
        _keep_out()
        return lambda: None
    original = torch.compile

    @functools.wraps(original)
    def compile(*args: Any, **kwargs: Any) -> Any:
        _keep_out()
        return original(*args, **kwargs)

    torch.compile = compile

    def stop() -> None:
        torch.compile = original

    return stop


def _keep_out() -> None:
    from torch._dynamo import trace_rules

    for name, module in list(sys.modules.items()):
        within = name.startswith("lab_parity.record.") or name in ("lab_parity.digest", "lab_parity.trace_writer")
        # A package would stand for all in it.
        alone = within and name not in _TRACED and not hasattr(module, "__path__")
        if alone and module.__file__ not in trace_rules.SKIP_DIRS:
            trace_rules.add(name)
