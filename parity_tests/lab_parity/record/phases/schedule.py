"""Schedules of torch.optim.lr_scheduler: where each stands, and the rates that it has set, as the update found them.

A schedule steps between two updates, so its rows belong to the later one. A schedule's first step, in its constructor,
is none: it sets what the optimizer was given.
"""

from __future__ import annotations

import functools
import json
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lab_parity.digest import digest_bytes
from lab_parity.record.notes import Notes
from lab_parity.record.numbers import number_row
from lab_parity.trace import Key, Row

__all__ = ["Schedules"]


class Schedules:
    """Collects each schedule's last step until the next update of its optimizer; `active` says whether one may come."""

    def __init__(self, notes: Notes, active: Callable[[], bool]) -> None:
        self._notes = notes
        self._active = active
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._rows: weakref.WeakKeyDictionary[Any, dict[str, list[Row]]] = weakref.WeakKeyDictionary()
        self._inside = False

    def watch(self) -> list[Callable[[], None]]:
        """Put the hooks in place; returns what takes them away."""
        classes = dict.fromkeys([*_tree(LRScheduler), *_tree(ReduceLROnPlateau)])
        return [self._watch(cls) for cls in classes if "step" in vars(cls)]

    def take(self, optimizer: Any) -> list[Row]:
        """The rows since the optimizer's last update."""
        # An update method of the program's own may belong to anything.
        found = self._rows.pop(optimizer, {}) if isinstance(optimizer, torch.optim.Optimizer) else {}
        return [row for rows in found.values() for row in rows]

    def _watch(self, cls: type[Any]) -> Callable[[], None]:
        original = vars(cls)["step"]

        @functools.wraps(original)
        def step(schedule: Any, *args: Any, **kwargs: Any) -> Any:
            first = vars(schedule).get("_step_count") == 0
            if self._inside or first or torch.compiler.is_compiling() or not self._active():
                return original(schedule, *args, **kwargs)
            self._inside = True  # a schedule made of others steps those
            try:
                found = original(schedule, *args, **kwargs)
            finally:
                self._inside = False
            self._notes.guard(self._book, schedule, args[0] if args else kwargs.get("metrics"))
            return found

        setattr(cls, "step", step)  # noqa: B010

        def stop() -> None:
            setattr(cls, "step", original)  # noqa: B010

        return stop

    def _book(self, schedule: Any, given: Any) -> None:
        optimizer = schedule.optimizer
        name = self._name(schedule, optimizer)
        rows = []
        if isinstance(schedule, ReduceLROnPlateau) and isinstance(given, (Tensor, int, float)):
            rows.append(number_row(Key("metric", -1, name, "monitored"), float(given)))
        stands = getattr(schedule, "last_epoch", None)
        if isinstance(stands, (int, float)):
            rows.append(number_row(Key("schedule", -1, name, "last_epoch"), stands))
        rates = sorted({float(group["lr"]) for group in optimizer.param_groups})
        key = Key("schedule", -1, name, "lr")
        one = number_row(key, rates[0])
        # By their values, each once: how parameters are grouped does not matter.
        rows.append(one if len(rates) == 1 else Row(key, digest_bytes(json.dumps(rates).encode())))
        self._rows.setdefault(optimizer, {})[name] = rows

    def _name(self, schedule: Any, optimizer: Any) -> str:
        """The class, and a number where the optimizer has several of it."""
        if schedule not in self._names:
            kind = type(schedule).__name__
            others = [name for other, name in self._names.items() if other.optimizer is optimizer]
            number = sum(name.split(" ")[0] == kind for name in others)
            self._names[schedule] = f"{kind} {number}" if number else kind
        return self._names[schedule]


def _tree(cls: type[Any]) -> Iterator[type[Any]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)
