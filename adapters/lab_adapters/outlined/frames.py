"""What the generators that a loop's items come from keep in names of their own, put back on resume.

    def steps(loader):
        total = 0.0
        for batch in loader:
            step = Step(batch)
            yield step
            total += step.loss      # as the loop's body left it

Passed over, such a generator has seen no body. A name that it assigns, and that holds another plain value than at its
first item, is put back; a time that was taken is none of the training.
"""

from __future__ import annotations

import copy
import ctypes
import dis
import gc
import itertools
import sys
import types
from collections.abc import Iterator
from typing import Any

from lab_adapters.outlined.plain_values import is_plain, is_same

__all__ = ["THROUGH", "generators_of", "names_now", "put_names"]

#: What Python makes an iterator of others with; through what else may a generator be reached is not looked for.
THROUGH = (enumerate, zip, map, filter, itertools.islice, itertools.chain)
#: How many generators are looked into.
_MOST = 16
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
    found = gc.get_referents(one) if type(one) in (*THROUGH, types.GeneratorType) else []
    if type(one) in THROUGH:
        found += [inner for several in found if type(several) is tuple for inner in several]
    return [inner for inner in found if type(inner) in (*THROUGH, types.GeneratorType)]


def names_now(generators: list[types.GeneratorType[Any, Any, Any]]) -> list[dict[str, Any]]:
    """The plain values of the names that each assigns."""
    found = []
    for one in generators:
        values = dict(one.gi_frame.f_locals) if one.gi_frame is not None else {}
        found.append(
            {name: copy.deepcopy(values[name]) for name in _assigned(one.gi_code) if is_plain(values.get(name, type))}
        )
    return found


def put_names(generators: list[types.GeneratorType[Any, Any, Any]], kept: list[dict[str, Any]]) -> None:
    """Make them so again; lists and dictionaries stay the same objects."""
    for one, values in zip(generators, kept, strict=False):
        if one.gi_frame is None:
            continue
        there = one.gi_frame.f_locals
        for name, value in values.items():
            old = there.get(name)
            if name in there and is_same(old, value):
                continue
            if isinstance(old, list) and isinstance(value, list):
                old[:] = value
            elif isinstance(old, dict) and isinstance(value, dict):
                old.clear()
                old.update(value)
            else:
                _assign(one.gi_frame, name, value)


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
