"""Numbers that modules and optimizers hold in attributes (see record/held.py), where both sides hold other ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from lab_parity.diagnose.scene import Scene
from lab_parity.record.capture_file import ModuleFacts

__all__ = ["Held", "around", "everybody", "held_apart"]


class Held(NamedTuple):
    """One such number, under its attribute's name."""

    name: str
    a: Any
    b: Any

    def sentence(self) -> str:
        """For a person."""
        return f"{self.name} is {self.b!r} instead of {self.a!r}"


def held_apart(a: str, b: str) -> list[Held]:
    """The numbers that both hold by one name, with other values; an attribute of one side alone says nothing."""
    mine, other = json.loads(a), json.loads(b)
    return [
        Held(name, mine[name], other[name]) for name in mine
        if name in other and repr(mine[name]) != repr(other[name])
    ]  # fmt: skip


def everybody(scene: Scene) -> Iterator[tuple[ModuleFacts, list[Held]]]:
    """Every module of the step that holds other numbers on the two sides, by name and class, the innermost first."""
    if scene.legacy.now is None or scene.migrated.now is None:
        return
    others = {(facts.name, facts.kind): facts for facts in scene.migrated.now.modules}
    met: set[str] = set()
    for facts in sorted(scene.legacy.now.modules, key=lambda facts: _depth(facts.name), reverse=True):
        partner = others.get((facts.name, facts.kind))
        apart = held_apart(facts.held, partner.held) if partner is not None else []
        if apart and facts.name not in met:
            met.add(facts.name)
            yield facts, apart


def around(scene: Scene, module: str) -> Iterator[tuple[ModuleFacts, list[Held]]]:
    """The same of one module and of those that hold it."""
    return (found for found in everybody(scene) if _is_around(found[0].name, module))


def _is_around(holder: str, module: str) -> bool:
    return holder in ("", module) or holder.startswith("..") or module.startswith(f"{holder}.")


def _depth(name: str) -> int:
    """Of paths below the common one, and above it ("..")."""
    return -name.count("..") if name.startswith("..") else name.count(".") + bool(name)
