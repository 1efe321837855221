"""Faults planted in a training on purpose, to show that a parity test can fail.

Each fault is a module in faults/, named after itself, with any of these functions; `step` is the planted one:

    before_update(groups)            from that step on (ONCE = False) or only there (ONCE = True)
    after_update(groups)             the same, after the parameters changed
    change_batch(args, previous)     the outermost forward call of that step; returns the arguments to use
    change_module(module)            each outermost training call from that step on; they are put back after it
    change_output(module, output)    each call of a module without children, from that step on; returns what it gives
    after_backward(leaves)           each backward pass from that step on; `leaves` have its gradients
    start()                          at once; returns what ends it
    Variant(number)                  the fault "name:number": an object with ONCE and functions as above
    minds(groups)                    whether before_update would change something; changes nothing itself

and names the causes that are right for it in CAUSES. A function that returns False has changed nothing: there was
nothing to change, so that nothing can be found. `groups` are the optimizer's own dicts: {"params": [...], "lr": …}.
Of an update inside another one it is the outer one's, as in a trace; but the inner one's where that alone is home-grown
or has settings (what a loss scaler takes for an optimizer may have none).
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

from lab_parity.errors import ParityError
from lab_parity.plant import faults
from lab_parity.record.by_hand import leaves_of
from lab_parity.record.sites import UpdateSite, watch

__all__ = ["causes_of", "fault_names", "is_told_beforehand", "plant", "start_planting"]

PLANTED = "LAB_PARITY_PLANTED"
"""The environment variable with the path of a file to which a fault's name is added once it has changed something."""
_DRY = "?"


def fault_names() -> list[str]:
    """The faults that can be planted."""
    return sorted(module.name for module in pkgutil.iter_modules(faults.__path__))


def causes_of(name: str) -> tuple[str, ...]:
    """The names of the causes that are right for a fault."""
    return tuple(importlib.import_module(f"{faults.__name__}.{name.partition(':')[0]}").CAUSES)


def is_told_beforehand(name: str) -> bool:
    """Whether a run without the fault can tell that there is nothing that it could change ("?name" in a plant)."""
    fault = _fault(name)
    return any(hasattr(fault, function) for function in ("minds", "change_batch", "change_module"))


@contextmanager
def plant(name: str, step: int = 0, sites: Sequence[UpdateSite] = ()) -> Iterator[None]:
    """Plant a fault at a step (counted from 0) of what is trained inside. Enter it before `record`.

    Of "?name" only is noted whether it would change something.
    """
    planted = _Planted(name, step, sites)
    try:
        yield
    finally:
        planted.stop()


def start_planting(text: str, sites: Sequence[UpdateSite]) -> None:
    """Plant "name@step" (or "name" for step 0), or several of them with commas between, until the process ends.

    Of "?name@step" only is noted whether it would change something.
    """
    for part in text.split(","):
        name, _, step = part.partition("@")
        if step and not step.isdigit():
            raise ParityError(f"plant {part!r}: expected name@step with a step counted from 0")
        _Planted(name, int(step or 0), sites)


def _fault(text: str) -> Any:
    name, _, number = text.partition(":")
    if name not in fault_names():
        raise ParityError(f"no fault named {name!r}; there are: {', '.join(fault_names())}")
    module: ModuleType = importlib.import_module(f"{faults.__name__}.{name}")
    if not number:
        return module
    if not hasattr(module, "Variant") or not number.isdigit():
        raise ParityError(f"plant {text!r}: expected name:number, and {name} to have variants (ulp has)")
    return module.Variant(int(number))


class _Planted:
    """Counts optimizer steps with hooks of its own, so that it works with and without a recorder."""

    def __init__(self, name: str, step: int, sites: Sequence[UpdateSite]) -> None:
        self._name, self._dry = name.removeprefix(_DRY), name.startswith(_DRY)
        self._fault = _fault(self._name)
        self._at = step
        self._step = 0
        self._depth = 0
        #: At which depth of updates inside updates the fault acts in the step under way, and for each outermost class.
        self._acts_at = 1
        self._acts_inside: dict[type, int] = {}
        self._outer: tuple[type, tuple[bool, bool]] = (object, (False, False))
        self._changed = False
        self._outermost: nn.Module | None = None
        self._modes: dict[nn.Module, bool] = {}
        #: Of each model: a critic's batch is none that its generator could be called with.
        self._previous: weakref.WeakKeyDictionary[nn.Module, tuple[Any, ...]] = weakref.WeakKeyDictionary()
        handles = [
            torch_optimizer.register_optimizer_step_pre_hook(self._before_step),
            torch_optimizer.register_optimizer_step_post_hook(self._after_step),
        ]
        if hasattr(self._fault, "change_batch") or hasattr(self._fault, "change_module"):
            handles.append(torch_module.register_module_forward_pre_hook(self._before_forward))
            handles.append(torch_module.register_module_forward_hook(self._after_forward, always_call=True))
        if hasattr(self._fault, "change_output") and not self._dry:
            handles.append(torch_module.register_module_forward_hook(self._after_leaf))
        self._undo: list[Callable[[], None]] = [handle.remove for handle in handles]
        if hasattr(self._fault, "after_backward") and not self._dry:
            self._undo.append(self._watch_backward())
        if hasattr(self._fault, "start") and not self._dry:
            self._undo.append(self._fault.start())
        self._undo.append(watch(sites, self))

    def stop(self) -> None:
        """Take the hooks away."""
        for action in reversed(self._undo):
            action()
        self._undo.clear()

    def before_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update begins."""
        self._before(optimizer, getattr(optimizer, site.groups), home_grown=True)

    def after_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update has ended."""
        self._after(getattr(optimizer, site.groups))

    def failed_update(self, optimizer: Any) -> None:
        """A home-grown update has raised."""
        self._depth -= 1

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._before(optimizer, optimizer.param_groups)

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._after(optimizer.param_groups)

    def _before(self, optimizer: Any, groups: list[dict[str, Any]], home_grown: bool = False) -> None:
        self._depth += 1
        knows = home_grown, any(group.keys() - {"params"} for group in groups)
        if self._depth == 1:
            self._outer, self._changed = (type(optimizer), knows), False
            self._acts_at = self._acts_inside.get(type(optimizer), 1)
        elif knows > self._outer[1]:
            self._acts_inside[self._outer[0]] = self._depth  # from the next time on at the latest
            if not self._changed:
                self._acts_at = self._depth
        if self._depth == self._acts_at:
            self._changed = self._apply("minds" if self._dry else "before_update", groups)

    def _after(self, groups: list[dict[str, Any]]) -> None:
        if self._depth == self._acts_at and not self._dry:
            self._apply("after_update", groups)
        self._depth -= 1
        if self._depth == 0:
            self._step += 1

    def _apply(self, function: str, groups: list[dict[str, Any]]) -> bool:
        due = self._step == self._at if self._fault.ONCE else self._step >= self._at
        if not due or not hasattr(self._fault, function):
            return False
        changed = getattr(self._fault, function)(groups)
        self._note(changed)
        return changed is not False

    def _after_leaf(self, module: nn.Module, args: Any, result: Any) -> Any:
        if torch.compiler.is_compiling() or module._modules or self._step < self._at:
            return None
        return self._fault.change_output(module, result)

    def _watch_backward(self) -> Callable[[], None]:
        original = torch.autograd.backward

        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            original(tensors, *args, **kwargs)
            if self._step >= self._at:
                self._note(self._fault.after_backward(list(leaves_of(tensors))))

        torch.autograd.backward = backward

        def stop() -> None:
            torch.autograd.backward = original

        return stop

    def _note(self, changed: object) -> None:
        if changed is not False and os.environ.get(PLANTED):
            with open(os.environ[PLANTED], "a") as file:
                file.write(f"{self._name}\n")

    def _before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> Any:
        if torch.compiler.is_compiling() or self._outermost is not None or not module.training:
            return None
        self._outermost = module
        previous = self._previous.get(module)
        if not any(isinstance(arg, torch.Tensor) and arg.grad_fn is not None for arg in args):  # its graph is used up
            self._previous[module] = args
        if hasattr(self._fault, "change_module"):
            if self._step >= self._at:
                self._modes = {part: part.training for part in module.modules()}
                self._note(self._fault.change_module(module))
                if self._dry:
                    self._put_modes_back()
        elif self._step == self._at and previous is not None:
            changed = self._fault.change_batch(args, previous)
            self._note(changed)
            return None if changed is False or self._dry else changed
        return None

    def _after_forward(self, module: nn.Module, args: Any, result: Any) -> None:
        if not torch.compiler.is_compiling() and module is self._outermost:
            self._outermost = None
            self._put_modes_back()

    def _put_modes_back(self) -> None:
        for part, training in self._modes.items():
            part.training = training
        self._modes = {}
