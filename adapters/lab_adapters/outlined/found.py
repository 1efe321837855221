"""What a loop trains: the models, optimizers, schedules and scalers in its own scope, found without being told."""

from __future__ import annotations

import contextlib
import functools
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from lab_adapters.outlined.addresses import is_an_address
from lab_adapters.outlined.arguments import Arguments
from lab_adapters.outlined.forms import PLAIN
from lab_adapters.outlined.instances import slots_of
from lab_adapters.outlined.kinds import entries_of
from lab_adapters.outlined.made import is_optimizer, saves_itself
from lab_adapters.outlined.names import is_foreign, is_own_class, is_own_function, used_by
from lab_adapters.outlined.weak import WEAK, entries_of_weak

#: How far from the loop's names attributes, lists and dicts are followed in any case, also those of libraries.
NEAR = 3
#: How many objects are looked at, at most.
MOST = 20_000
#: A container with more entries holds data rather than roles: it is looked into when all else has been.
LARGE = 64
#: One with more is not.
LARGEST = 10_000
_LEADS_NOWHERE = (types.ModuleType, torch.Tensor, np.ndarray, np.generic, *PLAIN)
_CONTAINERS = (dict, list, tuple, deque, types.MappingProxyType)
_HOLDERS = (*_CONTAINERS, set, frozenset, functools.partial, types.MethodType, type)
#: What a module keeps of itself.
_OF_MODULES = frozenset(vars(torch.nn.Module()))


@attrs.define
class Found:
    """Objects by the path under which the loop knows them: `model`, `self.optimizer`, `optimizers['generator']`."""

    modules: dict[str, torch.nn.Module] = attrs.field(factory=dict)
    optimizers: dict[str, Any] = attrs.field(factory=dict)
    others: dict[str, Any] = attrs.field(factory=dict)
    loaders: dict[str, Any] = attrs.field(factory=dict)

    def called_as(self, earlier: Found) -> Found:
        """The same objects, those that were found earlier by their paths of then."""
        kinds = [attribute.name for attribute in attrs.fields(Found)]
        known = {id(one): path for kind in kinds for path, one in getattr(earlier, kind).items()}
        renamed = {}
        for kind in kinds:
            mine: dict[str, Any] = getattr(self, kind)
            taken = {known[id(one)]: one for one in mine.values() if id(one) in known}
            made: dict[str, Any] = {}
            for path, one in mine.items():
                name = known.get(id(one)) or _free(path, {**taken, **made})
                made[name] = one
            renamed[kind] = made
        return Found(**renamed)

    @property
    def device(self) -> torch.device:
        """Where the first model lies; the CPU where there is none."""
        for module in self.modules.values():
            for parameter in module.parameters():
                return parameter.device
        return torch.device("cpu")


def find(*scopes: dict[str, Any]) -> Found:
    """Look through the values of names, scope after scope; what was found in an earlier one keeps its path.

    Within a scope the nearest first, and as far as objects lead: a schedule in a callback in a list in a trainer's
    container is trained with like any other.
    """
    search = _Search(Found())
    for scope in scopes:
        for name, value in sorted(scope.items()):
            search.later(name, value, 0)
        search.go()
    _visit_holders(search)
    search.into_large()
    _visit_holders(search)
    return search.found


def scope_of(body: Any) -> dict[str, Any]:
    """The names of the scopes around a function that it, or a function inside it, uses, with their values.

    Of what a call was given, that.
    """
    if isinstance(body, Arguments):
        return body.names
    function = getattr(body, "__func__", body)
    # What a marked function (see `outlined.loop`) is called through has no names of its own.
    function = getattr(function, "__wrapped__", function)
    # Nor has what torch calls the program's through: the `step` of its own optimizer that a schedule counts.
    while isinstance(function, types.FunctionType) and hasattr(function, "__wrapped__") and _is_of_torch(function):
        function = function.__wrapped__
    if not isinstance(function, types.FunctionType):
        return {}
    code = function.__code__
    scope: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            scope[name] = cell.cell_contents
        except ValueError:
            # Not assigned yet.
            continue
    for used in used_by(function):
        own = used.space is function.__globals__
        scope[used.name if own else f"{used.module}:{used.name}"] = used.space[used.name]
    return scope


@attrs.define
class _Search:
    """What is still to be looked at, with how far it is from a name of the loop's; what was seen is not again."""

    found: Found
    _seen: set[int] = attrs.field(factory=set)
    _next: deque[tuple[str, Any, int]] = attrs.field(factory=deque)
    _large: deque[tuple[str, Any, int]] = attrs.field(factory=deque)

    def later(self, path: str, value: Any, far: int) -> None:
        """Look at it after what is nearer."""
        if not isinstance(value, _LEADS_NOWHERE) and id(value) not in self._seen:
            self._next.append((path, value, far))

    def into(self, found: Found) -> _Search:
        """One that fills another list, and passes by what this one has seen."""
        return _Search(found, self._seen, large=self._large)

    def go(self) -> None:
        """Until nothing is left, or far too much was looked at."""
        while self._next:
            path, value, far = self._next.popleft()
            if id(value) not in self._seen and (far <= NEAR or len(self._seen) < MOST):
                self._seen.add(id(value))
                self._visit(path, value, far)

    def into_large(self) -> None:
        """Into containers of many entries: a hundred clients, each with its model and optimizer, say."""
        while self._large:
            path, value, far = self._large.popleft()
            for name, inner in _parts(value):
                self.later(f"{path}{name}", inner, far + 1)
            self.go()

    def _visit(self, path: str, value: Any, far: int) -> None:
        found = self.found
        if isinstance(value, types.FunctionType):
            # A function that the loop calls knows objects that the loop itself never names.
            if not _is_foreign(value) and (far < NEAR or is_own_function(value)):
                given: dict[Any, Any] = {
                    **dict(enumerate(value.__defaults__ or ())),
                    **(value.__kwdefaults__ or {}),
                    **vars(value),
                }
                for name, inner in (*sorted(scope_of(value).items()), *given.items()):
                    self.later(f"{path}.{name}", inner, far + 1)
        elif isinstance(value, torch.nn.Module):
            found.modules[_free(path, found.modules)] = value
            self._visit_parts(path, value, far)
        elif isinstance(value, torch.utils.data.DataLoader):
            found.loaders[_free(path, found.loaders)] = value
        elif is_optimizer(value):
            found.optimizers[_free(path, found.optimizers)] = value
        elif saves_itself(value):
            found.others[_free(path, found.others)] = value
        elif isinstance(value, _CONTAINERS) and len(value) > LARGE:
            self._large.append((path, value, far))
        # Far from the loop, what libraries and Python's own modules hold is their business.
        elif far < NEAR or isinstance(value, (*_HOLDERS, *WEAK)) or not is_foreign(value):
            for name, inner in _parts(value):
                self.later(f"{path}{name}", inner, far + 1)

    def _visit_parts(self, path: str, module: torch.nn.Module, far: int) -> None:
        """What a program has given its own module besides parameters and submodules: `self.optimizer = Adam(…)`."""
        parts = list(module.named_modules(prefix=path))
        # All of them first: an attribute of one (`self.f = lambda x: m(x)`) may lead to another, which is none.
        self._seen.update(id(part) for _, part in parts)
        for name, part in parts:
            if not _is_foreign(type(part)):
                for attribute, inner in list(vars(part).items()):
                    if attribute not in _OF_MODULES:
                        self.later(f"{name}.{attribute}", inner, far + 1)
        for name, parameter in module.named_parameters(prefix=path):
            # Optimizers that the backward pass steps are known to its hooks only.
            for hooks in (getattr(parameter, "_post_accumulate_grad_hooks", None), parameter._backward_hooks):
                for hook in list((hooks or {}).values()):
                    self.later(f"{name}.hook", getattr(hook, "__func__", hook), far)


def _visit_holders(search: _Search) -> None:
    """What the program's own optimizers, schedules, and objects that save themselves hold and leave out of their state.

    As a sharpness-aware optimizer's inner one, or a trainer's models. After all else: what a name of the loop's leads
    to keeps that name.
    """
    found = search.found
    done: set[int] = set()
    while holders := [one for one in {**found.others, **found.optimizers}.items() if id(one[1]) not in done]:
        for path, holder in holders:
            done.add(id(holder))
            inside = Found()
            beside = search.into(inside)
            for name, inner in (*_parts(holder), *_of_schedule(holder)):
                beside.later(f"{path}{name}", inner, 1)
            beside.go()
            saved = _storages(holder.state_dict()) if inside.modules or inside.optimizers else set()
            for kind in ("modules", "optimizers", "others", "loaders"):
                taken = getattr(found, kind)
                for name, one in getattr(inside, kind).items():
                    if kind not in ("modules", "optimizers") or not _lies_in(one, saved):
                        taken[_free(name, taken)] = one


def _of_schedule(holder: Any) -> list[tuple[str, Any]]:
    """The optimizer that a program may know by its schedule only: `schedule.optimizer.step()`."""
    return [(".optimizer", holder.optimizer)] if isinstance(holder, torch.optim.lr_scheduler.LRScheduler) else []


def _storages(state: Any) -> set[int]:
    """Where the tensors of a state lie."""
    return {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor)}


def _lies_in(one: Any, saved: set[int]) -> bool:
    """Whether a state of it is there already, to the last tensor."""
    own = _storages(one.state_dict())
    return bool(own) and own <= saved


def key_name(key: Any, at: int) -> str:
    """What a path calls an entry: its key where that says the same in another run, else its place."""
    told = isinstance(key, str | int | bool | float | None) and not is_an_address(key)
    return repr(key) if told else f"#{at}"


def _free(path: str, taken: dict[str, Any]) -> str:
    """Two scopes may know different objects by one name."""
    candidate, count = path, 1
    while candidate in taken:
        count += 1
        candidate = f"{path}#{count}"
    return candidate


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What it holds, by what its path goes on with. Of a set of several nothing, since nobody knows their order."""
    if isinstance(value, types.MethodType | functools.partial):
        names = ("__self__", "__func__") if isinstance(value, types.MethodType) else ("func", "args", "keywords")
        yield from ((f".{name}", getattr(value, name)) for name in names)
    elif isinstance(value, dict | types.MappingProxyType):
        if len(value) <= LARGEST:
            entries = entries_of(value if isinstance(value, dict) else dict(value))
            yield from ((f"[{key_name(key, at)}]", inner) for at, (key, inner) in enumerate(entries))
    elif isinstance(value, WEAK):
        yield from ((f"[#{at}]", inner) for at, (_, inner) in enumerate(entries_of_weak(value)))
    elif isinstance(value, list | tuple | deque) or (isinstance(value, set | frozenset) and len(value) == 1):
        if len(value) <= LARGEST:
            yield from ((f"[{index}]", inner) for index, inner in enumerate(value))
    elif isinstance(value, type):
        if is_own_class(value):
            own = {name: inner for name, inner in vars(value).items() if not isinstance(inner, types.FunctionType)}
            yield from ((f".{name}", inner) for name, inner in own.items() if not name.startswith("__"))
    elif not _is_foreign(type(value)):
        # The instance's own dictionary and slots: reading attributes could run a property.
        with contextlib.suppress(AttributeError):
            own = object.__getattribute__(value, "__dict__")
            yield from ((f".{name}", inner) for name, inner in list(own.items()))
        yield from ((f".{name}", inner) for name, inner in slots_of(value).items())


def _is_of_torch(function: types.FunctionType) -> bool:
    """Whether its code is torch's, whatever it says of its module."""
    return str(function.__globals__.get("__name__", "")).partition(".")[0] == "torch"


def _is_foreign(kind: Any) -> bool:
    """A library's function or class: nothing of the program's is below it."""
    return str(getattr(kind, "__module__", "")).split(".")[0] in (
        "builtins",
        "torch",
        "numpy",
        "lightning",
        "lab_adapters",
    )
