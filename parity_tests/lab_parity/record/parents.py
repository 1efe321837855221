"""`super().step()` in the step of a subclass of an optimizer: where the update itself begins.

torch's hooks see it only if the parent's class has an instance somewhere. So the parents' steps are watched here, until
the recording ends; a hook of torch's would also call the optimizer's own ones a second time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

__all__ = ["Parents"]


class Parents:
    """Tells of the steps of parents' classes: `begins(optimizer)`, `ends(optimizer)`."""

    def __init__(self, begins: Callable[[Any], None], ends: Callable[[Any], None]) -> None:
        self._begins, self._ends = begins, ends
        self._known: set[type] = set()
        self._put: list[tuple[type, Any, Any]] = []

    def watch(self, kind: type[Optimizer]) -> None:
        """Those of the classes that an optimizer's class is made of; called again it does nothing."""
        if kind in self._known:
            return
        self._known.add(kind)
        for parent in _with_step(kind)[1:]:
            original = vars(parent)["step"]
            if parent is not Optimizer and callable(original) and not getattr(original, "hooked", False):
                self._watch(parent, original)

    def stop(self) -> None:
        """Put back what has been replaced."""
        for parent, original, watched in reversed(self._put):
            if vars(parent)["step"] is watched:
                setattr(parent, "step", original)  # noqa: B010
        self._put.clear()
        self._known.clear()

    def _watch(self, parent: type, original: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def step(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            # A compiler reads along, and must see nothing of this object.
            if torch.compiler.is_compiling() or not self._put or _with_step(type(optimizer))[0] is parent:
                return original(optimizer, *args, **kwargs)
            self._begins(optimizer)
            result = original(optimizer, *args, **kwargs)
            self._ends(optimizer)
            return result

        setattr(parent, "step", step)  # noqa: B010
        self._put.append((parent, original, step))


def _with_step(kind: type) -> list[type]:
    """The classes that an optimizer's class is made of, itself first, as far as they have a step of their own."""
    return [cls for cls in kind.__mro__ if "step" in vars(cls)]
