"""The mode of modules in calls that no backward pass of a step comes through: evaluations, teachers, a critic's fakes.

What such calls say feeds the step, or moves running statistics, and only the mode that they were made in tells why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
from torch import nn

from lab_parity.record.capture_file import ModuleFacts
from lab_parity.record.walk import modules

__all__ = ["Modes", "facts_beside"]


@attrs.define(slots=True, eq=False)
class Modes:
    """The modules that one outermost call, or all those without a graph, has called, by identity and mode."""

    seen: dict[tuple[int, bool], nn.Module] = attrs.field(factory=dict)
    trained: bool = False

    def see(self, module: nn.Module) -> None:
        """It has been called."""
        self.seen.setdefault((id(module), module.training), module)


def facts_beside(calls: Iterable[Modes], paths: Mapping[int, str], held: Mapping[int | None, str]) -> list[ModuleFacts]:
    """What was called beside the training, or belongs to no model of the step's optimizer; `paths` name the latter's.

    Others are named by their paths in the outermost module that was called.
    """
    seen = {
        key: module for modes in calls for key, module in modes.seen.items() if not (modes.trained and key[0] in paths)
    }
    unnamed = {number: module for (number, _), module in seen.items() if number not in paths}
    inner = {id(part) for module in unnamed.values() for path, part in modules(module) if path}
    own = {
        id(part): path
        for number, module in unnamed.items()
        if number not in inner
        for path, part in modules(module)
        if id(part) in unnamed
    }
    names = {**own, **paths}
    found = [
        ModuleFacts(
            names[number], type(module).__name__, module.extra_repr(), training, False, True, held.get(number, "{}")
        )
        for (number, training), module in seen.items()
        if number in names
    ]
    return list(dict.fromkeys(found))
