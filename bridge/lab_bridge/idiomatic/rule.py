"""What a rule is, and where rules are found.

A rule is a module in `rules/` with `ROW`, the rows of docs/semantics.md that it guards (the tests' names), and
`objection(semantics)`: why Lightning's own way would train something else, or None. Where only one part has to stay
the legacy one for that, and automatic optimization can run around it, the module also says which: `KEEPS`. Adding a
rule adds a file and touches no other.
"""

from __future__ import annotations

import importlib
import pkgutil

import attrs

from lab_bridge.idiomatic.semantics import Semantics

__all__ = ["PARTS", "NotIdiomaticError", "Objection", "kept", "objections"]

#: What a rule may keep.
PARTS = ("average", "clipping", "precision", "reduction", "scaling", "schedules")


@attrs.frozen
class Objection:
    """One reason against Lightning's own way: the rule, the row of docs/semantics.md, and what was found.

    `keeps` names the part that stays Lab's for it; None where the whole tier is out of the question.
    """

    rule: str
    row: str
    reason: str
    keeps: str | None = None

    def __str__(self) -> str:
        return f"{self.reason} (docs/semantics.md: {self.row})"


class NotIdiomaticError(ValueError):
    """Lightning's own way was asked for where it would train something else."""

    def __init__(self, objections: tuple[Objection, ...]) -> None:
        said = "; ".join(str(objection) for objection in objections)
        super().__init__(f"Trainer.tier: expected a training that Lightning's own way has the bits of: {said}")
        self.objections = objections


def objections(semantics: Semantics) -> tuple[Objection, ...]:
    """All that speaks against training this under Lightning's automatic optimization; empty where nothing does.

    Of a project that is to be written anew (`semantics.native`) no part can stay Lab's, so there everything counts.
    """
    return tuple(found for found in _found(semantics) if found.keeps is None or semantics.native)


def kept(semantics: Semantics) -> tuple[Objection, ...]:
    """The parts that stay Lab's under automatic optimization, and why; empty where Lightning has them all."""
    return tuple(found for found in _found(semantics) if found.keeps is not None and not semantics.native)


def _found(semantics: Semantics) -> list[Objection]:
    from lab_bridge.idiomatic import rules

    found = []
    for info in sorted(pkgutil.iter_modules(rules.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{rules.__name__}.{info.name}")
        reason = module.objection(semantics)
        if reason is not None:
            found.append(Objection(info.name, module.ROW, reason, getattr(module, "KEEPS", None)))
    return found
