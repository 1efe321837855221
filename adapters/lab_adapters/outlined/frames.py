"""What the generators that a loop's items come from keep in names of their own, put back on resume.

    def steps(loader):
        total = 0.0
        for batch in loader:
            step = Step(batch)
            yield step
            total += step.loss      # as the loop's body left it

Passed over, such a generator has seen no body. A name that it assigns, and that holds another plain value than at its
first item, is put back, and so is what the body has put into the item where the loop stands; a time that was taken is
none of the training.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import dis
import gc
import itertools
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

import torch

from lab_adapters.outlined.forms import PLAIN
from lab_adapters.outlined.names import is_own_class

__all__ = ["Item", "changed_names", "generators_of", "names_now", "put_names"]

#: What Python makes an iterator of others with; through what else may a generator be reached is not looked for.
_THROUGH = (enumerate, zip, map, filter, itertools.islice, itertools.chain)
#: How many generators are looked into.
_MOST = 16
#: A longer list holds data.
_LARGEST = 10_000
_CLOCKS = frozenset(
    f"{name}{unit}" for name in ("time", "perf_counter", "monotonic", "process_time") for unit in ("", "_ns")
) | {"default_timer", "now", "utcnow"}  # fmt: skip


def generators_of(iterator: Any) -> list[types.GeneratorType[Any, Any, Any]]:
    """The program's generators that an iterator takes its items from, the outer ones first."""
    found: list[types.GeneratorType[Any, Any, Any]] = []
    queue = [iterator]
    for one in queue:
        if len(queue) > _MOST:
            break
        if type(one) is types.GeneratorType and one.gi_frame is not None:
            found.append(one)
        queue += [inner for inner in _sources(one) if all(inner is not it for it in queue)]
    return found


def _sources(one: Any) -> list[Any]:
    found = gc.get_referents(one) if type(one) in (*_THROUGH, types.GeneratorType) else []
    if type(one) in _THROUGH:
        found += [inner for several in found if type(several) is tuple for inner in several]
    return [inner for inner in found if type(inner) in (*_THROUGH, types.GeneratorType)]


def names_now(generators: list[types.GeneratorType[Any, Any, Any]]) -> list[dict[str, Any]]:
    """The plain values of the names that each assigns."""
    found = []
    for one in generators:
        values = dict(one.gi_frame.f_locals) if one.gi_frame is not None else {}
        found.append(
            {name: copy.deepcopy(values[name]) for name in _assigned(one.gi_code) if _is_plain(values.get(name, type))}
        )
    return found


def changed_names(first: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what there is now, what was other at the first item."""
    return [
        {name: value for name, value in one.items() if name not in before or not _same(before[name], value)}
        for before, one in zip(first, now, strict=False)
    ]


def put_names(generators: list[types.GeneratorType[Any, Any, Any]], kept: list[dict[str, Any]]) -> None:
    """Make them so again; lists and dictionaries stay the same objects."""
    for one, values in zip(generators, kept, strict=False):
        if one.gi_frame is None:
            continue
        there = one.gi_frame.f_locals
        for name, value in values.items():
            old = there.get(name)
            if name in there and _same(old, value):
                continue
            if isinstance(old, list) and isinstance(value, list):
                old[:] = value
            elif isinstance(old, dict) and isinstance(value, dict):
                old.clear()
                old.update(value)
            else:
                _assign(one.gi_frame, name, value)


class Item:
    """An item of a loop, by the objects of the program's own that it is or holds; it keeps none of them."""

    def __init__(self, item: Any = None) -> None:
        self._objects: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}
        for at, one in enumerate(item if type(item) in (tuple, list) and len(item) <= _MOST else (item,)):
            if _is_own(one):
                with contextlib.suppress(TypeError):
                    self._objects[at] = weakref.ref(one), _attributes(one)

    def changed(self) -> dict[int, dict[str, Any]]:
        """Plain attributes that are other ones than when the loop came to it."""
        return {
            at: changed_names([before], [_attributes(one)])[0]
            for at, (known, before) in self._objects.items()
            if (one := known()) is not None
        }

    def put(self, kept: dict[int, dict[str, Any]]) -> None:
        """Make them so again."""
        for at, values in kept.items():
            one = self._objects[at][0]() if at in self._objects else None
            if one is not None:
                vars(one).update(values)


def _is_own(value: Any) -> bool:
    return (
        not isinstance(value, type | types.ModuleType | torch.Tensor | torch.nn.Module)
        and type(getattr(value, "__dict__", None)) is dict
        and is_own_class(type(value))
    )


def _attributes(value: Any) -> dict[str, Any]:
    return {name: copy.deepcopy(one) for name, one in vars(value).items() if _is_plain(one)}


def _assign(frame: types.FrameType, name: str, value: Any) -> None:
    frame.f_locals[name] = value
    if sys.version_info < (3, 13):
        # Until then, what a frame shows of its names was a copy.
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))


def _assigned(code: types.CodeType) -> Iterator[str]:
    """The names that a function assigns, but for the times that it takes."""
    names: dict[str, bool] = {}
    said: list[Any] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(("STORE_FAST", "STORE_DEREF")):
            # Newer Pythons store two at once.
            for name in instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,):
                names[name] = names.get(name, False) or bool(_CLOCKS.intersection(said))
        said = [*said[-4:], instruction.argval if isinstance(instruction.argval, str) else ""]
    return (name for name, is_time in names.items() if not is_time)


def _is_plain(value: Any) -> bool:
    if type(value) in PLAIN:
        return True
    if type(value) is torch.Tensor:
        return value.numel() == 1 and value.is_leaf
    if type(value) in (list, tuple):
        return len(value) <= _LARGEST and all(_is_plain(one) for one in value)
    if type(value) is dict:
        return len(value) <= _LARGEST and all(type(key) in PLAIN and _is_plain(one) for key, one in value.items())
    return False


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(one, other) for one, other in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(one, b[key]) for key, one in a.items())
    return bool(a == b) or (a != a and b != b)
