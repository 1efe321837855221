"""Hooks of the program's on models, tensors and optimizers: what the training has taken off stays off on resume."""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from lab_adapters.outlined.found import Found
from lab_adapters.outlined.names import is_own_class, is_own_function

__all__ = ["hooks_of", "put_hooks"]

_OF_MODULES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OF_TENSORS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_OF_OPTIMIZERS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


def hooks_of(found: Found) -> dict[str, list[str]]:
    """Path -> what its hooks are called, in their order, of what has some."""
    return {path: names for path, hooks in _every(found) if (names := [name for _, name in _own(hooks)])}


def put_hooks(found: Found, saved: Mapping[str, list[str]]) -> None:
    """Take off what the training had taken off; a hook that it had put on is missed, with a warning."""
    missed = []
    for path, hooks in _every(found):
        left = list(saved.get(path, ()))
        for key, name in _own(hooks):
            if left[:1] == [name]:
                del left[0]
            else:
                del hooks[key]
        missed += [f"{path}: {name}" for name in left]
    if missed:
        warnings.warn(
            f"resume: {', '.join(missed[:4])}: the training itself has put this hook on, which no checkpoint holds; it "
            "is not there, so that the resumed training is not the same",
            stacklevel=2,
        )


def _every(found: Found) -> Iterator[tuple[str, dict[Any, Any]]]:
    seen: set[int] = set()
    for path, model in found.modules.items():
        for name, module in model.named_modules(prefix=path):
            yield from _kept(name, module, _OF_MODULES, seen)
        for name, tensor in model.named_parameters(prefix=path):
            yield from _kept(name, tensor, _OF_TENSORS, seen)
    for path, optimizer in found.optimizers.items():
        yield from _kept(path, optimizer, _OF_OPTIMIZERS, seen)


def _kept(path: str, owner: Any, kinds: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, dict[Any, Any]]]:
    for kind in kinds:
        hooks = getattr(owner, kind, None)
        if isinstance(hooks, dict) and id(hooks) not in seen:
            seen.add(id(hooks))
            yield f"{path}.{kind}", hooks


def _own(hooks: dict[Any, Any]) -> list[tuple[Any, str]]:
    """A library puts its own on by itself, some at the first batch."""
    found = [(key, _function(hook)) for key, hook in hooks.items()]
    return [(key, f"{one.__module__}.{getattr(one, '__qualname__', '')}") for key, one in found if _is_own(one)]


def _function(hook: Any) -> Any:
    """What is called, or the class of what is."""
    hook = hook.func if isinstance(hook, functools.partial) else hook
    function = getattr(hook, "__func__", hook)
    return function if isinstance(function, types.FunctionType) else type(function)


def _is_own(one: Any) -> bool:
    return is_own_function(one) if isinstance(one, types.FunctionType) else is_own_class(one)
