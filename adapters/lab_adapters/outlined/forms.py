"""Values with a plain form: what a checkpoint holds of them, and the value that is made of it again."""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import fractions
import functools
import io
import pathlib
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import torch

from lab_adapters.outlined.shared_memory import SHARED, put_shared, written_shared

__all__ = ["FORMS", "PLAIN", "form_of", "in_place"]

#: Saved as they are; `torch.load(weights_only=True)` makes them again.
PLAIN = (type(None), bool, int, float, str, bytes, torch.dtype, torch.device, torch.Size)


@attrs.frozen
class Form:
    """Of values of one type: how they are written in plain values, and read."""

    kind: str
    of: type
    write: Callable[[Any], Any]
    #: Is given what was written, and what stands in the value's place now.
    read: Callable[[Any, Any], Any]


def _by(kind: str, of: type, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Form:
    return Form(kind, of, write, lambda written, target: read(written))


def _member_of(value: enum.Enum) -> Any:
    """Its name; several flags at once have none."""
    return value.value if isinstance(value, enum.Flag) else value.name


def _member(written: Any, target: Any) -> Any:
    """The member of the enumeration of which another one stands there."""
    cls = type(target)
    return cls(written) if issubclass(cls, enum.Flag) else cls[written]


def _text(value: Any) -> list[Any]:
    """All that was written into a file that lies in memory, and the place in it."""
    return [None, 0] if value.closed else [value.getvalue(), value.tell()]


def _written(of: Any) -> Callable[[list[Any], Any], Any]:
    def read(written: list[Any], target: Any) -> Any:
        made = target if type(target) is of and not target.closed else of()
        if written[0] is None:
            made.close()
            return made
        made.seek(0)
        made.truncate()
        made.write(written[0])
        made.seek(written[1])
        return made

    return read


def _named(module: types.ModuleType) -> str:
    """Without asking it: a lazy one would be imported."""
    return str(object.__getattribute__(module, "__dict__").get("__name__", ""))


def _module(name: str, target: Any) -> Any:
    """The one that the program has imported: reading a checkpoint imports nothing."""
    return sys.modules.get(name, target)


_FORMS = (
    # First: a member may be an int or a str, too.
    Form("enum", enum.Enum, _member_of, _member),
    Form("module", types.ModuleType, _named, _module),
    _by("complex", complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    _by("fraction", fractions.Fraction, str, fractions.Fraction),
    _by("decimal", decimal.Decimal, str, decimal.Decimal),
    _by("path", pathlib.PurePath, str, pathlib.Path),
    _by("datetime", datetime.datetime, lambda value: value.isoformat(), datetime.datetime.fromisoformat),
    _by("date", datetime.date, lambda value: value.isoformat(), datetime.date.fromisoformat),
    _by("time", datetime.time, lambda value: value.isoformat(), datetime.time.fromisoformat),
    _by(
        "timedelta",
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: datetime.timedelta(*parts),
    ),
    _by("uuid", uuid.UUID, str, uuid.UUID),
    Form("text in memory", io.StringIO, _text, _written(io.StringIO)),
    Form("bytes in memory", io.BytesIO, _text, _written(io.BytesIO)),
    _by("bytearray", bytearray, bytes, bytearray),
    _by("array.array", array.array, lambda value: [value.typecode, value.tolist()], lambda parts: array.array(*parts)),
    Form("shared memory", SHARED, written_shared, put_shared),
    _by("range", range, lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
    _by("slice", slice, lambda value: [value.start, value.stop, value.step], lambda parts: slice(*parts)),
)
#: By the name that a checkpoint has for them.
FORMS = {form.kind: form for form in _FORMS}


def form_of(value: Any) -> Form | None:
    """The form of a value that is saved in one."""
    kind: Any = type(value)
    return _form_of(kind) if kind not in PLAIN else None


@functools.lru_cache(maxsize=1024)
def _form_of(kind: type[Any]) -> Form | None:
    return next((form for form in _FORMS if issubclass(kind, form.of)), None)


def in_place(made: Any, target: Any) -> Any:
    """The target filled with what was made, where it is of its kind and can be."""
    if type(made) is type(target) and isinstance(made, bytearray | array.array):
        target[:] = made
        return target
    return made
