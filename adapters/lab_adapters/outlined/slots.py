"""Every place that holds, or may hold, what a loop carries from one iteration to the next.

From the names of the loop's functions through objects, containers, hooks, and the functions and methods that they call.
"""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lab_adapters.outlined.arguments import Arguments
from lab_adapters.outlined.containers import Containers
from lab_adapters.outlined.forms import PLAIN, form_of
from lab_adapters.outlined.found import MOST, key_name
from lab_adapters.outlined.instances import slots_of
from lab_adapters.outlined.iterators import Replayed, is_raw
from lab_adapters.outlined.kinds import FED, LARGE, entries_of, is_builtin
from lab_adapters.outlined.known import Known
from lab_adapters.outlined.made import is_optimizer, saves_itself
from lab_adapters.outlined.names import is_foreign, is_own_class, is_own_function, used_by
from lab_adapters.outlined.own_generators import GENERATORS
from lab_adapters.outlined.packing import MISSING
from lab_adapters.outlined.scripted import attributes_in_cpp, attributes_in_python, is_scripted
from lab_adapters.outlined.slot import Slot
from lab_adapters.outlined.weak import WEAK, entries_of_weak

__all__ = ["MOST", "Walk", "slots"]

_CONTAINERS = (list, tuple, deque, dict, set, frozenset)
_LEAVES = (*PLAIN, Tensor, np.generic, Replayed, *GENERATORS, *FED)
_LEADS_NOWHERE = (*_LEAVES, types.ModuleType)
_BOUND = (types.BuiltinFunctionType, types.MethodWrapperType)
#: What a module keeps of itself, and saves or has no state; its hooks are the program's.
_OF_MODULES = frozenset(vars(torch.nn.Module())) - {"training"}
_OF_OPTIMIZERS = frozenset(vars(torch.optim.SGD([torch.zeros(1)]))) | {"_opt_called", "step"}
_LOADER: DataLoader[Any] = DataLoader(torch.utils.data.TensorDataset(torch.zeros(1)))
_OF_LOADERS = frozenset(vars(_LOADER)) | {"dataset", "sampler", "batch_sampler", "collate_fn", "generator"}
_OF_SCALERS = frozenset(vars(torch.amp.GradScaler("cpu")))
_HOOKS_OF_TENSORS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def slots(bodies: list[Any], walk: Walk | None = None) -> Iterator[Slot]:
    """Every slot; two of one name have different paths. What is met on the way is noted in `walk`."""
    walk = walk or Walk()
    if walk.known is not None:
        # Which objects there are first: a name that goes on to another one, and comes before the list of all, changes
        # the path of none.
        every = Walk()
        for _ in slots(bodies, every):
            pass
        walk.claimed = walk.known.claimed(every.owners.values())
    functions = [one for body in bodies if isinstance(one := getattr(body, "__func__", body), types.FunctionType)]
    walk.home = functions[0].__globals__ if functions else {}
    # All of their own names first: what a name of the loop's leads to may not be there on resume.
    own = [slot for one in functions for slot in walk.own_names(one, "")]
    own += [slot for one in bodies if isinstance(one, Arguments) for slot in walk.given(one)]
    yield from walk.all_of(own)


class Walk:
    """What is met on the way through a program's objects; those that are `known` keep their paths."""

    def __init__(self, known: Known | None = None) -> None:
        self.known = known
        #: The paths of known objects, which no other takes.
        self.claimed: dict[str, int] = {}
        #: The program's objects, functions, classes and modules by the path under which they are met first.
        self.owners: dict[str, Any] = {}
        #: Paths of functions: what a loop binds, it binds anew.
        self.through: set[str] = set()
        #: Where it stopped for the number of objects; empty where it saw all.
        self.ended_at = ""
        self.containers = Containers()
        self.home: dict[str, Any] = {}
        self._seen: set[int] = set()
        self._globals: set[tuple[int, str]] = set()
        self._taken: dict[str, int] = {}
        self._next: deque[tuple[str, Any]] = deque()

    def all_of(self, own: list[Slot]) -> Iterator[Slot]:
        """These and all that they lead to, the nearest first."""
        for slot in own:
            yield self._noted(slot)
        while self._next:
            path, value = self._next.popleft()
            if len(self._seen) > MOST:
                self.ended_at = path
                return
            if id(value) not in self._seen:
                self._seen.add(id(value))
                yield from self._inside(path, value)

    def own_names(self, function: types.FunctionType, prefix: str) -> list[Slot]:
        """Those that a function takes from around it, and that are not known yet."""
        found = []
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if id(cell) not in self._seen:
                self._seen.add(id(cell))
                found.append(Slot(self._path(f"{prefix}{name}"), cell, None))
        for used in used_by(function):
            key = id(used.space), used.name
            if key not in self._globals:
                self._globals.add(key)
                path = used.name if used.space is self.home else f"{used.module}:{used.name}"
                found.append(Slot(self._path(path), used.space, used.name))
        return found

    def given(self, arguments: Arguments) -> list[Slot]:
        """What a call was given. Models, optimizers and loaders are not carried as values."""
        found = [Slot(self._path(name), arguments.names, name) for name in arguments.names]
        for slot in found:
            self._later(slot.path, slot.get())
        return [slot for slot in found if is_builtin(slot.get()) or not is_foreign(slot.get())]

    def _path(self, name: str) -> str:
        self._taken[name] = self._taken.get(name, 0) + 1
        return name if self._taken[name] == 1 else f"{name}#{self._taken[name]}"

    def _noted(self, slot: Slot) -> Slot:
        """The slot; what its value leads to comes later."""
        value = slot.get()
        if value is not MISSING:
            self.containers.note(slot.path, value)
            self._later(slot.path, value)
        return slot

    def _free(self, path: str, value: Any) -> str:
        known = self.known.path_of(value) if self.known is not None else None
        if known is not None:
            return known
        while path in self.claimed or (path in self.owners and not _is_called_through(self.owners[path])):
            path += "+"
        return path

    def _later(self, path: str, value: Any) -> None:
        if isinstance(value, Tensor) and _own(value):
            self._next.append((path, value))
        if not isinstance(value, _LEADS_NOWHERE) and not form_of(value) and not is_raw(value):
            self._next.append((path, value))

    def _inside(self, path: str, value: Any) -> Iterator[Slot]:
        met, path = path, self._free(path, value)
        self.containers.renamed(met, path)
        if isinstance(value, Tensor):
            self._seen.discard(id(value))
            yield from self._of_tensor(path, value)
            return
        if isinstance(value, _BOUND):
            # `draw = generator.random`: what it is a method of changes.
            if not isinstance(value.__self__, types.ModuleType | type | None):
                yield self._noted(Slot(f"{path}.__self__", value, "__self__"))
            return
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                yield from self._entries(path, value.ravel().tolist())
            return
        if isinstance(value, _CONTAINERS):
            yield from self._entries(path, value)
            if is_builtin(value):
                return
        if isinstance(value, type):
            self._seen.discard(id(value))
            yield from self._of_class(value)
            return
        if isinstance(value, types.MethodType):
            if isinstance(value.__self__, _LEAVES):
                yield Slot(f"{path}.__self__", value, "__self__")
            self._later(path, value.__self__)
            self._later(path, value.__func__)
            return
        if isinstance(value, WEAK):
            for at, (_, inner) in enumerate(entries_of_weak(value)):
                self._later(f"{path}[#{at}]", inner)
            return
        self.owners.setdefault(path, value)
        if (wrapped := _own(value).get("__wrapped__")) is not None:
            # What a function is called through (a cache, `outlined.loop`) may be a library's.
            self._later(path, wrapped)
        if isinstance(value, functools.partial):
            for name in ("func", "args", "keywords"):
                yield self._noted(Slot(f"{path}.{name}", value, name))
        elif isinstance(value, types.FunctionType):
            yield from self._of_function(path, value)
        elif isinstance(value, torch.nn.Module):
            yield from self._of_module(path, value)
        elif isinstance(value, DataLoader):
            for name in ("dataset", "sampler", "batch_sampler", "collate_fn", "generator"):
                yield self._noted(Slot(f"{path}.{name}", vars(value), name))
            yield from self._given_to(path, value, _OF_LOADERS)
        elif not is_foreign(value):
            yield from self._of_object(path, value)
        elif saves_itself(value):
            self._hooks(path, _own(value))
            if isinstance(value, torch.optim.lr_scheduler.LRScheduler):
                self._later(f"{path}.optimizer", value.optimizer)
            if is_optimizer(value):
                yield from self._given_to(path, value, _OF_OPTIMIZERS)
            elif isinstance(value, torch.amp.GradScaler):
                yield from self._given_to(path, value, _OF_SCALERS)

    def _entries(self, path: str, value: Any) -> Iterator[Slot]:
        """Objects in a container of the program's, and iterators, which have a place of their own."""
        entries = entries_of(value)
        entries = entries if isinstance(value, dict) else list(enumerate(entries))
        if isinstance(value, dict):
            for at, (key, _) in enumerate(entries):
                if not isinstance(key, (*_LEADS_NOWHERE, tuple, frozenset)):
                    self._later(f"{path}.keys[{at}]", key)
        large = len(entries) > LARGE
        for at, (key, inner) in enumerate(entries):
            if not isinstance(inner, _LEAVES):
                self.containers.note(f"{path}[{key_name(key, at)}]", inner, path)
            if large and isinstance(inner, (*_LEADS_NOWHERE, *_CONTAINERS)):
                continue  # the entries of a data set
            if isinstance(value, list | dict) and (is_raw(inner) or isinstance(inner, Replayed)):
                yield Slot(f"{path}[{key_name(key, at)}]", value, key)
            else:
                self._later(f"{path}[{key_name(key, at)}]", inner)

    def _of_object(self, path: str, value: Any) -> Iterator[Slot]:
        own, saved = _own(value), frozenset[str]()
        if is_optimizer(value):
            # Its `state_dict` may leave out what the program has added: a count of its steps, its own momentum.
            saved = _OF_OPTIMIZERS
            self._hooks(path, own)
        yield from self._given_to(path, value, saved)
        for name in slots_of(value):
            yield self._noted(Slot(f"{path}.{name}", value, name))
        yield from self._of_class(type(value))

    def _given_to(self, path: str, value: Any, its_own: Collection[str]) -> Iterator[Slot]:
        """Attributes that an object of torch's has from the program: `optimizer.calls = 0`."""
        for name in [one for one in _own(value) if one not in its_own]:
            yield self._noted(Slot(f"{path}.{name}", _own(value), name))

    def _of_function(self, path: str, function: types.FunctionType) -> Iterator[Slot]:
        """Names that it uses, its own attributes, and defaults that it may have changed."""
        if not is_own_function(function):
            return
        self.through.add(path)
        for slot in self.own_names(function, f"{path}."):
            yield self._noted(slot)
        for name in [one for one in vars(function) if not one.startswith("__")]:
            yield self._noted(Slot(f"{path}.{name}", vars(function), name))
        for name in ("__defaults__", "__kwdefaults__"):
            if getattr(function, name):
                yield self._noted(Slot(f"{path}.{name}", function, name))

    def _of_class(self, cls: type) -> Iterator[Slot]:
        """Attributes that all of its instances share, and its bases': counters, registries, caches; its methods."""
        if id(cls) in self._seen or not is_own_class(cls):
            return
        self._seen.add(id(cls))
        path = self._path(f"{cls.__module__}.{cls.__qualname__}")
        self.owners[path] = cls
        for name, inner in list(vars(cls).items()):
            for function in _functions_of(inner):
                if id(function) not in self._seen:
                    self._seen.add(id(function))
                    yield from self._of_function(f"{path}.{name}", function)
            if is_own_class(type(inner)) and hasattr(type(inner), "__get__"):
                self._later(f"{path}.{name}", inner)  # a descriptor of the program's may keep what it gives
            # What a class gives to its instances in a form of their own is no state.
            if not name.startswith(("__", "_abc_")) and not hasattr(type(inner), "__get__"):
                yield self._noted(Slot(f"{path}.{name}", cls, name))
        # Its metaclass may keep what its classes have made: `_instances` of a singleton. Cython's tells no module.
        meta = [type(cls)] if isinstance(type(cls).__module__, str) else []
        for base in (*cls.__bases__, *meta):
            yield from self._of_class(base)

    def _of_module(self, path: str, module: torch.nn.Module) -> Iterator[Slot]:
        """Its mode, attributes, hooks and buffers that it does not save, through all its parts."""
        for name, part in module.named_modules(prefix=path):
            # One that was there keeps its path where the training has put another in its place.
            name = name if part is module else self._free(name, part)
            self._seen.add(id(part))
            self.owners[name] = part
            own = vars(part)
            scripted = is_scripted(part)
            for attribute in attributes_in_cpp(part) if scripted else ["training"]:
                yield Slot(f"{name}.{attribute}", part if scripted else own, attribute)
            yield from self._of_class(type(part))
            names = attributes_in_python(part) if scripted else list(own)
            for attribute in [key for key in names if key not in _OF_MODULES and key != "training"]:
                yield self._noted(Slot(f"{name}.{attribute}", own, attribute))
            for buffer in sorted(part._non_persistent_buffers_set & {key for key, _ in part._buffers.items()}):
                yield Slot(f"{name}.{buffer}", part._buffers, buffer)
            self._hooks(name, own)
            for kind in (part._parameters, part._buffers):
                for attribute, tensor in kind.items():
                    if tensor is not None:
                        yield from self._of_tensor(f"{name}.{attribute}", tensor)

    def _of_tensor(self, path: str, tensor: Tensor) -> Iterator[Slot]:
        """What the program has given to a model's tensor."""
        if id(tensor) in self._seen:
            return
        self._seen.add(id(tensor))
        own = vars(tensor)
        for attribute in list(own):
            yield self._noted(Slot(f"{path}.{attribute}", own, attribute))
        for kind in _HOOKS_OF_TENSORS:
            self._hooks(path, {kind: getattr(tensor, kind, None)})

    def _hooks(self, path: str, own: dict[str, Any]) -> None:
        """Functions of the program's in the lists and dicts of what is torch's: hooks, and what computes a rate."""
        for attribute, kept in list(own.items()):
            hooks = kept.values() if isinstance(kept, dict) else kept if isinstance(kept, list | tuple) else ()
            for at, hook in enumerate(list(hooks)):
                if callable(hook) and not isinstance(hook, torch.nn.Module):
                    self._later(f"{path}.{attribute}[{at}]", hook)


def _functions_of(inner: Any) -> list[types.FunctionType]:
    """Of what stands in a class: methods, of whatever kind."""
    if isinstance(inner, property):
        found = [inner.fget, inner.fset]
    else:
        found = [getattr(inner, "__func__", getattr(inner, "func", inner))] if hasattr(type(inner), "__get__") else []
    return [one for one in found if isinstance(one, types.FunctionType) and is_own_function(one)]


def _is_called_through(owner: Any) -> bool:
    """What is met through it has its path, too."""
    return "__wrapped__" in _own(owner)


def _own(value: Any) -> dict[str, Any]:
    """An object's own attributes, without asking it: reading one could run code."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}
