"""Averages that a program makes anew at each step: `shadow = {name: decay * shadow[name] + … for …}`.

The dict or list itself is gone a step later, but not where it is kept: an attribute, a global, a local variable of a
function that is being run.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType
from typing import Any

import attrs
from torch import Tensor

from lab_parity.record.copies import Copy

__all__ = ["Renewed", "renewed"]

_OURS = 3
"""References to a frame's dict that the program does not have: the frame's, the variable's, and that of the count."""


@attrs.frozen(slots=True, eq=False)
class Renewed:
    """The place where a container is kept, asked anew each time, and the places in the container; as `Copy`."""

    _kept: Callable[[], Any]
    _like: Copy

    @property
    def container(self) -> Any:
        """What is kept there now; None where that is nothing alike."""
        found = self._kept()
        return found if isinstance(found, (dict, list, Tensor)) else None

    @property
    def alive(self) -> bool:
        """Whether anything alike is kept there."""
        return self.container is not None

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """(parameter's path, its copy), as they are now."""
        return self._now().tensors()

    def buffers(self) -> Iterator[tuple[str, Tensor]]:
        """(path, tensor) of what it holds beside parameters."""
        return self._now().buffers()

    def _now(self) -> Copy:
        container = self.container
        return attrs.evolve(self._like, containers=[{} if container is None else container])


def renewed(copy: Copy) -> Renewed | None:
    """The average in `copy`, wherever its container is kept; None where that cannot be told."""
    kept = _attribute(copy.container) or _local(copy.container)
    return None if kept is None else Renewed(kept, attrs.evolve(copy, containers=()))


def _attribute(container: Any) -> Callable[[], Any] | None:
    for holder in gc.get_referrers(container):
        owners = gc.get_referrers(holder) if type(holder) is dict else [holder]
        for owner in owners:
            attributes = _attributes(owner)
            if attributes is None or (type(holder) is dict and attributes is not holder):
                continue
            name = next((name for name, value in list(attributes.items()) if value is container), None)
            if name is not None:
                try:
                    reference = weakref.ref(owner)
                except TypeError:
                    continue
                return lambda: (_attributes(reference()) or {}).get(name)
    return None


def _attributes(owner: Any) -> Mapping[Any, Any] | None:
    try:
        found = object.__getattribute__(owner, "__dict__")
    except (AttributeError, TypeError):
        return None
    return found if type(found) is dict else None


def _local(container: Any) -> Callable[[], Any] | None:
    for frame in _stack():
        for name, value in _locals(frame).items():
            if value is container:
                return lambda code=frame.f_code, name=name: _of_local(code, name)  # type: ignore[misc]
    return None


def _of_local(code: CodeType, name: str) -> Any:
    return next((_locals(frame).get(name) for frame in _stack() if frame.f_code is code), None)


def _locals(frame: FrameType) -> dict[str, Any]:
    """A function's variables. Before Python 3.13 asking for them leaves a dict in the frame, which would keep alive
    what the function drops: it is emptied, unless the function has asked for it, too."""
    found = frame.f_locals
    copied = dict(found)
    snapshot = bool(frame.f_code.co_flags & CO_OPTIMIZED) and sys.version_info < (3, 13)
    if snapshot and sys.getrefcount(found) <= _OURS:
        found.clear()
    return copied


def _stack() -> Iterator[FrameType]:
    """The program's functions that are being run, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith("lab_parity."):
            yield frame
        frame = frame.f_back
