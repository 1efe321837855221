"""What a loop carries from one iteration to the next besides models and optimizers: counters, meters, histories.

Found in the loop's own names and, through them, in the attributes of the program's own objects, a home-grown
optimizer's momentum among them. Only what has changed since the loop began is kept: a setting that a resumed run
changes on purpose stays changed.
"""

from __future__ import annotations

import ast
import contextlib
import enum
import sys
import sysconfig
import types
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lab_adapters.outlined.found import key_name
from lab_adapters.outlined.iterators import Replayed, is_raw, outer_first
from lab_adapters.outlined.packing import FED, FOLLOWED, GENERATORS, MISSING, PLAIN, Packing, Unpacking, mark, not_kept

#: How far attributes and entries are followed from a loop's names: environments lie in wrappers in wrappers.
DEPTH = 10
#: How many objects are looked at, at most.
MOST = 20_000


#: Whose objects are passed by; and the modules of Python's own whose objects hold what a program puts into them.
_LIBRARIES = frozenset(
    ["torch", "numpy", "lightning", "pytorch_lightning", "tensorboard", "tensorboardX", "wandb", "tqdm", "matplotlib",
     "mlflow", "PIL"]
)  # fmt: skip
_HOLDS_SETTINGS = frozenset(["types", "argparse"])
_LEAVES = (*PLAIN, Tensor, np.generic, np.ndarray, set, Replayed, *GENERATORS, *FED)
#: What has no attributes that are the program's own.
_NO_OBJECT = (
    *_LEAVES, deque, list, tuple, dict, type, types.ModuleType, types.BuiltinFunctionType,
)  # fmt: skip
#: What a module keeps of itself, and saves or has no state.
_OF_MODULES = frozenset(vars(torch.nn.Module())) - {"training"}
_OF_OPTIMIZERS = frozenset(vars(torch.optim.SGD([torch.zeros(1)]))) | {"_opt_called", "step"}


@attrs.frozen(eq=False)
class Slot:
    """A place that holds a value: a closure's cell, a global name, an object's attribute, or a class's."""

    path: str
    holder: Any
    name: str | None

    def get(self) -> Any:
        """The value, or a marker where there is none."""
        if isinstance(self.holder, types.CellType):
            try:
                return self.holder.cell_contents
            except ValueError:
                return MISSING
        if isinstance(self.holder, dict):
            return self.holder.get(self.name, MISSING)
        return getattr(self.holder, str(self.name), MISSING)

    def put(self, value: Any) -> None:
        """Assign it."""
        if isinstance(self.holder, types.CellType):
            self.holder.cell_contents = value
        elif isinstance(self.holder, dict):
            self.holder[self.name] = value
        elif isinstance(self.holder, type):
            type.__setattr__(self.holder, str(self.name), value)
        else:
            object.__setattr__(self.holder, str(self.name), value)


class Carried:
    """The changing plain values of some functions' names."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        #: Paths of functions through which `state` has found values: what a loop binds, it binds anew.
        self.through: set[str] = set()

    def remember(self, bodies: list[Any]) -> None:
        """Take what names that are new hold now as what they held before."""
        for slot in list(slots(bodies)):
            if is_raw(slot.get()):
                slot.put(Replayed(slot.get()))
            if slot.path not in self._before:
                self._before[slot.path] = mark(slot.get())

    def state(
        self,
        bodies: list[Any],
        names: Mapping[int, str] | None = None,
        loaders: Mapping[int, str] | None = None,
        also: Collection[str] = (),
    ) -> dict[str, Any]:
        """Path -> value of all that has changed and can be saved without pickling code.

        `names` are those of the models' tensors, by identity: in the program's own containers they stay the models'.
        `loaders` are those of its DataLoaders, of which a loop may have made an iterator. `also` are paths that are
        kept though they are again as they were, since something else was put there on the way.
        """
        found = {}
        packing = Packing(names or {}, loaders or {})
        self.through = set()
        for slot in slots(bodies, through=self.through):
            value, before = slot.get(), self._before.get(slot.path)
            if before is not None and before == mark(value) and slot.path not in also:
                continue
            packed = packing.pack(value, before)
            packed = not_kept(value, before) if packed is MISSING else packed
            if packed is not None or value is None:
                found[slot.path] = packed
        return found

    def has_changed(self, path: str, value: Any) -> bool:
        """Whether a value is another one than its name held when the loop began, or its name is new."""
        before = self._before.get(path)
        return before is None or before != mark(value)

    def restore(
        self,
        bodies: list[Any],
        state: dict[str, Any],
        tensors: Mapping[str, Tensor] | None = None,
        loaders: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Put it back; containers, objects, and tensors that were there before the loop keep their identity.

        Returns the paths at which there is nothing to put it.
        """
        nowhere = []
        unpacking = Unpacking(tensors or {}, loaders or {})
        there, owners = places_of(bodies, state)
        # Iterators first: passing over items changes the datasets and generators that they draw from.
        held = {path: slot.get() for path, slot in there.items() if _is_iterator(state.get(path))}
        order = outer_first({path: one for path, one in held.items() if isinstance(one, Replayed)})
        others = [path for path in state if path not in order]
        for path in [*order, *sorted(others, key=lambda path: not _is_iterator(state[path]))]:
            packed = state[path]
            slot = there.get(path) or unbound(path, bodies, owners)
            value = unpacking.unpack(packed, slot.get() if slot is not None else None, path)
            if slot is None:
                nowhere.append(path)
            elif value is not slot.get():
                slot.put(value)
        return nowhere

    def restore_below(self, bodies: list[Any], state: dict[str, Any], owner: Any) -> None:
        """Put back only the plain values of one object and of what it holds."""
        there, owners = places_of(bodies, state)
        above = next((path for path, one in owners.items() if one is owner), None)
        unpacking = Unpacking()
        for path, packed in state.items():
            slot = there.get(path)
            plain = isinstance(packed, PLAIN) or packed["kind"] in ("list", "deque", "numpy scalar")
            if slot is not None and plain and above is not None and path.startswith((f"{above}.", f"{above}[")):
                slot.put(unpacking.unpack(packed, slot.get(), path))


def places_of(bodies: list[Any], state: Mapping[str, Any]) -> tuple[dict[str, Slot], dict[str, Any]]:
    """Path -> slot and path -> object of all that there is; entries that a defaultdict had by then are made first."""
    owners: dict[str, Any] = {}
    there = {slot.path: slot for slot in slots(bodies, owners)}
    made = False
    for path in state:
        head, bracket, rest = path.partition("[")
        holder = there[head].get() if bracket and path not in there and head in there else None
        if isinstance(holder, defaultdict) and holder.default_factory is not None:
            key = _key(rest)
            if key is not MISSING and key not in holder:
                made = holder[key] is not None
    return places_of(bodies, {}) if made else (there, owners)


def _key(rest: str) -> Any:
    """The key of a path that goes on with `'key'].attribute`."""
    for end in (at for at, letter in enumerate(rest) if letter == "]"):
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(rest[:end])
    return MISSING


def unbound(name: str, bodies: list[Any], owners: Mapping[str, Any]) -> Slot | None:
    """The slot of a global name or an attribute that the loop assigns, and has not yet in this run."""
    above, _, attribute = name.rpartition(".")
    if above in owners and attribute.isidentifier():
        owner = owners[above]
        plain = hasattr(owner, "__dict__") and not isinstance(owner, type)
        return Slot(name, vars(owner) if plain else owner, attribute)
    for body in bodies:
        function = getattr(body, "__func__", body)
        if isinstance(function, types.FunctionType) and name in _names(function.__code__):
            return Slot(name, function.__globals__, name)
    return None


def slots(bodies: list[Any], owners: dict[str, Any] | None = None, through: set[str] | None = None) -> Iterator[Slot]:
    """Every slot that holds, or may hold, a plain value; two of one name have different paths.

    The objects on the way are put into `owners`, by their paths, and the paths of functions into `through`.
    """
    walk = _Walk({} if owners is None else owners, set() if through is None else through)
    functions = [getattr(body, "__func__", body) for body in bodies]
    # All of their own names first: what a name of the loop's leads to may not be there on resume.
    own = [slot for one in functions if isinstance(one, types.FunctionType) for slot in walk.own_names(one, "")]
    for slot in own:
        yield from walk.below(slot, DEPTH)


class _Walk:
    """From the names of functions through objects, containers and the functions that they call."""

    def __init__(self, owners: dict[str, Any], through: set[str]) -> None:
        self.owners, self.through = owners, through
        self._seen: set[int] = set()
        self._globals: set[tuple[int, str]] = set()
        self._taken: dict[str, int] = {}

    def own_names(self, function: types.FunctionType, prefix: str) -> list[Slot]:
        """Those that a function takes from around it, and that are not known yet."""
        code = function.__code__
        found = []
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if id(cell) not in self._seen:
                self._seen.add(id(cell))
                found.append(Slot(self._path(f"{prefix}{name}"), cell, None))
        for name in sorted(_names(code)):
            key = id(function.__globals__), name
            if name in function.__globals__ and key not in self._globals:
                self._globals.add(key)
                found.append(Slot(self._path(name), function.__globals__, name))
        return found

    def names(self, function: types.FunctionType, prefix: str, depth: int) -> Iterator[Slot]:
        """The same with what they lead to."""
        for slot in self.own_names(function, prefix):
            yield from self.below(slot, depth)

    def _path(self, name: str) -> str:
        self._taken[name] = self._taken.get(name, 0) + 1
        return name if self._taken[name] == 1 else f"{name}#{self._taken[name]}"

    def below(self, slot: Slot, depth: int) -> Iterator[Slot]:
        """The slot itself, or what it leads to."""
        value = slot.get()
        if value is MISSING or isinstance(value, _LEAVES) or is_raw(value):
            yield slot
        elif isinstance(value, list | tuple | deque | dict):
            yield slot
            yield from self._entries(slot.path, value, depth)
        else:
            yield from self._attributes(slot.path, value, depth)

    def _entries(self, path: str, value: Any, depth: int) -> Iterator[Slot]:
        """Of objects in a container of the program's."""
        if depth and len(value) <= FOLLOWED:
            for at, (key, inner) in enumerate(list(value.items() if isinstance(value, dict) else enumerate(value))):
                where = f"{path}[{key_name(key, at)}]"
                if isinstance(inner, list | tuple | dict):
                    yield from self._entries(where, inner, depth - 1)
                else:
                    yield from self._attributes(where, inner, depth - 1)

    def _attributes(self, path: str, value: Any, depth: int) -> Iterator[Slot]:
        if isinstance(value, type):
            yield from self._of_class(value, depth)
            return
        if not depth or id(value) in self._seen or isinstance(value, _NO_OBJECT):
            return
        if isinstance(value, types.MethodType):
            yield from self._attributes(path, value.__self__, depth)
            value = value.__func__
        if isinstance(value, types.FunctionType):
            if id(value) not in self._seen and _is_the_programs(value):
                self._seen.add(id(value))
                self.through.add(path)
                yield from self.names(value, f"{path}.", depth - 1)
            return
        if isinstance(value, torch.nn.Module):
            yield from self._of_module(path, value, depth)
            return
        if isinstance(value, DataLoader):
            self._seen.add(id(value))
            for name in ("dataset", "sampler", "batch_sampler", "collate_fn", "generator"):
                yield from self.below(Slot(f"{path}.{name}", vars(value), name), depth - 1)
            return
        if id(value) in self._seen or len(self._seen) > MOST or _is_foreign(value):
            return
        if _keeps_itself(value) and not _is_own_class(type(value)):
            return
        self._seen.add(id(value))
        self.owners[path] = value
        own = getattr(value, "__dict__", None)
        if isinstance(own, dict):
            # Its `state_dict` may leave out what the program has added: a count of its steps, its own momentum.
            saved = _OF_OPTIMIZERS if isinstance(value, torch.optim.Optimizer) else ()
            for name in [one for one in own if one not in saved]:
                yield from self.below(Slot(f"{path}.{name}", own, name), depth - 1)
        for name in _slots(type(value)):
            if hasattr(value, name):
                yield from self.below(Slot(f"{path}.{name}", value, name), depth - 1)
        yield from self._of_class(type(value), depth - 1)

    def _of_class(self, cls: type, depth: int) -> Iterator[Slot]:
        """Attributes that all of its instances share, and its bases': counters, registries, caches."""
        if not depth or id(cls) in self._seen or not _is_own_class(cls):
            return
        self._seen.add(id(cls))
        path = self._path(f"{cls.__module__}.{cls.__qualname__}")
        self.owners[path] = cls
        for name, inner in list(vars(cls).items()):
            # What a class gives to its instances in a form of their own is no state.
            if not name.startswith(("__", "_abc_")) and not hasattr(type(inner), "__get__"):
                yield from self.below(Slot(f"{path}.{name}", cls, name), depth - 1)
        for base in cls.__bases__:
            yield from self._of_class(base, depth)

    def _of_module(self, path: str, module: torch.nn.Module, depth: int) -> Iterator[Slot]:
        """Its mode, and attributes that the program has given it, through all its parts."""
        for name, part in module.named_modules(prefix=path):
            self._seen.add(id(part))
            own = vars(part)
            yield Slot(f"{name}.training", own, "training")
            yield from self._of_class(type(part), depth - 1)
            if not _is_foreign(part):
                for attribute in [key for key in own if key not in _OF_MODULES and key != "training"]:
                    yield from self.below(Slot(f"{name}.{attribute}", own, attribute), depth - 1)


def _is_iterator(packed: Any) -> bool:
    return isinstance(packed, dict) and packed["kind"] == "iterator"


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _is_the_programs(function: types.FunctionType) -> bool:
    """Not a library's: its state is its own business."""
    place = function.__code__.co_filename
    return "site-packages" not in place and not place.startswith(sysconfig.get_paths()["stdlib"])


def _slots(kind: type) -> list[str]:
    names: list[str] = []
    for cls in kind.__mro__:
        own = vars(cls).get("__slots__", ())
        names += [own] if isinstance(own, str) else list(own)
    return [name for name in names if name not in ("__dict__", "__weakref__") and not name.startswith("__")]


def _is_foreign(value: Any) -> bool:
    """Whether its attributes are a library's business: files, threads, queues, writers, bars."""
    top = type(value).__module__.split(".")[0]
    return top in _LIBRARIES or (top in sys.stdlib_module_names and top not in _HOLDS_SETTINGS)


def _is_own_class(cls: type) -> bool:
    """Whether the program defines it: not a library, and not as a list of constants."""
    top = cls.__module__.split(".")[0]
    if isinstance(cls, enum.EnumMeta) or top in _LIBRARIES or (top in sys.stdlib_module_names and top != "__main__"):
        return False
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return cls.__module__ == "__main__" or file is None or "site-packages" not in file


def _keeps_itself(value: Any) -> bool:
    """It is saved by its own `state_dict`."""
    return all(callable(getattr(type(value), name, None)) for name in ("state_dict", "load_state_dict"))
