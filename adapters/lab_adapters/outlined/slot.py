"""A place that holds a value of the program's."""

from __future__ import annotations

import types
from typing import Any

import attrs
import torch

from lab_adapters.outlined.packing import MISSING

__all__ = ["Slot", "put"]


@attrs.frozen(eq=False)
class Slot:
    """A place that holds a value: a closure's cell, a global name, an object's attribute, a class's, or an entry."""

    path: str
    holder: Any
    name: Any

    def get(self) -> Any:
        """The value, or a marker where there is none."""
        if isinstance(self.holder, types.CellType):
            try:
                return self.holder.cell_contents
            except ValueError:
                return MISSING
        if isinstance(self.holder, dict):
            return self.holder.get(self.name, MISSING)
        if isinstance(self.holder, list) and isinstance(self.name, int):
            return self.holder[self.name] if self.name < len(self.holder) else MISSING
        return getattr(self.holder, str(self.name), MISSING)

    def delete(self) -> None:
        """Unbind it, if it is bound."""
        if self.get() is MISSING:
            return
        if isinstance(self.holder, types.CellType):
            del self.holder.cell_contents
        elif isinstance(self.holder, dict):
            del self.holder[self.name]
        elif isinstance(self.holder, type):
            type.__delattr__(self.holder, str(self.name))
        else:
            object.__delattr__(self.holder, str(self.name))

    def put(self, value: Any) -> None:
        """Assign it."""
        if isinstance(self.holder, types.CellType):
            self.holder.cell_contents = value
        elif isinstance(self.holder, dict) or isinstance(self.name, int):
            self.holder[self.name] = value
        elif isinstance(self.holder, type):
            type.__setattr__(self.holder, str(self.name), value)
        elif isinstance(self.holder, torch.jit.ScriptModule):
            setattr(self.holder, str(self.name), value)  # which gives it to C++
        else:
            object.__setattr__(self.holder, str(self.name), value)


def put(slot: Slot | None, value: Any) -> bool:
    """Whether there is a place: what cannot be assigned has none, like what has no name."""
    try:
        if slot is not None and value is MISSING:
            slot.delete()
        elif slot is not None and value is not slot.get():
            slot.put(value)
    except (AttributeError, TypeError):
        return False
    return slot is not None
