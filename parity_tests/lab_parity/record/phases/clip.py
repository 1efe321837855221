"""Clipping by torch's own functions: at what, over what, and the norm that was found before it.

Seen are `clip_grad_norm_` and `clip_grad_value_` of `torch.nn.utils`, however the program has imported them. A formula
of the program's own shows in the gradients alone.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from types import GeneratorType
from typing import Any

import attrs
import torch
from torch import Tensor

from lab_parity.record.fingerprint import digest_of, value_of
from lab_parity.record.notes import Notes
from lab_parity.record.numbers import number_row
from lab_parity.trace import Key, Row

__all__ = ["Clips"]

_MAX_WAITING = 64
"""Calls that no update has taken yet; a scaler that skips every step would gather them for ever."""
_FUNCTIONS = {"clip_grad_norm_": "max_norm", "clip_grad_value_": "clip_value"}


@attrs.frozen(slots=True, eq=False)
class _Call:
    """One call: the parameters that had gradients, by identity, what was asked for, and the norm (digest, value)."""

    function: str
    parameters: frozenset[int]
    asked: Sequence[tuple[str, float]]
    norm: tuple[bytes, float | None] | None


class Clips:
    """Collects calls until the update of the parameters that they concern; `active` says whether one may come.

    `clipped` is called after each: gradients are other ones now.
    """

    def __init__(self, notes: Notes, active: Callable[[], bool], clipped: Callable[[], None]) -> None:
        self._notes = notes
        self._clipped = clipped
        self._active = active
        self._calls: list[_Call] = []

    def watch(self) -> list[Callable[[], None]]:
        """Put the hooks in place; returns what takes them away."""
        return [_replace(name, functools.partial(self._around, name)) for name in _FUNCTIONS]

    def take(self, parameters: Collection[Tensor]) -> tuple[list[Row], list[Row]]:
        """Rows of the calls that concerned any of the parameters: what was asked for, and the norms.

        What was asked for causes the gradients that the update sees; a norm before clipping tells of those that it
        does not see.
        """
        if not self._calls:
            return [], []
        ours = {id(parameter) for parameter in parameters}
        moved = {id(parameter) for parameter in parameters if parameter.grad is not None}
        calls = [call for call in self._calls if not call.parameters.isdisjoint(ours)]
        self._calls = [call for call in self._calls if call.parameters.isdisjoint(ours)]
        asked: list[Row] = []
        norms: list[Row] = []
        counts: Counter[str] = Counter()
        for call in calls:
            place = counts[call.function]
            counts[call.function] += 1
            name = f"{call.function} {place}" if place else call.function
            # Of what has a gradient: one that has none is found as a gradient, and another model as one.
            over = [("left_out", len(moved - call.parameters)), ("outside", len(call.parameters - ours))]
            asked += [number_row(Key("clip", -1, name, field), value) for field, value in (*call.asked, *over)]
            if call.norm is not None:
                norms.append(Row(Key("clip", -1, name, "total_norm"), *call.norm))
        return asked, norms

    def waiting(self) -> list[Any]:
        """The calls that no update has taken."""
        return list(self._calls)

    def give_back(self, calls: list[Any]) -> None:
        """The calls that waited before some of them were taken: another update is to take them, with later ones."""
        later = [call for call in self._calls if not any(call is known for known in calls)]
        self._calls = [*calls, *later]

    def forget(self) -> None:
        """An update was not recorded."""
        self._calls.clear()

    def _around(self, name: str, original: Callable[..., Any], parameters: Any, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() or not self._active():
            return original(parameters, *args, **kwargs)
        listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        # A generator stays one: torch warns of one that is empty.
        given = (each for each in listed) if isinstance(parameters, GeneratorType) else listed
        found = original(given, *args, **kwargs)
        self._notes.guard(self._book, name, listed, args, kwargs, found)
        self._notes.guard(self._clipped)
        return found

    def _book(
        self, name: str, listed: Sequence[Tensor], args: Sequence[Any], kwargs: dict[str, Any], norm: Any
    ) -> None:
        threshold = _FUNCTIONS[name]
        gradients = [id(parameter) for parameter in listed if parameter.grad is not None]
        asked = [(threshold, float(args[0] if args else kwargs[threshold]))]
        if name == "clip_grad_norm_":
            asked.append(("norm_type", float(args[1] if len(args) > 1 else kwargs.get("norm_type", 2.0))))
        seen = (digest_of(norm), value_of(norm)) if isinstance(norm, Tensor) else None
        self._calls.append(_Call(name, frozenset(gradients), asked, seen))
        del self._calls[:-_MAX_WAITING]


def _replace(name: str, around: Callable[..., Any]) -> Callable[[], None]:
    """Put `around` between torch's public function and what it calls, so that every name of the function has it.

    Where something else has taken the function's place, only calls through `torch.nn.utils` are seen.
    """
    public = getattr(torch.nn.utils, name)
    # torch's `_no_grad` keeps the function that it wraps in a cell, which all who have imported the wrapper share.
    cells: tuple[Any, ...] = getattr(public, "__closure__", None) or ()
    cell = cells[0] if len(cells) == 1 and getattr(cells[0].cell_contents, "__name__", "") == name else None
    original = public if cell is None else cell.cell_contents

    def put(function: Callable[..., Any]) -> None:
        if cell is None:
            setattr(torch.nn.utils, name, function)
        else:
            cell.cell_contents = function

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    put(watched)
    return lambda: put(original)
