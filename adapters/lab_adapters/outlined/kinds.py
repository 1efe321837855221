"""Kinds of values that the program's own containers are of, and their limits."""

from __future__ import annotations

import functools
import multiprocessing.queues
import queue
import types
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["FACTORIES", "FED", "LARGE", "container_kind", "entries_of", "filled", "is_builtin", "leaves_of", "name_of"]

#: Of a container with more entries, numbers are kept as one tensor, and a digest tells whether it has changed.
LARGE = 1_000

#: What another thread or process fills: nothing can put it back.
FED = (queue.Queue, queue.SimpleQueue, multiprocessing.queues.Queue, multiprocessing.queues.SimpleQueue)

_BASES: dict[type[Any], str] = {
    list: "list", tuple: "tuple", set: "set", frozenset: "frozenset", deque: "deque", dict: "dict",
}  # fmt: skip
_NAMED = (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType)
_BUILTIN = tuple(_BASES)
#: What fills a defaultdict, of what a checkpoint can name.
FACTORIES: dict[str, Any] = {one.__name__: one for one in (int, float, str, list, dict, set)}
_MADE = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "deque": deque, "dict": dict}


def container_kind(value: Any) -> str | None:
    """Which of Python's containers it is, itself or by its class's base."""
    return _BASES.get(type(value)) or next((kind for base, kind in _BASES.items() if isinstance(value, base)), None)


def entries_of(value: Any) -> list[Any]:
    """Pairs of a dictionary, else what it holds, by the base's own methods: a class of the program's may do more."""
    if isinstance(value, OrderedDict):
        return list(OrderedDict.items(value))
    if isinstance(value, dict):
        return list(dict.items(value))
    base: Any = next(base for base in _BASES if isinstance(value, base))
    return list(base.__iter__(value))


def leaves_of(value: Any) -> Iterator[Any]:
    """What a value is, or what its containers hold, however nested. Each container once: one may hold itself."""
    seen: set[int] = set()
    left = [value]
    while left:
        one = left.pop()
        if container_kind(one) is None:
            yield one
        elif id(one) not in seen:
            seen.add(id(one))
            entries = entries_of(one)
            left += [part for pair in entries for part in pair] if isinstance(one, dict) else entries


def is_builtin(value: Any) -> bool:
    """Whether a plain container of its kind may stand for it where there is none to fill."""
    return type(value) in _BUILTIN


def name_of(value: Any) -> str:
    """What tells a function or a class from others, and an object by its class."""
    value = value.func if isinstance(value, functools.partial) else value
    named = value if isinstance(value, _NAMED) else type(value)
    line = getattr(getattr(named, "__code__", None), "co_firstlineno", "")
    return f"{named.__module__}.{named.__qualname__}{f':{line}' if line else ''}"


def filled(kind: str, entries: Iterable[Any], target: Any, cls: Any, maxlen: int | None = None) -> Any:
    """A container of these entries: the target where it can be filled, else a new one of its class.

    `cls` is the class of one that is not Python's own.
    """
    entries = list(entries)
    fits = container_kind(target) == kind and (cls is None or type(target) is cls)
    if fits and kind in ("tuple", "frozenset"):
        return _remade(entries, target)
    if fits:
        _fill(kind, entries, target)
        return target
    if cls is not None and kind in ("tuple", "frozenset"):
        return _of_class(cls, entries)
    made = cls.__new__(cls) if cls is not None else deque(maxlen=maxlen) if kind == "deque" else None
    if made is None:
        return _MADE[kind](entries)
    _fill(kind, entries, made)
    return made


def _fill(kind: str, entries: list[Any], target: Any) -> None:
    """By the base's own methods: a class of the program's may do more in its."""
    if kind == "list":
        list.__setitem__(target, slice(None), entries)
    elif kind == "deque":
        deque.clear(target)
        deque.extend(target, entries)
    elif kind == "set":
        set.clear(target)
        set.update(target, entries)
    elif isinstance(target, OrderedDict):
        OrderedDict.clear(target)
        for key, inner in entries:
            OrderedDict.__setitem__(target, key, inner)
    else:
        dict.clear(target)
        dict.update(target, dict(entries))


def _remade(entries: list[Any], target: Any) -> Any:
    if len(entries) == len(target) and all(one is other for one, other in zip(entries, target, strict=True)):
        return target
    return _of_class(type(target), entries)


def _of_class(cls: Any, entries: list[Any]) -> Any:
    # Named tuples take their fields one by one.
    return cls._make(entries) if hasattr(cls, "_make") else cls.__new__(cls, entries)
